"""The noise that optical_linear_fused adds."""
import numpy as np
import oracle
import pytest
from helpers import assert_same_bits, layer_data

import lumina_kernel as lk

WIDE = dict(lo=-32.0, hi=32.0)


def noise_of_a_layer(batch, outputs, seed, **options):
    """x = 0, so that y is the ADC of the noise alone."""
    x, w = np.zeros((batch, 1), np.float32), np.zeros((outputs, 1), np.float32)
    return lk.optical_linear_fused(x, w, None, 1.0, 16, seed, **WIDE, **options)


def adc(values):
    return oracle.Quantizer(16, **WIDE)(values)


def test_standard_normal_at_is_golden():
    places = oracle.golden_places()
    assert len(places) > 20
    for seed, stream, row_offset, row, col, value in places:
        normal = lk.standard_normal_at(seed, row, col, stream=stream, row_offset=row_offset)
        assert type(normal) is float and normal == value


@pytest.mark.parametrize("seed, stream, row_offset", [
    (0, 0, 0), (2**64 - 1, 0, 0), (5, 2**64 - 1, 0), (5, 1, 2**64 - 3), (2**63, 2**63, 2**63)])
def test_a_layer_adds_standard_normal_at(seed, stream, row_offset):
    options = dict(stream=stream, row_offset=row_offset)
    y = noise_of_a_layer(5, 300, seed, **options)
    normals = [[lk.standard_normal_at(seed, row, col, **options) for col in range(300)]
               for row in range(5)]
    assert_same_bits(y, adc(normals))


def test_row_offset_is_added_to_the_row():
    assert lk.standard_normal_at(1, 7, 9) == lk.standard_normal_at(1, 3, 9, row_offset=4)


def test_each_part_of_the_key_changes_all_of_the_noise():
    fields = [noise_of_a_layer(50, 60, 1), noise_of_a_layer(50, 60, 2),
              noise_of_a_layer(50, 60, 1, stream=1), noise_of_a_layer(50, 60, 1, row_offset=50)]
    for i, field in enumerate(fields):
        for other in fields[:i]:
            assert (field == other).mean() < 0.01
            assert abs(np.corrcoef(field.ravel(), other.ravel())[0, 1]) < 5 / 3000**0.5


def test_moments():
    n = noise_of_a_layer(256, 1024, 3).astype(np.float64)
    count = n.size
    assert abs(n.mean()) < 5 / count**0.5
    assert abs(n.var() - 1) < 5 * (2 / count) ** 0.5
    assert abs((n**3).mean()) < 5 * (15 / count) ** 0.5
    assert abs((n**4).mean() - 3) < 5 * (96 / count) ** 0.5
    for a, b in [(n[:, 1:], n[:, :-1]), (n[1:], n[:-1]), (n[:, 16:], n[:, :-16])]:
        assert abs((a * b).mean()) < 5 / a.size**0.5


def test_noise_is_scaled_by_noise_std_and_added_to_the_value():
    x, w, bias = layer_data(20, 10, 200)
    clean = lk.optical_linear_infer(x, w, bias, 16, **WIDE)
    noisy = lk.optical_linear_fused(x, w, bias, 0.125, 16, 6, **WIDE)
    np.testing.assert_allclose(noisy - clean, 0.125 * oracle.normals(6, 20, 200), atol=2e-3)
