"""Devices of analog arrays in PyTorch: what they have when they were programmed, or later, and how
pairs of them hold weights. Formulas, constants and their sources: include/lumina/cells/*.hpp and
docs/numerics.md, 13. Conductances are in µS, times in seconds."""

from __future__ import annotations

import math
import struct
from typing import NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..hardware.cells import (
    Cell,
    Pcm,
    PcmJoshi2020,
    PolynomialCell,
    ReRamMilo2021,
    ReRamWan2022,
    StuckAt,
)
from ..hardware.mapping import Mapping
from ..mixing import mixed

_PROGRAMMING, _UNIFORM, _DRIFT, _READING = range(4)

#: σ of programming: a polynomial, lowest power first, of the conductance; of PCM of the share of
#: g_max, or of it at a g_max of 25.
_DEVIATIONS = {
    Pcm: (0.26348, 1.9650, -1.1731),
    PcmJoshi2020: (0.28638599, 0.07585724, -0.00178767),
    ReRamMilo2021: (4.782321, -0.009107),
    ReRamWan2022: (1.053, 0.2374, -1.167e-2, 1.536e-4),
}
_PCM_G_MAX = 25.0  # of the publications
_LEAST_SHARE = 1e-7  # of g_max, for logarithms


class DeviceDraws:
    """The random numbers of devices, functions of the words that say which devices they are, and
    those of a reading also of its time: whatever has been asked for before, and wherever tensors are,
    for a chip stays what it is."""

    def __init__(self, *words: int) -> None:
        self._words = words

    def _generator(self, *kind: int) -> torch.Generator:
        return torch.Generator(device="cpu").manual_seed(mixed(*self._words, *kind))

    def _normals(self, like: Tensor, *kind: int) -> Tensor:
        normals = torch.empty_like(like, device="cpu").normal_(generator=self._generator(*kind))
        return normals.to(like.device)

    def programming(self, like: Tensor) -> Tensor:
        return self._normals(like, _PROGRAMMING)

    def drift(self, like: Tensor) -> Tensor:
        return self._normals(like, _DRIFT)

    def reading(self, like: Tensor, seconds: float) -> Tensor:
        (bits,) = struct.unpack("<Q", struct.pack("<d", seconds + 0.0))
        return self._normals(like, _READING, bits)

    def uniform(self, like: Tensor) -> Tensor:
        """In (0, 1]."""
        numbers = torch.empty_like(like, device="cpu")
        numbers.uniform_(generator=self._generator(_UNIFORM)).neg_().add_(1.0)
        return numbers.to(like.device)


def linspace(last: float, count: int) -> Tensor:
    """From 0 on, float32 on the CPU."""
    return torch.linspace(0.0, last, count, dtype=torch.float32, device="cpu")


def polynomial(coefficients: Sequence[float], x: Tensor) -> Tensor:
    """Lowest power first."""
    result = torch.zeros_like(x)
    for coefficient in reversed(coefficients):
        result.mul_(x).add_(coefficient)
    return result


def deviation(cell: Cell, targets: Tensor) -> Tensor:
    """σ of the conductances of devices that are programmed to `targets`."""
    if isinstance(cell, StuckAt):
        return deviation(cell.cell, targets)
    if isinstance(cell, PolynomialCell):
        return polynomial(cell.coefficients, targets).clamp_(min=0.0)
    coefficients = _DEVIATIONS[type(cell)]
    if not isinstance(cell, (Pcm, PcmJoshi2020)):
        return polynomial(coefficients, targets).clamp_(min=0.0)
    fully_on = 1.0 if isinstance(cell, Pcm) else _PCM_G_MAX
    share = targets * (fully_on / cell.g_max)
    return polynomial(coefficients, share).mul_(cell.g_max / _PCM_G_MAX)


def largest_deviation(cell: Cell) -> float:
    """Of 257 targets from 0 to g_max."""
    return deviation(cell, linspace(cell.g_max, 257)).max().item()


def is_stuck(cell: StuckAt, like: Tensor, draws: DeviceDraws) -> Tuple[Tensor, Tensor]:
    """Which devices are stuck, off and on."""
    uniform = draws.uniform(like)
    on = uniform > 1.0 - cell.p_on
    return (uniform < cell.p_off) & ~on, on


def _pcm_at(
    g_max: float, targets: Tensor, programmed: Tensor, seconds: float, draws: DeviceDraws
) -> Tensor:
    t0, read_time = 20.0, 250e-9
    drift_time = math.log((seconds + t0) / t0)
    read_root = math.sqrt(math.log((seconds + t0 + read_time) / (2.0 * read_time)))

    log_share = (targets / g_max).clamp_(min=_LEAST_SHARE).log_()
    mean = (log_share * -0.0155).add_(0.0244).clamp_(0.049, 0.1)
    spread = log_share.mul_(-0.0125).add_(-0.0059).clamp_(0.008, 0.045)
    exponent = mean.addcmul_(spread, draws.drift(targets)).abs_()
    drifted = exponent.mul_(-drift_time).exp_().mul_(programmed)

    share = (programmed / g_max).clamp_(min=_LEAST_SHARE)
    strength = share.pow_(-0.65).mul_(0.0088).clamp_(max=0.2)
    deviations = strength.mul_(drifted).mul_(read_root)
    return drifted.addcmul_(deviations, draws.reading(targets, seconds)).clamp_(min=0.0)


def conductances(
    cell: Cell, targets: Tensor, seconds: Optional[float], draws: DeviceDraws
) -> Tensor:
    """What devices have that were programmed to `targets`: just programmed where there is no time,
    otherwise so long after, noise of reading included."""
    if isinstance(cell, StuckAt):
        off, on = is_stuck(cell, targets, draws)
        held = conductances(cell.cell, targets, seconds, draws)
        return held.masked_fill_(off, cell.g_min).masked_fill_(on, cell.g_max)
    programmed = targets.addcmul(deviation(cell, targets), draws.programming(targets))
    programmed.clamp_(min=0.0)
    if seconds is None or not isinstance(cell, (Pcm, PcmJoshi2020)):
        return programmed
    return _pcm_at(cell.g_max, targets, programmed, seconds, draws)


class Pairs(NamedTuple):
    """How ŵ in [−1, 1] is held by devices of g_min … g_max (include/lumina/cells/pairs.hpp)."""

    kind: str  #: "differential", "two_sided" or "offset"
    g_min: float
    g_max: float

    @staticmethod
    def of(mapping: Mapping, cell: Cell) -> Pairs:
        return Pairs(mapping.cells, mapping.g_min, cell.g_max)

    @property
    def devices(self) -> int:
        return 1 if self.kind == "offset" else 2

    @property
    def _half(self) -> float:
        return 0.5 * (self.g_max - self.g_min)

    @property
    def _unit(self) -> float:
        """What a ŵ of 1 is in what weight() takes."""
        return self._half if self.kind == "offset" else 2.0 * self._half

    def target(self, weights: Tensor, device: int) -> Tensor:
        """Of device 0, g⁺, or 1, g⁻."""
        own = weights if device == 0 else -weights
        if self.kind == "differential":
            targets = own.clamp(0.0, 1.0).mul_(2.0 * self._half).add_(self.g_min)
        else:
            targets = own.clamp(-1.0, 1.0).mul_(self._half).add_(self.g_min + self._half)
        return targets.clamp_(self.g_min, self.g_max)

    def weight(self, conductances: Sequence[Tensor]) -> Tensor:
        """The ŵ that the devices are read as."""
        if self.kind == "offset":
            return (conductances[0] - (self.g_min + self._half)) / self._half
        return (conductances[0] - conductances[1]) / self._unit

    def headroom(self, deviation: float) -> float:
        """How far |ŵ| reaches: 1, and four times what it deviates by."""
        devices = math.sqrt(2.0) if self.kind == "two_sided" else 1.0
        return 1.0 + 4.0 * devices * deviation / self._unit

    def stuck(self, weights: Tensor, cell: StuckAt, draws: Sequence[DeviceDraws]) -> Tensor:
        """Where the device that a change of a weight would program is stuck: that of the weight's
        sign; of a weight of 0, and of two_sided, both would have to be."""
        stuck = [torch.logical_or(*is_stuck(cell, weights, own)) for own in draws]
        if self.kind == "offset":
            return stuck[0]
        if self.kind == "two_sided":
            return stuck[0] & stuck[1]
        return ((weights < 0) | stuck[0]) & ((weights > 0) | stuck[1])
