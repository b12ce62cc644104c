"""Histograms of magnitudes side by side, for a quantile of each column: no activation is kept."""

from __future__ import annotations

import math

import numpy as np

_SHIFT = 18  # as of MagnitudeCounts: 32 bins in an octave
_BINS = 512  # sixteen octaves below the largest magnitude of all columns; smaller ones are counted


class ColumnMagnitudes:
    """The same whatever the order of rows and how they are split; 4 KiB for each column."""

    def __init__(self, columns: int) -> None:
        self.largest = np.zeros(columns, np.float32)  #: of each column, exactly
        self._rows = 0
        self._first = 1  # the first bin's number; counts of smaller ones are in front of it
        self._counts = np.zeros((columns, 1 + _BINS), np.int64)

    def add(self, values: np.ndarray) -> None:
        """Finite float32 [rows, columns]."""
        if values.size == 0:
            return
        bits = np.ascontiguousarray(values).view(np.int32) & 0x7FFFFFFF
        largest = bits.max(axis=0)
        np.maximum(self.largest, largest.view(np.float32), out=self.largest)
        self._make_place(int(largest.max()) >> _SHIFT)
        bits >>= _SHIFT
        bits -= self._first - 1
        places = np.maximum(bits, 0, out=bits) + np.arange(len(largest)) * (1 + _BINS)
        counts = np.bincount(places.reshape(-1), minlength=self._counts.size)
        self._counts += counts.reshape(self._counts.shape)
        self._rows += len(values)

    def _make_place(self, top: int) -> None:
        by = top - (self._first + _BINS) + 1
        if by <= 0:
            return
        gone = min(by, _BINS)
        self._counts[:, 0] += self._counts[:, 1 : 1 + gone].sum(axis=1)
        self._counts[:, 1 : 1 + _BINS - gone] = self._counts[:, 1 + gone :]
        self._counts[:, 1 + _BINS - gone :] = 0
        self._first += by

    def quantile(self, share: float) -> np.ndarray:
        """MagnitudeCounts.quantile() of each column, float32; where that is smaller than all bins,
        the first one's begin, if the column's largest is not smaller still. Error: ValueError, a
        share outside (0, 1]."""
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1, not {share}")
        number = min(max(math.ceil(share * self._rows), 1), self._rows)
        if number == self._rows:
            return self.largest.copy()
        upto = np.cumsum(self._counts, axis=1)
        place = (upto < number).sum(axis=1)
        columns = np.arange(len(place))
        own = np.maximum(self._counts[columns, place], 1)
        within = (number - (upto[columns, place] - own)) / own
        begin, end = (
            ((place - 1 + self._first + i).astype(np.int32) << _SHIFT).view(np.float32)
            for i in (0, 1)
        )
        result = np.where(place == 0, end, begin + (end - begin) * within)
        return np.minimum(result.astype(np.float32), self.largest)
