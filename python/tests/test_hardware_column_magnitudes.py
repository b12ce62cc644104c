"""ColumnMagnitudes: the quantiles of MagnitudeCounts, for each column of a matrix."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from lumina_kernel.hardware.column_magnitudes import ColumnMagnitudes
from lumina_kernel.hardware.magnitude_counts import MagnitudeCounts


def columns_of(rows, scales, seed=1):
    values = np.random.default_rng(seed).normal(size=(rows, len(scales)))
    return (values * scales).astype(np.float32)


def counted(*parts):
    counts = ColumnMagnitudes(parts[0].shape[1])
    for part in parts:
        counts.add(part)
    return counts


@given(
    st.integers(1, 300),
    st.lists(st.floats(0.1, 10.0), min_size=1, max_size=5),
    st.floats(0.5, 1.0),  # of smaller ones a column may have some below all bins
    st.integers(0, 300),
)
def test_are_those_of_each_column(rows, scales, share, cut):
    values = columns_of(rows, scales)
    quantiles = counted(values[:cut], values[cut:]).quantile(share)
    assert quantiles.dtype == np.float32 and quantiles.shape == (len(scales),)
    for column, quantile in zip(values.T, quantiles):
        counts = MagnitudeCounts()
        counts.add(column)
        assert quantile == pytest.approx(counts.quantile(share), rel=1e-6)


def test_a_larger_value_later_moves_the_bins():
    small, large = columns_of(200, [1.0, 2.0]), columns_of(200, [3e3, 5e2], seed=2)
    there, back = counted(small, large), counted(large, small)
    assert np.array_equal(there.quantile(0.99), back.quantile(0.99))
    assert np.array_equal(there.largest, np.abs(np.concatenate([small, large])).max(0))


def test_columns_that_are_far_smaller_than_others():
    values = np.ones((100, 2), np.float32)
    values[:, 0] = np.float32(2.0**-40)
    values[::2, 1] = np.float32(2.0**-60)
    quantiles = counted(values).quantile(0.5)
    assert quantiles[0] == np.float32(2.0**-40)  # the column's largest
    assert 2.0**-17 < quantiles[1] < 2.0**-15  # the first bin's begin


def test_zeros_empty_batches_and_a_share_of_1():
    values = columns_of(50, [1.0, 1.0])
    values[:, 1] = 0.0
    counts = counted(values, values[:0])
    assert counts.quantile(0.9)[1] == 0.0
    assert np.array_equal(counts.quantile(1.0), np.abs(values).max(0))


@pytest.mark.parametrize("share", [0.0, 1.1, -1.0, float("nan")])
def test_other_shares_are_refused(share):
    with pytest.raises(ValueError, match="share"):
        counted(columns_of(3, [1.0])).quantile(share)
