"""DAC and ADC as both computations of a layer take them."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np


class Converter(NamedTuple):
    """`bits` over [lo, hi]: codes 0 … 2^bits − 1; the bounds are exact in float32."""

    bits: int
    lo: float
    hi: float

    @property
    def step(self) -> float:
        """Between two levels: (hi − lo) / (2^bits − 1), rounded to float32."""
        return float(np.float32((self.hi - self.lo) / ((1 << self.bits) - 1)))


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
