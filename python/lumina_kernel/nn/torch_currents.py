"""What happens in arrays, in PyTorch: inputs become currents, which get noise and are converted
(include/lumina/analog_gemm.hpp, docs/numerics.md, 14 and 21)."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Tuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..array_settings import ArraySettings
from .pure_torch import generator_on
from .torch_slices import input_digits, weight_digits
from .torch_weights import TiledMatrix, largest_magnitudes

_SMALLEST_RANGE, _LARGEST_RANGE, _LARGEST_DOUBLED = 2.0**-100, 2.0**100, 2.0**120


class Inputs(NamedTuple):
    """Of an array, [rows, in]: x̂ = code·unit, x = code·step."""

    codes: Tensor
    noisy: Tensor  #: codes with the noise of inputs
    unit: float
    steps: Tensor  #: scalar or [rows, 1], as ranges
    ranges: Tensor  #: r


class _Conversion(NamedTuple):
    """What one of an array's ADCs sees."""

    currents: Tensor  #: [rows, out]
    steps: float  #: what a fully-on device's current at full input is of them
    worth: float  #: what they are of ŷ


def _highest(bits: int) -> int:
    """The highest code of a symmetric converter."""
    return (1 << (bits - 1)) - 1


def _to_nearest(positions: Tensor, highest: int) -> Tensor:
    """The codes of positions among codes, in place."""
    return positions.clamp_(-highest, highest).round_()


def _at_random(positions: Tensor, highest: int, generator: Optional[torch.Generator]) -> Tensor:
    below = positions.clamp_(-highest, highest).floor()
    uniform = torch.empty_like(below).uniform_(generator=generator).neg_().add_(1.0)
    up = uniform <= positions.sub_(below)
    return positions.copy_(below).add_(up)


class ArrayPass:
    """A pass through arrays, one after the other: their noise comes from one generator."""

    def __init__(self, settings: ArraySettings, device: torch.device) -> None:
        self.settings = settings
        self._draws = settings.key is not None
        self._generator = generator_on(device, settings.key) if self._draws else None

    def _normals(self, like: Tensor) -> Tensor:
        return torch.empty_like(like).normal_(generator=self._generator)

    def _codes(self, positions: Tensor, highest: int, stochastic: bool) -> Tensor:
        """In place."""
        if stochastic and self._draws:
            return _at_random(positions, highest, self._generator)
        return _to_nearest(positions, highest)

    # --- Inputs ----------------------------------------------------------------------------------

    def inputs(self, x: Tensor, doublings: int = 0) -> Inputs:
        """`doublings`: of the ranges, by bound management."""
        settings = self.settings
        if settings.dac_bits is None:
            highest, unit, codes = 1, 1.0, x
            ranges = steps = x.new_ones(())
        else:
            highest = _highest(settings.dac_bits)
            ranges = self._ranges(x, doublings)
            unit, steps = float(np.float32(1.0 / highest)), ranges / highest
            codes = self._codes(x / steps, highest, settings.dac_stochastic)
        noisy = codes
        if self._draws and settings.dac_noise > 0.0:
            noisy = codes.add(self._normals(codes), alpha=settings.dac_noise * highest)
        return Inputs(codes, noisy, unit, steps, ranges)

    def _ranges(self, x: Tensor, doublings: int) -> Tensor:
        ranges = x.new_full((), self.settings.dac_range)
        if self.settings.row_ranges:
            largest = largest_magnitudes(x)[:, None]
            ranges = torch.where(largest == 0.0, ranges, largest)
        ranges = ranges.clamp(_SMALLEST_RANGE, _LARGEST_RANGE)
        return ranges.mul_(2.0 ** min(doublings, 127)).clamp_(max=_LARGEST_DOUBLED)

    # --- Outputs ---------------------------------------------------------------------------------

    def outputs(
        self, inputs: Inputs, matrix: TiledMatrix, tile: int, bound: Optional[Tensor]
    ) -> Tuple[Tensor, Optional[Tensor]]:
        """(ŷ as it leaves an array, which share of it its ADCs have clipped), each [rows, out].
        `bound`: of its ADCs, a scalar where all of a layer have the same, else [1 or out]."""
        converts = self.settings.adc_bits is not None
        if not converts and not self._draws:
            matrix = matrix._replace(slices=None)  # their sum is the same, exactly
        result = clipped = None
        shares = 0.0
        for currents, steps, worth in self._conversions(inputs, matrix, tile):
            if converts:
                own = self._convert(currents, bound * steps).to(currents.dtype).mul_(abs(worth))
                clipped = own if clipped is None else clipped.add_(own)
                shares += abs(worth)
            currents.mul_(worth)
            result = currents if result is None else result.add_(currents)
        return result, None if clipped is None else clipped.div_(shares)

    def largest_currents(self, inputs: Inputs, matrix: TiledMatrix, tile: int) -> Tensor:
        """The currents of largest magnitude that an array's ADCs see, in those of a fully-on
        device, [rows, out]: without slices ŷ."""
        result = None
        for currents, steps, _ in self._conversions(inputs, matrix, tile):
            currents.div_(steps)
            if result is None:
                result = currents
            else:
                result = torch.where(currents.abs() > result.abs(), currents, result)
        return result

    def _conversions(
        self, inputs: Inputs, matrix: TiledMatrix, tile: int
    ) -> Iterator[_Conversion]:
        """One; or with slices one of each digit of weights and each of inputs."""
        begin, end = matrix.tiles[tile]
        codes = matrix.codes[:, begin:end]
        unit = float(np.float32(inputs.unit) * np.float32(matrix.code_value))
        if matrix.slices is None:
            currents = F.linear(inputs.noisy, codes).mul_(unit)
            self._add_noise(currents, inputs.codes, codes, (inputs.unit, matrix.code_value), 1.0)
            yield _Conversion(currents, 1.0, 1.0)
            return
        if inputs.noisy is not inputs.codes:
            raise ValueError("dac.noise has no digits, as mapping.slices need them")
        weights = weight_digits(codes, matrix.slices, matrix.bits)
        planes = input_digits(inputs.codes, matrix.slices, self.settings.dac_bits)
        units = 1.0 / planes.largest, 1.0 / weights.largest
        steps = float(planes.largest * weights.largest)
        for digit, worth in zip(weights.each, weights.worths):
            for plane, plane_worth in zip(planes.each, planes.worths):
                currents = F.linear(plane, digit)
                self._add_noise(currents, plane, digit, units, steps)
                yield _Conversion(currents, steps, unit * worth * plane_worth)

    def _add_noise(
        self,
        currents: Tensor,
        x: Tensor,
        weights: Tensor,
        units: Tuple[float, float],
        steps: float,
    ) -> None:
        """All noises of ŷ act at one point: one normal, of the sum of their variances.

        x [rows, in], weights [out, in]: codes, of which 1 is `units` of x̂ and of ŵ. `steps`: of
        _Conversion.
        """
        read_noise, out_noise = self.settings.read_noise * steps, self.settings.out_noise * steps
        if not self._draws or (read_noise == 0.0 and out_noise == 0.0):
            return
        if read_noise == 0.0:
            currents.add_(self._normals(currents), alpha=out_noise)
            return
        kind, (x_unit, w_unit) = self.settings.read_noise_kind, units
        if kind == "pcm":
            variances, factor = F.linear(x.square(), weights.abs()), w_unit * x_unit**2
        elif kind == "proportional":
            variances, factor = F.linear(x.square(), weights.square()), (w_unit * x_unit) ** 2
        elif kind == "shot":
            variances, factor = F.linear(x.abs(), weights.abs()), w_unit * x_unit
        else:
            variances, factor = x.square().sum(1, keepdim=True), x_unit**2
        variances.mul_(read_noise**2 * factor).add_(out_noise**2)
        currents.addcmul_(variances.sqrt_(), self._normals(currents))

    def _convert(self, currents: Tensor, bound: Tensor) -> Tensor:
        """What ADCs make of currents, in place of them; which of them they clip."""
        highest = _highest(self.settings.adc_bits)
        if bound.dim() != 0:  # behind amplifiers: what is converted is the share of the bound
            currents.mul_(bound.reciprocal())
        limit = bound if bound.dim() == 0 else bound.new_ones(())
        clipped = currents.abs() > limit
        step = limit / highest
        self._codes(currents.div_(step), highest, self.settings.adc_stochastic).mul_(step)
        if bound.dim() != 0:
            currents.mul_(bound)
        return clipped
