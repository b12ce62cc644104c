"""optical_linear_fused and optical_linear_infer: values."""
import numpy as np
import oracle
import pytest
from helpers import assert_same_bits, has_fma, integer_data, layer_data
from hypothesis import given
from hypothesis import strategies as st

import lumina_kernel as lk

SHAPES = [(1, 1, 1), (1, 130, 10), (3, 5, 7), (8, 33, 65), (17, 40, 48), (2, 64, 300)]


def expected(*args, **options):
    return oracle.layer(*args, **options, fused=has_fma())


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("noise_std", [0.0, 0.25])
@pytest.mark.parametrize("shape", SHAPES)
def test_has_the_bits_of_the_oracle(shape, noise_std, with_bias):
    x, w, bias = layer_data(*shape)
    bias = bias if with_bias else None
    y = lk.optical_linear_fused(x, w, bias, noise_std, 8, 42)
    assert_same_bits(y, expected(x, w, bias, 8, noise_std, 42))


@pytest.mark.parametrize("bits", range(1, 17))
def test_adc_bits_and_range(bits):
    x, w, bias = layer_data(9, 20, 35)
    y = lk.optical_linear_fused(x, w, bias, 0.125, bits, 7, lo=-1.5, hi=3.25)
    assert_same_bits(y, expected(x, w, bias, bits, 0.125, 7, lo=-1.5, hi=3.25))
    assert y.min() == -1.5 and y.max() == pytest.approx(3.25)  # the data saturates at both ends


@pytest.mark.parametrize("weight_bits", [None, 4, 8, 9, 16])
@pytest.mark.parametrize("dac_bits", [None, 1, 6, 8, 9, 16])
def test_dac_and_weight_bits(dac_bits, weight_bits):
    x, w, bias = layer_data(7, 37, 70)
    x = x * 3 - 1  # beyond the DAC's range on both sides
    options = dict(dac_bits=dac_bits, weight_bits=weight_bits, dac_lo=-0.5, dac_hi=1.25)
    y = lk.optical_linear_fused(x, w, bias, 0.25, 10, 3, **options)
    assert_same_bits(y, expected(x, w, bias, 10, 0.25, 3, **options))


@pytest.mark.parametrize("weight_bits", range(2, 9))
@pytest.mark.parametrize("dac_bits", range(1, 9))
def test_codes_are_multiplied_exactly(dac_bits, weight_bits):
    x, w, bias = layer_data(5, 200, 33, seed=dac_bits + 10 * weight_bits)
    options = dict(dac_bits=dac_bits, weight_bits=weight_bits)
    y = lk.optical_linear_infer(x, w, bias, 16, **options)
    assert_same_bits(y, oracle.layer(x, w, bias, 16, **options))


@pytest.mark.parametrize("shape", [(67, 1000, 515), (200, 66, 33), (1, 3000, 257)])
def test_codes_of_larger_layers(shape):
    x, w, bias = layer_data(*shape)
    options = dict(dac_bits=8, weight_bits=8)
    y = lk.optical_linear_fused(x, w, bias, 0.25, 12, 6, **options)
    assert_same_bits(y, oracle.layer(x, w, bias, 12, 0.25, 6, **options))


limits = st.tuples(st.floats(-4, 0.5, width=32), st.floats(0.625, 4, width=32))


@given(
    shape=st.tuples(*[st.integers(0, 20)] * 3), with_bias=st.booleans(),
    noise_std=st.sampled_from([0.0, 0.01, 3.0]), bits=st.integers(1, 16),
    seed=st.integers(0, 2**64 - 1), adc=limits, dac=limits,
    options=st.fixed_dictionaries(dict(
        dac_bits=st.none() | st.integers(1, 16), weight_bits=st.none() | st.integers(2, 16),
        stream=st.integers(0, 2**64 - 1), row_offset=st.integers(0, 2**64 - 1))))
def test_any_options(shape, with_bias, noise_std, bits, seed, adc, dac, options):
    x, w, bias = layer_data(*shape)
    options.update(lo=adc[0], hi=adc[1], dac_lo=dac[0], dac_hi=dac[1])
    bias = bias if with_bias else None
    y = lk.optical_linear_fused(x, w, bias, noise_std, bits, seed, **options)
    assert_same_bits(y, expected(x, w, bias, bits, noise_std, seed, **options))


@pytest.mark.parametrize("noise_std", [0.0, 0.5])
def test_parity_with_float64(noise_std):
    batch, inputs, outputs, bits, lo, hi = 64, 300, 256, 8, -10.0, 10.0
    x, w, bias = layer_data(batch, inputs, outputs)
    noise = noise_std * oracle.normals(5, batch, outputs).astype(np.float64)
    v = x.astype(np.float64) @ w.T.astype(np.float64) + bias + noise
    magnitude = np.abs(x).astype(np.float64) @ np.abs(w.T) + np.abs(bias) + np.abs(noise)
    roundings = (1 if has_fma() else 2) * inputs + 4
    error = roundings * 2.0**-24 * (magnitude + abs(lo))
    step = (hi - lo) / (2**bits - 1)
    position = np.clip((v - lo) / step, 0, 2**bits - 1)
    to_tie = np.abs(position - np.floor(position) - 0.5)

    y = lk.optical_linear_fused(x, w, bias, noise_std, bits, 5)
    codes = np.rint((y.astype(np.float64) - lo) / step)

    sure = to_tie > error / step
    assert sure.mean() > 0.95
    np.testing.assert_array_equal(codes[sure], np.rint(position[sure]))
    assert np.abs(codes - position).max() < 0.51
    np.testing.assert_allclose(y, lo + codes * step, atol=1e-5)


@pytest.mark.parametrize("shape", [(4, 9, 6), (33, 257, 130), (256, 64, 31)])
def test_integer_data_is_exact(shape):
    x, w, bias = integer_data(*shape)
    v = x.astype(np.float64) @ w.T + bias
    y = lk.optical_linear_infer(x, w, bias, 16, lo=-32768.0, hi=32767.0)  # a step of 1
    np.testing.assert_array_equal(y, v)


@pytest.mark.parametrize("pack, options", [
    (lambda w: lk.PackedWeights(w), {}),
    (lambda w: lk.PackedWeights(w), {"dac_bits": 8}),
    (lambda w: lk.PackedWeights(w, bits=12), {"dac_bits": 10, "weight_bits": 12}),
    (lambda w: lk.PackedWeights(w, 5), {"weight_bits": 5}),
    (lambda w: lk.CodedWeights(w), {"dac_bits": 8, "weight_bits": 8}),
    (lambda w: lk.CodedWeights(w, bits=3), {"dac_bits": 5, "weight_bits": 3}),
])
def test_packed_once_is_the_same_as_packed_by_the_call(pack, options):
    x, w, bias = layer_data(11, 50, 70)
    raw = lk.optical_linear_fused(x, w, bias, 0.25, 8, 9, **options)
    weights = pack(w)
    options = {name: value for name, value in options.items() if name != "weight_bits"}
    for _ in range(2):
        assert_same_bits(lk.optical_linear_fused(x, weights, bias, 0.25, 8, 9, **options), raw)


def test_floats_of_few_bits_behind_a_dac():
    x, w, bias = layer_data(6, 30, 40)
    y = lk.optical_linear_infer(x, lk.PackedWeights(w, 4), bias, 16, dac_bits=6)
    assert_same_bits(y, expected(x, oracle.quantized_weights(w, 4), bias, 16, dac_bits=6))


@pytest.mark.parametrize("options", [{}, {"dac_bits": 8, "weight_bits": 8}])
def test_threads_do_not_matter(options):
    x, w, bias = layer_data(67, 90, 300)
    one = lk.optical_linear_fused(x, w, bias, 0.25, 8, 1, threads=1, **options)
    for threads in (2, 5, None):
        y = lk.optical_linear_fused(x, w, bias, 0.25, 8, 1, threads=threads, **options)
        assert_same_bits(y, one)


@pytest.mark.parametrize("options", [{}, {"dac_bits": 8, "weight_bits": 8}])
def test_a_batch_in_shards_is_the_batch(options):
    x, w, bias = layer_data(40, 30, 150)
    options = dict(options, stream=3)
    whole = lk.optical_linear_fused(x, w, bias, 0.5, 12, 8, row_offset=1000, **options)
    for begin, end in [(0, 1), (1, 17), (17, 40)]:
        shard = lk.optical_linear_fused(
            x[begin:end], w, bias, 0.5, 12, 8, row_offset=1000 + begin, **options)
        assert_same_bits(shard, whole[begin:end])


@pytest.mark.parametrize("options", [
    {}, {"lo": -2.0, "hi": 2.0}, {"dac_bits": 4, "weight_bits": 6, "dac_lo": -1.0, "dac_hi": 0.5}])
def test_infer_is_fused_without_noise(options):
    x, w, bias = layer_data(6, 40, 50)
    fused = lk.optical_linear_fused(x, w, bias, 0.0, 6, 99, **options)
    assert_same_bits(lk.optical_linear_infer(x, w, bias, 6, **options), fused)


def test_nan_stays_and_infinity_saturates():
    x, w, _ = layer_data(3, 8, 40)
    w = np.abs(w) + 1
    x[0, 3], x[1, 2], x[2, 5] = np.nan, np.inf, -np.inf
    y = lk.optical_linear_infer(x, w, None, 8)
    lowest, highest = oracle.Quantizer(8, -10, 10).decode([0, 255])
    assert np.isnan(y[0]).all() and (y[1] == highest).all() and (y[2] == lowest).all()


def test_nan_has_code_0_in_integer_arithmetic():
    x, w, _ = layer_data(2, 8, 40)
    x[0, 3] = np.nan
    y = lk.optical_linear_infer(x, w, None, 8, dac_bits=8, weight_bits=8)
    x[0, 3] = 0
    assert_same_bits(y, lk.optical_linear_infer(x, w, None, 8, dac_bits=8, weight_bits=8))


def test_keywords_are_the_documented_ones():
    x, w, bias = layer_data(4, 5, 6)
    options = dict(lo=-4.0, hi=4.0, threads=1, out=None, dac_bits=None, weight_bits=None,
                   dac_lo=0.0, dac_hi=1.0)
    y = lk.optical_linear_fused(input=x, weight=w, bias=bias, noise_std=0.5, bits=6, seed=2,
                                stream=0, row_offset=0, **options)
    assert_same_bits(y, lk.optical_linear_fused(x, w, bias, 0.5, 6, 2, lo=-4.0, hi=4.0))
    y = lk.optical_linear_infer(input=x, weight=w, bias=bias, bits=6, **options)
    assert_same_bits(y, lk.optical_linear_infer(x, w, bias, 6, lo=-4.0, hi=4.0))


def test_options_are_keywords_only():
    x, w, bias = layer_data(4, 5, 6)
    with pytest.raises(TypeError):
        lk.optical_linear_fused(x, w, bias, 0.5, 6, 2, -4.0)
    with pytest.raises(TypeError):
        lk.optical_linear_infer(x, w, bias, 6, -4.0)


def test_numbers_may_be_numpys():
    x, w, bias = layer_data(4, 5, 6)
    y = lk.optical_linear_fused(x, w, bias, np.float32(0.5), np.int64(6), np.uint64(2**63),
                                lo=np.float64(-4), hi=4, threads=np.int32(1))
    assert_same_bits(y, lk.optical_linear_fused(x, w, bias, 0.5, 6, 2**63, lo=-4.0, hi=4.0))
