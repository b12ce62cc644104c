"""optical_linear_physics: crosstalk, shot noise, attenuation; and mix_neighbours."""
import numpy as np
import pytest
from helpers import assert_names, assert_same_bits, integer_data, layer_data

import lumina_kernel as lk

QUIET = dict(shot_noise=0.0, noise_std=0.0)


def mixed_by_the_rule(w, crosstalk):
    w = w.astype(np.float64)
    mixed = w.copy()
    mixed[1:] += crosstalk * w[:-1]
    mixed[:-1] += crosstalk * w[1:]
    return mixed


@pytest.mark.parametrize("outputs", [0, 1, 2, 3, 33])
def test_mixed_weights(outputs):
    w = integer_data(1, 37, outputs)[1]
    mixed = lk.mix_neighbours(w, 0.25)
    assert mixed.dtype == np.float32
    np.testing.assert_array_equal(mixed, mixed_by_the_rule(w, 0.25))
    np.testing.assert_array_equal(lk.mix_neighbours(w.T.copy().T, 0.25), mixed)


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_weights_are_quantized_before_they_mix(bits):
    w = layer_data(1, 37, 20)[1]
    w[3] = 0
    mixed = lk.mix_neighbours(w, 0.0, weight_bits=bits)
    if bits <= 8:
        assert_same_bits(mixed + 0, lk.CodedWeights(w, bits).decode() + 0)
    x = np.eye(37, dtype=np.float32)
    options = dict(bits=16, lo=-16.0, hi=16.0)
    assert_same_bits(lk.optical_linear_infer(x, mixed, None, **options),
                     lk.optical_linear_infer(x, w, None, **options, weight_bits=bits))
    np.testing.assert_allclose(lk.mix_neighbours(w, 0.1, weight_bits=bits),
                               mixed_by_the_rule(mixed, 0.1), rtol=0, atol=1e-6)


def test_without_noise_it_is_the_product_with_mixed_weights_and_attenuation():
    x, w, bias = integer_data(5, 20, 30)
    y = lk.optical_linear_physics(
        x, w, bias, 16, 1, crosstalk=0.25, attenuation=0.5, **QUIET, lo=-4096.0, hi=4095.875)
    expected = 0.5 * (x.astype(np.float64) @ mixed_by_the_rule(w, 0.25).T + bias)
    np.testing.assert_array_equal(y, expected)  # the step is 1/8


def test_the_additive_noise_is_that_of_fused():
    x, w, bias = layer_data(5, 20, 30)
    y = lk.optical_linear_physics(x, w, bias, 8, 7, shot_noise=0, crosstalk=0, attenuation=1,
                                  noise_std=0.3, stream=2, row_offset=9)
    assert_same_bits(y, lk.optical_linear_fused(x, w, bias, 0.3, 8, 7, stream=2, row_offset=9))


def test_the_shot_noise_is_that_of_the_root_of_the_signal():
    batch, level = 4000, 4.0
    x, w = np.full((batch, 1), level, np.float32), np.array([[1], [4], [0]], np.float32)
    y = lk.optical_linear_physics(x, w, None, 16, 3, shot_noise=0.1, noise_std=0.0, crosstalk=0,
                                  attenuation=0.5, lo=-16.0, hi=16.0)
    deviations = y.std(axis=0, dtype=np.float64)
    np.testing.assert_allclose(deviations[:2], [0.5 * 0.1 * 2, 0.5 * 0.1 * 4], rtol=0.05)
    assert deviations[2] == 0
    np.testing.assert_allclose(y[:, :2].mean(axis=0), [2, 8], rtol=0.01)


def test_threads_shards_and_out():
    x, w, bias = layer_data(64, 100, 300)
    whole = lk.optical_linear_physics(x, w, bias, 8, 1, threads=1)
    assert_same_bits(lk.optical_linear_physics(x, w, bias, 8, 1), whole)
    out = np.empty_like(whole)
    assert lk.optical_linear_physics(x[10:], w, bias, 8, 1, row_offset=10, out=out[10:]).base is out
    assert_same_bits(out[10:], whole[10:])


def test_codes_without_crosstalk():
    x, w, bias = layer_data(8, 50, 60)
    options = dict(crosstalk=0, dac_bits=8)
    y = lk.optical_linear_physics(x, lk.CodedWeights(w), bias, 8, 1, **options)
    assert_same_bits(y, lk.optical_linear_physics(x, w, bias, 8, 1, **options, weight_bits=8))


@pytest.mark.parametrize("packed", [lk.PackedWeights, lk.CodedWeights])
def test_packed_weights_cannot_mix(packed):
    x, w, _ = layer_data(2, 3, 4)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_physics(x, packed(w), None, 8, 1, dac_bits=8)
    assert_names(str(error.value), "crosstalk", "weight", "mix_neighbours")
    mixed = lk.PackedWeights(lk.mix_neighbours(w, 0.01))
    assert_same_bits(lk.optical_linear_physics(x, mixed, None, 8, 1, crosstalk=0),
                     lk.optical_linear_physics(x, w, None, 8, 1))


@pytest.mark.parametrize("changes, words", [
    (dict(crosstalk=-0.1), ("crosstalk",)), (dict(crosstalk=1.5), ("crosstalk", 1.5)),
    (dict(shot_noise=-1), ("shot_noise",)), (dict(attenuation=0), ("attenuation", 0)),
    (dict(attenuation=float("nan")), ("attenuation",)), (dict(noise_std=-1), ("noise_std",))])
def test_numbers_out_of_range(changes, words):
    x, w, _ = layer_data(2, 3, 4)
    out = np.full((2, 4), 7, np.float32)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_physics(x, w, None, 8, 1, out=out, **changes)
    assert_names(str(error.value), *words)
    assert (out == 7).all()


def test_weights_to_quantize_must_be_finite():
    x, w, _ = layer_data(2, 3, 4)
    w[1, 1] = np.inf
    with pytest.raises(ValueError, match="weight"):
        lk.optical_linear_physics(x, w, None, 8, 1, weight_bits=8)
    with pytest.raises(ValueError, match="weight"):
        lk.mix_neighbours(w, weight_bits=8)


def test_gradients_by_the_recipe_of_the_documentation():
    x, w, _ = integer_data(4, 5, 6)
    g = integer_data(4, 6, 1, seed=2)[0]
    mixed = lk.mix_neighbours(w, 0.25)
    grad_x, grad_mixed = lk.optical_linear_backward_kernel(g, x, mixed)
    np.testing.assert_array_equal(grad_x, g @ mixed_by_the_rule(w, 0.25))
    mixing = mixed_by_the_rule(np.eye(6), 0.25)  # of outputs: symmetric
    np.testing.assert_array_equal(lk.mix_neighbours(grad_mixed, 0.25), mixing.T @ (g.T @ x))
