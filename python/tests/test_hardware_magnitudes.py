"""MagnitudeCounts: quantiles within a bin of the sorted ones, whatever the split."""
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lumina_kernel.hardware.magnitude_counts import MagnitudeCounts

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
arrays = st.lists(finite, max_size=60).map(lambda values: np.array(values, np.float32))
shares = st.floats(0, 1, exclude_min=True)


def counted(*parts):
    counts = MagnitudeCounts()
    for part in parts:
        counts.add(part)
    return counts


def bin_of(magnitude):
    return int(np.float32(magnitude).view(np.int32)) >> 18


def assert_same(left, right):
    assert (left.count, left.not_finite, left.largest) == (
        right.count, right.not_finite, right.largest)
    for share in np.linspace(0.01, 1, 100):
        assert left.quantile(share) == right.quantile(share)


def assert_within_a_bin(values, share):
    ascending = np.sort(np.abs(values))
    number = min(max(math.ceil(share * values.size), 1), values.size)
    quantile, exact = counted(values).quantile(share), ascending[number - 1]
    # The end of a bin is the begin of the next one.
    assert bin_of(quantile) - bin_of(exact) in (0, 1), (quantile, exact)
    assert bin_of(quantile) == bin_of(exact) or not np.float32(quantile).view(np.int32) & 0x3FFFF
    assert quantile <= ascending[-1]


@given(arrays, shares)
def test_quantiles_of_any_numbers(values, share):
    if values.size:
        assert_within_a_bin(values, share)
        assert counted(values).quantile(1) == np.abs(values).max()
    else:
        assert counted(values).quantile(share) == 0


@pytest.mark.parametrize("scale", [1e-42, 1e-38, 1e-3, 1, 1e30])
def test_quantiles_of_a_distribution(scale):
    values = (np.random.default_rng(1).standard_normal(100_000) * scale).astype(np.float32)
    for share in (1e-6, 0.01, 0.3, 0.5, 0.9, 0.99, 0.9999, 1 - 1e-9, 1):
        assert_within_a_bin(values, share)


def test_linear_within_a_bin():
    values = np.repeat(np.float32(1.0), 4)
    assert counted(values, [2.0]).quantile(0.4) == 1 + 2 / 4 / 32  # number 2 of 4
    assert counted(values, [2.0]).quantile(0.8) == 1 + 1 / 32  # the bin's end
    assert counted(values).quantile(0.4) == 1.0  # the largest one
    assert counted([np.finfo(np.float32).max] * 2).quantile(0.5) < 3.5e38


@given(st.lists(arrays, max_size=5))
def test_a_split_changes_nothing(parts):
    whole = counted(np.concatenate([*parts, np.zeros(0, np.float32)]))
    assert_same(counted(*parts), whole)
    merged = MagnitudeCounts()
    for part in reversed(parts):
        merged.merge(counted(part))
    assert_same(merged, whole)


def test_chunks_change_nothing():
    values = np.random.default_rng(2).standard_normal((3, 700_001)).astype(np.float32)
    values[:, ::1000] = np.inf
    whole = counted(values)
    assert whole.count == np.isfinite(values).sum()
    assert_same(whole, counted(*values))


def test_not_finite_numbers_are_counted_apart():
    counts = counted(np.array([[1, np.nan], [-np.inf, -3], [np.inf, -np.nan]], np.float32))
    assert (counts.count, counts.not_finite, counts.largest) == (2, 4, 3)
    assert counted([np.nan, np.inf]).quantile(0.5) == 0


def test_any_array():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for same in (values, values[::-1, :, ::-1], np.asfortranarray(values), values.astype(np.int64),
                 values.astype(np.float64), values.tolist()):
        assert_same(counted(same), counted(values.ravel()))
    assert counted(np.float32(-2)).largest == 2


@pytest.mark.parametrize("share", [0, -0.5, 1.0001, float("nan"), float("inf")])
def test_other_shares(share):
    with pytest.raises(ValueError, match="share"):
        counted([1.0]).quantile(share)
