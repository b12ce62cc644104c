"""DAC and ADC as both computations of a layer take them."""

from __future__ import annotations

from typing import NamedTuple, Tuple, Union

import numpy as np
from torch import Tensor


class Converter(NamedTuple):
    """`bits` over [lo, hi], exact in float32: 2^bits levels from lo to hi, or where `symmetric`,
    with lo = −hi, 2^bits − 1 of them, 0 among them."""

    bits: int
    lo: float
    hi: float
    symmetric: bool = False

    @property
    def step(self) -> float:
        """Between two levels, rounded to float32."""
        return float(np.float32((self.hi - self.lo) / ((1 << self.bits) - 1 - self.symmetric)))

    @property
    def origin(self) -> float:
        """The level whose code is 0."""
        return 0.0 if self.symmetric else self.lo


class LimitConverter(NamedTuple):
    """The converter over ± `limit`, whose value only the device knows that it lies on. What is a
    number of a Converter is a scalar there."""

    bits: int
    limit: Tensor  #: a scalar of float32, which nobody changes
    symmetric: bool = False

    @property
    def lo(self) -> Tensor:
        return -self.limit

    @property
    def hi(self) -> Tensor:
        return self.limit

    @property
    def step(self) -> Tensor:
        return (self.limit.double() * 2.0 / ((1 << self.bits) - 1 - self.symmetric)).float()

    @property
    def origin(self) -> Union[float, Tensor]:
        return 0.0 if self.symmetric else -self.limit


AnyConverter = Union[Converter, LimitConverter]


def checked_range(name: str, bounds: Tuple[float, float], bits: int) -> Tuple[float, float]:
    """`bounds` in float32. Error: ValueError if no converter with `bits` can have them."""
    try:
        lo, hi = (float(np.float32(bound)) for bound in bounds)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a pair of numbers (lo, hi), not {bounds!r}") from None
    largest = float(np.finfo(np.float32).max)
    if not (lo < hi and hi - lo <= largest and Converter(bits, lo, hi).step > 0):
        raise ValueError(f"{name} must be finite with lo < hi in float32, not {bounds!r}")
    return lo, hi


def is_symmetric(bounds: Tuple[float, float]) -> bool:
    return bounds[0] == -bounds[1]
