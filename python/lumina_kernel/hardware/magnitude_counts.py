"""A histogram of magnitudes, for ranges of converters at a quantile: no activation is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_SHIFT = 18  # of a float's bits: those left are the exponent's and five behind it
_FINITE = 0x7F800000 >> _SHIFT  # bins of finite numbers; those of infinities and NaN follow
_CHUNK = 1 << 20  # np.bincount makes eight bytes of each


class MagnitudeCounts:
    """Counts as include/lumina/magnitude_histogram.hpp does, 32 bins in an octave, with bins for
    all floats. The same whatever the order of what is added and how it is split."""

    def __init__(self) -> None:
        self.not_finite = 0  #: how many NaN and infinities, which are in no bin
        self._bins = np.zeros(_FINITE, np.int64)
        self._largest_bits = 0

    def add(self, values: Any) -> None:
        """The magnitudes of an array of any shape, as float32."""
        values = np.asarray(values, np.float32).reshape(-1)
        for begin in range(0, values.size, _CHUNK):
            bits = np.ascontiguousarray(values[begin : begin + _CHUNK]).view(np.int32) & 0x7FFFFFFF
            counts = np.bincount(bits >> _SHIFT, minlength=_FINITE)
            self._bins += counts[:_FINITE]
            beyond = int(counts[_FINITE:].sum())
            self.not_finite += beyond
            if beyond:
                bits = bits[bits < _FINITE << _SHIFT]
            self._largest_bits = max(self._largest_bits, int(bits.max(initial=0)))

    def merge(self, other: MagnitudeCounts) -> None:
        """As if what `other` has counted was added."""
        self._bins += other._bins
        self.not_finite += other.not_finite
        self._largest_bits = max(self._largest_bits, other._largest_bits)

    @property
    def count(self) -> int:
        """How many finite magnitudes."""
        return int(self._bins.sum())

    @property
    def largest(self) -> float:
        """The largest finite one, exactly; 0 of none."""
        return float(np.int32(self._largest_bits).view(np.float32))

    def quantile(self, share: float) -> float:
        """A magnitude that this share of all, in (0, 1], is not larger than.

        Of n, number ⌈share·n⌉ in ascending order lies in the same bin. Linear between a bin's
        ends, by the number within it; for the last number the largest one itself; of none 0.
        Error: ValueError, another share.
        """
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {share}")
        upto = np.cumsum(self._bins)
        count = int(upto[-1])
        number = min(max(math.ceil(share * count), 1), count)
        if number == count:
            return self.largest
        index = int(np.searchsorted(upto, number))
        begin, end = (np.array([index, index + 1], np.int32) << _SHIFT).view(np.float32).tolist()
        end = min(end, float(np.finfo(np.float32).max))  # of the last bin: infinite
        own = int(self._bins[index])
        within = (number - (int(upto[index]) - own)) / own
        return min(float(np.float32(begin + (end - begin) * within)), self.largest)
