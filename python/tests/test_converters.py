"""Converters that keep 0: SymmetricQuantizer, and symmetric=, dac_symmetric= of the layers."""
import numpy as np
import pytest
from helpers import assert_names, assert_same_bits, layer_data

import lumina_kernel as lk

SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, 3e38, -3e38], np.float32)


def codes_by_the_rule(values, bits, limit):
    top = 2 ** (bits - 1) - 1
    step = np.float32(np.float64(np.float32(limit)) / top)
    with np.errstate(over="ignore", invalid="ignore"):
        codes = np.clip(np.rint(values / step), -top, top)
    return np.where(np.isnan(values), 0, codes).astype(np.int32), step


@pytest.mark.parametrize("bits", [2, 3, 4, 8, 12, 16])
@pytest.mark.parametrize("limit", [1.0, 0.3, 1e-3, 1e30])
def test_codes_and_values(bits, limit):
    values = np.random.default_rng(1).normal(0, limit, 1000).astype(np.float32)
    values = np.concatenate([values, SPECIAL])
    quantizer = lk.SymmetricQuantizer(bits, limit)
    codes, step = codes_by_the_rule(values, bits, limit)
    assert quantizer.bits == bits and quantizer.max_code == 2 ** (bits - 1) - 1
    assert quantizer.limit == np.float32(limit) and quantizer.step == step
    assert quantizer.encode(values).dtype == np.int32
    np.testing.assert_array_equal(quantizer.encode(values), codes)
    decoded = codes.astype(np.float32) * step
    assert_same_bits(quantizer.decode(codes) + 0, decoded + 0)  # a zero has no sign here
    assert_same_bits(quantizer(values) + 0, np.where(np.isnan(values), values, decoded) + 0)
    quantizer.apply(values)
    assert_same_bits(values + 0, np.where(np.isnan(values), values, decoded) + 0)


def test_numbers():
    quantizer = lk.SymmetricQuantizer(4, 7.0)
    assert [quantizer.encode(v) for v in (-9, -3.4, 0, 2.5, 100)] == [-7, -3, 0, 2, 7]
    assert quantizer.decode(-7) == -7.0 and quantizer(0.2) == 0.0 and type(quantizer(1)) is float
    assert repr(quantizer) == "SymmetricQuantizer(bits=4, limit=7.0)"


@pytest.mark.parametrize("arguments, exception, words", [
    ((1, 1.0), ValueError, ("bits", 2, 16)), ((17, 1.0), ValueError, ("bits", 17)),
    ((8, 0.0), ValueError, ("limit", 0.0)), ((8, -1.0), ValueError, ("limit",)),
    ((8, float("nan")), ValueError, ("limit",)), ((8, "1"), TypeError, ("limit",)),
    ((8, 1e-45), ValueError, ())])
def test_what_is_no_quantizer(arguments, exception, words):
    with pytest.raises(exception) as error:
        lk.SymmetricQuantizer(*arguments)
    assert_names(str(error.value), *words)


@pytest.mark.parametrize("code", [-8, 8, 2**40])
def test_codes_out_of_range(code):
    with pytest.raises(ValueError, match="codes"):
        lk.SymmetricQuantizer(4, 1.0).decode(code)
    with pytest.raises(ValueError, match="codes"):
        lk.SymmetricQuantizer(4, 1.0).decode(np.array([0, code]))


@pytest.mark.parametrize("options", [
    {}, dict(weight_bits=4), dict(dac_bits=6), dict(dac_bits=6, weight_bits=4),
    dict(dac_bits=12, weight_bits=12)])
@pytest.mark.parametrize("name", ["infer", "fused", "physics"])
def test_zero_stays_zero(name, options):
    _, w, _ = layer_data(1, 40, 50)
    x = np.zeros((3, 40), np.float32)
    if "dac_bits" in options:
        options = dict(options, dac_symmetric=True, dac_lo=-1.0)
    options = dict(options, bits=4, lo=-2.0, hi=2.0)
    arguments = {"infer": {}, "fused": dict(noise_std=0.0, seed=1),
                 "physics": dict(noise_std=0.0, seed=1)}[name]
    call = getattr(lk, "optical_linear_" + name)
    assert (call(x, w, None, **arguments, **options, symmetric=True) == 0).all()
    assert (abs(call(x, w, None, **arguments, **options)) > 0.1).all()  # half a step


def test_the_layers_converters_are_the_quantizers():
    x, w, bias = layer_data(6, 20, 30)
    x -= np.float32(0.5)
    dac, adc = lk.SymmetricQuantizer(5, 0.75), lk.SymmetricQuantizer(6, 3.0)
    options = dict(lo=-3.0, hi=3.0, symmetric=True)
    y = lk.optical_linear_infer(x, w, bias, 6, **options)
    clean = lk.optical_linear_fused(x, w, bias, 0.0, 16, 1, lo=-3.0, hi=3.0)
    assert np.abs(y - adc(clean)).max() <= adc.step and (y == adc(y)).all()
    with_dac = lk.optical_linear_infer(
        x, w, bias, 6, **options, dac_bits=5, dac_lo=-0.75, dac_hi=0.75, dac_symmetric=True)
    assert_same_bits(with_dac, lk.optical_linear_infer(dac(x), w, bias, 6, **options))


@pytest.mark.parametrize("changes, words", [
    (dict(lo=-1.0, hi=2.0), ("lo", "hi", -1.0, 2.0)), (dict(bits=1), ("bits", 2, 16)),
    (dict(dac_bits=8, dac_symmetric=True), ("dac_lo", "dac_hi", 0.0, 1.0)),
    (dict(dac_bits=1, dac_symmetric=True, dac_lo=-1), ("dac_bits", 2))])
def test_ranges_that_are_not_symmetric(changes, words):
    x, w, _ = layer_data(2, 3, 4)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(x, w, None, **dict(dict(bits=8, symmetric=True), **changes))
    assert_names(str(error.value), *words)
