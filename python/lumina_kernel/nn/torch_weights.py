"""Weights on arrays in PyTorch: scales, levels, and devices or noise on them
(include/lumina/{tiled_weights,programmed,tiled_weight_noise}.hpp)."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

import numpy as np
import torch
from torch import Tensor

from ..array_layout import Span, spans
from ..array_settings import Encoding, WeightNoise
from ..hardware.cells import Cell, StuckAt
from ..hardware.mapping import Mapping, Slices, Wires
from ..mixing import mixed
from .pure_torch import generator_on
from .torch_devices import (
    DeviceDraws,
    Pairs,
    conductances,
    largest_deviation,
    linspace,
    polynomial,
)
from .torch_wires import effective_conductances

_SMALLEST_STEP = 2.0**-149
_GRID = 127  #: codes on each side of 0 of what deviates from its levels


class TiledMatrix(NamedTuple):
    """w [out, in] = s·ŵ, ŵ = code·code_value, on arrays along the inputs."""

    codes: Tensor  #: [out, in]; not integers where weights are not on levels
    code_value: float
    scales: Tensor  #: s [tiles, out]
    tiles: Tuple[Span, ...]  #: of inputs
    #: What the gradient by w is multiplied with, [out, in]
    gradient_factors: Optional[Tensor] = None
    #: Of weights whose codes are digits on arrays of their own, and the bits of those codes
    slices: Optional[Slices] = None
    bits: Optional[int] = None


def largest_magnitudes(matrix: Tensor) -> Tensor:
    """Of each row; 0 of an empty one."""
    if matrix.shape[1] == 0:
        return matrix.new_zeros(matrix.shape[0])
    return torch.maximum(matrix.amax(1), -matrix.amin(1))


def _scales(weight: Tensor, inputs: List[Span], mapping: Mapping) -> Tensor:
    scales = torch.stack([largest_magnitudes(weight[:, begin:end]) for begin, end in inputs])
    if mapping.scale == "tile" and weight.shape[0] != 0:
        for begin, end in spans(weight.shape[0], mapping.tile[1], mapping.split):
            own = scales[:, begin:end]
            own.copy_(own.amax(1, keepdim=True).expand_as(own))
    return scales


def _levels(weight: Tensor, scales: Tensor, inputs: List[Span], bits: Optional[int]) -> Tensor:
    """w / s in steps of a level; without levels w / s."""
    codes = torch.empty_like(weight)
    most = 1 if bits is None else (1 << (bits - 1)) - 1
    steps = (scales / most).clamp_(min=_SMALLEST_STEP).masked_fill_(scales == 0.0, 1.0)
    for step, (begin, end) in zip(steps, inputs):
        codes[:, begin:end] = weight[:, begin:end] / step[:, None]
    return codes if bits is None else codes.round_().clamp_(-most, most)


def _on_grid(weights: Tensor, code_value: float) -> Tensor:
    return weights.div_(code_value).round_().clamp_(-_GRID, _GRID)


def _float32(number: float) -> float:
    return float(np.float32(number))


class _Devices(NamedTuple):
    """Those of a product's weights."""

    cell: Cell
    pairs: Pairs
    wires: Wires
    seconds: Optional[float]
    draws: List[DeviceDraws]

    @staticmethod
    def of(encoding: Encoding, product: int) -> _Devices:
        pairs = Pairs.of(encoding.mapping, encoding.cell)
        words = encoding.chip, encoding.stream, product
        draws = [DeviceDraws(*words, device) for device in range(pairs.devices)]
        return _Devices(encoding.cell, pairs, encoding.wires, encoding.seconds, draws)

    def held(self, weights: Tensor, inputs: List[Span], outputs: List[Span]) -> Tensor:
        """The ŵ that devices hold which are programmed to `weights`."""
        held = []
        for device, draws in enumerate(self.draws):
            targets = self.pairs.target(weights, device)
            own = conductances(self.cell, targets, self.seconds, draws)
            for first, last in outputs if not self.wires.ideal else ():
                for begin, end in inputs:
                    array = own[first:last, begin:end]
                    array.copy_(effective_conductances(array, self.wires))
            held.append(own)
        return self.pairs.weight(held)

    @property
    def code_value(self) -> float:
        return _float32(self.pairs.headroom(largest_deviation(self.cell)) / _GRID)

    def gradient_factors(self, weight: Tensor) -> Optional[Tensor]:
        if not isinstance(self.cell, StuckAt):
            return None
        return (~self.pairs.stuck(weight, self.cell, self.draws)).to(weight.dtype)


class _Noise:
    """Of hardware-aware training, on levels in [−1, 1]."""

    def __init__(self, noise: WeightNoise, product: int) -> None:
        self._noise = noise
        self._key = mixed(noise.key, product)

    def _deviations(self, weights: Tensor) -> Tensor:
        """σ of weights, where it's a polynomial of their magnitude."""
        kind, strength, coefficients, g_max = self._noise[:4]
        if kind == "programming":
            strength /= g_max
        return polynomial(coefficients, weights.abs()).mul_(strength)

    def largest_deviation(self) -> float:
        if self._noise.kind == "none":
            return 0.0
        if self._noise.kind in ("additive", "multiplicative"):
            return self._noise.strength
        return self._deviations(linspace(1.0, 65)).abs().max().item()

    def apply(self, weights: Tensor) -> Tuple[Tensor, Optional[Tensor]]:
        """(the noisy ones, what gradients are multiplied with)."""
        kind, strength = self._noise.kind, self._noise.strength
        generator = generator_on(weights.device, self._key)
        factors = None
        if kind != "none":
            normals = torch.empty_like(weights).normal_(generator=generator)
            if kind == "additive":
                weights = weights.add(normals, alpha=strength)
            elif kind == "multiplicative":
                factors = normals.mul_(strength).add_(1.0)
                weights = weights * factors
            else:
                noisy = weights.addcmul(self._deviations(weights), normals)
                if kind == "programming":  # a weight keeps its sign
                    noisy.abs_()
                    noisy = torch.where(weights < 0.0, -noisy, noisy)
                weights = noisy
        if self._noise.drop_connect > 0.0:
            uniform = torch.empty_like(weights).uniform_(generator=generator)
            kept = (uniform >= self._noise.drop_connect).to(weights.dtype)
            weights = weights * kept
            factors = kept if factors is None else factors.mul_(kept)
        return weights, factors


def encode(weight: Tensor, encoding: Encoding, product: int) -> TiledMatrix:
    """The weights [out, in] of one product; all of them are finite."""
    mapping, bits, noise = encoding.mapping, encoding.mapping.weight_bits, encoding.noise
    if mapping.slices and (encoding.cell or (noise and noise.kind != "none")):
        raise ValueError("mapping.slices go with no cell, and no noise of weights in training")
    inputs = spans(weight.shape[1], mapping.tile[0], mapping.split)
    scales = _scales(weight, inputs, mapping)
    codes = _levels(weight, scales, inputs, bits)
    level = 1.0 if bits is None else _float32(1.0 / ((1 << (bits - 1)) - 1))
    factors = None
    if encoding.cell is not None:
        outputs = spans(weight.shape[0], mapping.tile[1], mapping.split)
        devices = _Devices.of(encoding, product)
        held = devices.held(codes.mul_(level), inputs, outputs)
        factors, level = devices.gradient_factors(weight), devices.code_value
        codes = _on_grid(held, level)
    elif noise is not None:
        own = _Noise(noise, product)
        deviation = own.largest_deviation()
        codes, factors = own.apply(codes.mul_(level))
        if bits is not None:
            if deviation > 0.0:  # else what is not dropped stays on its level
                level = _float32((1.0 + 4.0 * deviation) / _GRID)
            codes = _on_grid(codes, level)
    return TiledMatrix(codes, level, scales, tuple(inputs), factors, mapping.slices, bits)
