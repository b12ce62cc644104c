"""FastRng: docs/numerics.md, section 2."""
import numpy as np
import oracle
import pytest
from helpers import assert_names, assert_same_bits

import lumina_kernel as lk

SEEDS = [0, 1, 42, 2**63, 2**64 - 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_words(seed):
    mine, rule = lk.FastRng(seed), oracle.FastRng(seed)
    assert [mine.next() for _ in range(100)] == [rule.next() for _ in range(100)]


@pytest.mark.parametrize("seed", SEEDS)
def test_uniform(seed):
    mine, rule = lk.FastRng(seed), oracle.FastRng(seed)
    values = [mine.uniform() for _ in range(1000)]
    assert values == [rule.uniform() for _ in range(1000)]
    assert all(0 <= value < 1 for value in values) and type(values[0]) is float


@pytest.mark.parametrize("seed", SEEDS)
def test_normals(seed):
    assert_same_bits(lk.FastRng(seed).normals(100), oracle.FastRng(seed).normals(100))


def test_normals_do_not_depend_on_how_they_are_asked_for():
    mine, expected = lk.FastRng(5), oracle.FastRng(5).normals(300)
    parts = [np.array([mine.normal() for _ in range(3)], np.float32), mine.normals(5)]
    block = np.empty((4, 10), np.float32)
    assert mine.fill_normal(block) is None
    parts += [block.ravel(), mine.normals((3, 7, 2)).ravel(), mine.normals(0)]
    drawn = np.concatenate(parts)
    assert_same_bits(drawn, expected[:drawn.size])


def test_words_and_normals_are_two_sequences():
    mine, rule = lk.FastRng(6), oracle.FastRng(6)
    for _ in range(40):
        assert mine.next() == rule.next()
        assert mine.normal() == rule.normals(1)[0]


@pytest.mark.parametrize("jump", ["jump", "long_jump"])
def test_jumps(jump):
    mine, rule = lk.FastRng(7), oracle.FastRng(7)
    mine.normal(), rule.normals(1)
    getattr(mine, jump)()
    getattr(rule, jump)()
    assert [mine.next() for _ in range(5)] == [rule.next() for _ in range(5)]
    assert_same_bits(mine.normals(40), rule.normals(40))  # they start anew


def test_mean_and_stddev_take_one_rounding():
    n = oracle.FastRng(8).normals(64)
    expected = oracle.fma32(np.float32(0.3), n, np.float32(-2.5))
    assert_same_bits(lk.FastRng(8).normals(64, mean=-2.5, stddev=0.3), expected)
    assert_same_bits(lk.FastRng(8).normals((64,), -2.5, 0.3), expected)
    out = np.empty(64, np.float32)
    lk.FastRng(8).fill_normal(out, mean=-2.5, stddev=0.3)
    assert_same_bits(out, expected)
    lk.FastRng(8).fill_normal(out, -2.5, 0.3)
    assert_same_bits(out, expected)


@pytest.mark.parametrize("shape", [0, 5, (), (5,), (2, 3), (2, 0, 3), [2, 3]])
def test_shapes(shape):
    result = lk.FastRng(1).normals(shape)
    assert isinstance(result, np.ndarray) and result.dtype == np.float32
    assert result.shape == np.empty(shape).shape


def test_moments():
    n = lk.FastRng(9).normals(10**6).astype(np.float64)
    assert abs(n.mean()) < 5e-3 and abs(n.var() - 1) < 5 * 2**0.5 * 1e-3


@pytest.mark.parametrize("seed", [-1, 2**64, 10**30])
def test_seeds_beyond_64_bits(seed):
    with pytest.raises(ValueError) as error:
        lk.FastRng(seed)
    assert_names(str(error.value), "seed")


@pytest.mark.parametrize("seed", [1.5, "1", None])
def test_seeds_that_are_no_integers(seed):
    with pytest.raises(TypeError):
        lk.FastRng(seed)


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize("out, exception, words", [
    (np.full(6, 7.0), TypeError, ("float64", "float32")),
    ([1.0, 2.0], TypeError, ()),
    (None, TypeError, ()),
    (np.full(6, 7, np.float32)[::2], ValueError, ()),
    (np.full((4, 6), 7, np.float32)[:, :3], ValueError, ((4, 3),)),
    (np.full((4, 6), 7, np.float32).T, ValueError, ((6, 4),)),
    (read_only(np.full(6, 7, np.float32)), ValueError, ()),
], ids=["float64", "list", "None", "strided", "slice", "fortran", "read-only"])
def test_out_that_cannot_be_filled(out, exception, words):
    rng = lk.FastRng(1)
    with pytest.raises(exception) as error:
        rng.fill_normal(out)
    assert_names(str(error.value), "out", *words)
    if isinstance(out, np.ndarray):
        assert (out == 7).all()
    assert rng.normal() == lk.FastRng(1).normal()  # nothing was drawn


@pytest.mark.parametrize("name, value", [
    ("mean", float("nan")), ("stddev", float("inf")), ("stddev", -1.0)])
def test_mean_and_stddev_out_of_range(name, value):
    with pytest.raises(ValueError) as error:
        lk.FastRng(1).normals(3, **{name: value})
    assert_names(str(error.value), name)


@pytest.mark.parametrize("shape", [-1, (2, -3)])
def test_negative_shapes(shape):
    with pytest.raises(ValueError):
        lk.FastRng(1).normals(shape)


@pytest.mark.parametrize("place", [
    dict(seed=-1), dict(seed=2**64), dict(row=-1), dict(col=-1), dict(stream=-1),
    dict(stream=2**64), dict(row_offset=-1)])
def test_places_outside_the_field(place):
    arguments = dict(dict(seed=1, row=2, col=3), **place)
    with pytest.raises(ValueError) as error:
        lk.standard_normal_at(**arguments)
    assert_names(str(error.value), *place)
