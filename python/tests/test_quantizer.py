"""Quantizer: docs/numerics.md, section 1."""
import numpy as np
import oracle
import pytest
from helpers import assert_names, assert_same_bits
from hypothesis import assume, given
from hypothesis import strategies as st

import lumina_kernel as lk

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)


def awkward_values(quantizer):
    """Levels, ties and their neighbours, the ends, and what lies beyond."""
    codes = np.arange(min(quantizer.max_code + 1, 300), dtype=np.float32)
    levels = quantizer.lo + codes * quantizer.step
    ties = quantizer.lo + (codes + np.float32(0.5)) * quantizer.step
    values = np.concatenate([levels, ties]).astype(np.float32)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, quantizer.hi, 1e38, -1e38, 1e-45]
    return np.concatenate([values, np.nextafter(values, np.float32(np.inf)),
                           np.nextafter(values, np.float32(-np.inf)),
                           np.array(special, np.float32)])


@pytest.mark.parametrize("lo, hi", [(-10.0, 10.0), (0.0, 1.0), (-0.1, 0.3), (1e-3, 1e3)])
@pytest.mark.parametrize("bits", [1, 2, 4, 7, 8, 12, 13, 16])
def test_has_the_bits_of_the_rule(bits, lo, hi):
    mine, rule = lk.Quantizer(bits, lo, hi), oracle.Quantizer(bits, lo, hi)
    values = awkward_values(rule)
    codes = mine.encode(values)
    assert codes.dtype == np.uint32
    np.testing.assert_array_equal(codes, rule.encode(values))
    assert_same_bits(mine.decode(codes), rule.decode(codes))
    assert_same_bits(mine(values), rule(values))
    in_place = values.copy()
    assert mine.apply(in_place) is None
    assert_same_bits(in_place, rule(values))


@given(st.integers(1, 16), floats, floats, st.lists(floats, max_size=40))
def test_any_range(bits, lo, hi, values):
    lo, hi = min(lo, hi), max(lo, hi)
    assume(lo < hi and float(hi) - float(lo) < 3.4e38)
    rule = oracle.Quantizer(bits, lo, hi)
    assume(rule.step > 0)
    mine, values = lk.Quantizer(bits, lo, hi), np.array(values, np.float32)
    assert mine.step == rule.step
    np.testing.assert_array_equal(mine.encode(values), rule.encode(values))
    assert_same_bits(mine(values), rule(values))


def test_attributes():
    quantizer = lk.Quantizer(4, -1.0, 2.0)
    assert (quantizer.bits, quantizer.lo, quantizer.hi) == (4, -1.0, 2.0)
    assert quantizer.max_code == 15 and quantizer.step == np.float32(3 / 15)
    assert lk.Quantizer(bits=4, lo=-1.0, hi=2.0).step == quantizer.step
    for name in ("bits", "lo", "hi", "step", "max_code"):
        assert name not in ("bits", "max_code") or type(getattr(quantizer, name)) is int
        with pytest.raises(AttributeError):
            setattr(quantizer, name, 1)
    assert "4" in repr(quantizer)


def test_numbers_give_numbers():
    quantizer = lk.Quantizer(2, 0.0, 3.0)
    assert quantizer.encode(1.75) == 2 and type(quantizer.encode(1.75)) is int
    assert quantizer.decode(2) == 2.0 and type(quantizer.decode(2)) is float
    assert quantizer(1.75) == 2.0 and type(quantizer(1.75)) is float
    assert [quantizer.encode(v) for v in (0.5, 1.5, 2.5)] == [0, 2, 2]  # ties to even
    assert quantizer.encode(float("nan")) == 0 and np.isnan(quantizer(float("nan")))
    assert quantizer.encode(float("inf")) == 3 and quantizer.encode(float("-inf")) == 0
    assert quantizer(1e300) == 3.0 and quantizer(-1e300) == 0.0
    assert quantizer.encode(7) == 3


@pytest.mark.parametrize("number", [np.float32(0.3), np.float64(0.3), np.int64(0)])
def test_numpys_numbers_are_numbers(number):
    quantizer = lk.Quantizer(8, 0.0, 1.0)
    assert np.shape(quantizer(number)) == () and quantizer(number) == quantizer(float(number))
    assert np.shape(quantizer.encode(number)) == ()
    assert quantizer.encode(number) == quantizer.encode(float(number))
    assert quantizer.decode(np.uint8(200)) == quantizer.decode(200)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (7,), (3, 5), (2, 3, 4), (4, 0)])
def test_arrays_keep_their_shape(shape):
    quantizer, rule = lk.Quantizer(5, -1.0, 1.0), oracle.Quantizer(5, -1.0, 1.0)
    values = np.random.default_rng(1).uniform(-1.5, 1.5, shape).astype(np.float32)
    before = values.copy()
    codes = quantizer.encode(values)
    np.testing.assert_array_equal(codes, rule.encode(values))
    assert codes.shape == shape
    assert_same_bits(quantizer.decode(codes), rule.decode(codes))
    assert_same_bits(quantizer(values), rule(values))
    assert_same_bits(values, before)
    quantizer.apply(values)
    assert_same_bits(values, rule(before))


def test_strided_arrays():
    quantizer, rule = lk.Quantizer(5, -1.0, 1.0), oracle.Quantizer(5, -1.0, 1.0)
    values = np.linspace(-2, 2, 60, dtype=np.float32).reshape(6, 10)
    for view in (values[:, ::2], values.T, values[::-1], values[:, 3:5]):
        assert_same_bits(quantizer(view), rule(view))
        np.testing.assert_array_equal(quantizer.encode(view), rule.encode(view))


@pytest.mark.parametrize("arguments, words", [
    ((0, 0.0, 1.0), ("bits", 0, 1, 16)), ((17, 0.0, 1.0), ("bits", 17, 16)),
    ((-1, 0.0, 1.0), ("bits",)), ((2**40, 0.0, 1.0), ("bits",)),
    ((8, 1.0, 1.0), ("lo", "hi")), ((8, 2.0, 1.0), ("lo", "hi")),
    ((8, float("nan"), 1.0), ("lo",)), ((8, 0.0, float("nan")), ("hi",)),
    ((8, 0.0, float("inf")), ("hi",)), ((8, -3e38, 3e38), ("lo", "hi")),
    ((16, 0.0, 1e-45), ("lo", "hi"))])
def test_errors(arguments, words):
    with pytest.raises(ValueError) as error:
        lk.Quantizer(*arguments)
    assert_names(str(error.value), *words)


@pytest.mark.parametrize("arguments", [(8.5, 0.0, 1.0), ("8", 0.0, 1.0), (8, "0", 1.0), (8, 0.0)])
def test_wrong_types(arguments):
    with pytest.raises(TypeError):
        lk.Quantizer(*arguments)


def test_wrong_arrays():
    quantizer = lk.Quantizer(8, 0.0, 1.0)
    for method in (quantizer.encode, quantizer, quantizer.apply):
        with pytest.raises(TypeError) as error:
            method(np.zeros(3))
        assert_names(str(error.value), "float64", "float32")
    with pytest.raises(TypeError):
        quantizer.decode(np.zeros(3, np.float32))
    with pytest.raises((TypeError, ValueError)):
        quantizer.apply(1.0)


def test_apply_writes_nothing_where_it_cannot():
    quantizer = lk.Quantizer(8, 0.0, 1.0)
    values = np.full(6, 0.7654, np.float32)
    values.flags.writeable = False
    with pytest.raises(ValueError):
        quantizer.apply(values)
    assert (values == np.float32(0.7654)).all()


@pytest.mark.parametrize("code", [
    -1, 256, 2**32, 2**70, np.array([0, 256], np.uint32), np.array([[2**63 + 1]], np.uint64),
    np.array([0, -1])], ids=repr)
def test_codes_beyond_the_range_are_errors(code):
    with pytest.raises(ValueError) as error:
        lk.Quantizer(8, 0.0, 1.0).decode(code)
    assert_names(str(error.value), 0, 255)
