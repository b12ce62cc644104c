"""The oracle itself, against published values and exact rational arithmetic."""
from fractions import Fraction

import numpy as np
import oracle
from helpers import assert_same_bits
from oracle.golden import noise_field
from oracle.quantizer import step_of


def test_splitmix64_is_the_published_sequence():
    rng = oracle.SplitMix64(1234567)
    assert [rng.next() for _ in range(5)] == [
        6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431,
        16408922859458223821]


def test_xoshiro256plusplus_is_the_published_sequence():
    rng = oracle.FastRng(0)
    rng.state = [1, 2, 3, 4]
    assert [rng.next() for _ in range(10)] == [
        41943041, 58720359, 3588806011781223, 3591011842654386, 9228616714210784205,
        9973669472204895162, 14011001112246962877, 12406186145184390807, 15849039046786891736,
        10450023813501588000]


def test_normals_are_the_golden_ones():
    for seed, stream, row_offset, row, col, draw, value in oracle.golden_normals():
        field = oracle.normals(seed, 1, col + 1, stream, row_offset + row, draw)
        assert_same_bits(field[0, col], value)


def test_fma32_rounds_once():
    rng = np.random.default_rng(1)
    a, b, c = (rng.standard_normal(2000, np.float32) for _ in range(3))
    c *= np.float32(2) ** rng.integers(-40, 30, 2000).astype(np.float32)
    c[:500] = -(a * b)[:500]  # cancellation: the product's last bits are the result
    for row in zip(a, b, c, oracle.fma32(a, b, c)):
        a_, b_, c_, result = (Fraction(float(value)) for value in row)
        assert noise_field.rounded(a_ * b_ + c_) == result


def test_step_keeps_the_highest_level_finite():
    largest = float(np.finfo(np.float32).max)
    for max_code in (1, 3, 255, 65535):
        assert np.isfinite(np.float32(float(step_of(largest, max_code)) * max_code))
