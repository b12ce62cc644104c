"""PackedWeights and CodedWeights."""
import numpy as np
import oracle
import pytest
from helpers import assert_names, assert_same_bits, layer_data

import lumina_kernel as lk


def weights(outputs=6, inputs=9):
    return layer_data(1, inputs, outputs)[1]


def test_attributes_of_packed_weights():
    packed = lk.PackedWeights(weights())
    assert packed.shape == (6, 9) and packed.bits is None and packed.isa == lk.isa()
    assert lk.PackedWeights(weight=weights(), bits=12).bits == 12
    for part in ("PackedWeights", "6", "9", packed.isa):
        assert part in repr(packed)


def test_attributes_of_coded_weights():
    coded = lk.CodedWeights(weights())
    assert coded.shape == (6, 9) and coded.bits == 8 and coded.isa == lk.isa()
    assert lk.CodedWeights(weight=weights(), bits=3).bits == 3
    for part in ("CodedWeights", "6", "9", "8", coded.isa):
        assert part in repr(coded)


@pytest.mark.parametrize("make", [lk.PackedWeights, lk.CodedWeights])
def test_attributes_are_read_only(make):
    packed = make(weights())
    for name in ("shape", "bits", "isa"):
        with pytest.raises(AttributeError):
            setattr(packed, name, None)


@pytest.mark.parametrize("shape", [(1, 1), (5, 9), (40, 130), (33, 64), (130, 7)])
@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_scales_decode(bits, shape):
    w = weights(*shape)
    coded = lk.CodedWeights(w, bits)
    codes, scales = coded.codes(), coded.scales()
    assert codes.dtype == np.int8 and codes.flags.c_contiguous
    np.testing.assert_array_equal(codes, oracle.codes_of_weights(w, bits))
    assert_same_bits(scales, oracle.scales_of_weights(w, bits))
    assert_same_bits(coded.decode(), oracle.quantized_weights(w, bits))


def test_awkward_rows():
    rows = [[0, 0, 0], [-0.0, 0, 0], [1e-45, -1e-45, 0], [3.4e38, -1e38, 1], [127, 0.5, -1.5],
            [126.5, 0.49999997, 2.5], [1e-38, 5e-39, -1e-38]]
    w = np.array(rows, np.float32)
    coded = lk.CodedWeights(w, 8)
    np.testing.assert_array_equal(coded.codes(), oracle.codes_of_weights(w, 8))
    assert_same_bits(coded.scales(), oracle.scales_of_weights(w, 8))


@pytest.mark.parametrize("make", [lk.PackedWeights, lk.CodedWeights])
def test_weights_are_copied(make):
    x, w, _ = layer_data(3, 9, 6)
    packed = make(w)
    before = lk.optical_linear_infer(x, packed, None, 16, dac_bits=8)
    w[:] = 0
    assert_same_bits(lk.optical_linear_infer(x, packed, None, 16, dac_bits=8), before)


def test_results_are_the_callers():
    coded = lk.CodedWeights(weights())
    codes, scales, decoded = coded.codes(), coded.scales(), coded.decode()
    for array in (codes, scales, decoded):
        array[:] = 1
    assert not (coded.codes() == 1).all() and not (coded.scales() == 1).any()
    del coded
    assert (codes == 1).all() and (scales == 1).all() and (decoded == 1).all()


@pytest.mark.parametrize("make", [lk.PackedWeights, lk.CodedWeights])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0)])
def test_empty(make, shape):
    packed = make(np.zeros(shape, np.float32))
    assert packed.shape == shape
    y = lk.optical_linear_infer(np.ones((2, shape[1]), np.float32), packed, None, 8, dac_bits=8)
    assert_same_bits(y, oracle.Quantizer(8, -10, 10)(np.zeros((2, shape[0]))))


@pytest.mark.parametrize("relayout", [
    np.asfortranarray, lambda w: np.ascontiguousarray(w[::-1])[::-1],
    lambda w: np.repeat(w, 2, axis=1)[:, ::2], lambda w: np.pad(w, 3)[3:-3, 3:-3]])
def test_layouts(relayout):
    w = weights(20, 30)
    np.testing.assert_array_equal(lk.CodedWeights(relayout(w)).codes(), lk.CodedWeights(w).codes())
    x = layer_data(3, 30, 1)[0]
    assert_same_bits(lk.optical_linear_infer(x, lk.PackedWeights(relayout(w)), None, 16),
                     lk.optical_linear_infer(x, lk.PackedWeights(w), None, 16))


@pytest.mark.parametrize("make, bits", [
    (lk.PackedWeights, 1), (lk.PackedWeights, 17), (lk.PackedWeights, -8), (lk.CodedWeights, 1),
    (lk.CodedWeights, 9), (lk.CodedWeights, 2**40)])
def test_bits_out_of_range(make, bits):
    with pytest.raises(ValueError) as error:
        make(weights(), bits)
    assert_names(str(error.value), "bits", 2, 8 if make is lk.CodedWeights else 16)


@pytest.mark.parametrize("make, arguments", [
    (lk.PackedWeights, {"bits": 8}), (lk.CodedWeights, {}), (lk.PackedWeights, {"bits": 12})])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_to_encode_must_be_finite(make, arguments, value):
    w = weights()
    w[4, 7] = value
    with pytest.raises(ValueError) as error:
        make(w, **arguments)
    assert_names(str(error.value), "weight")


def test_floats_may_be_anything():
    w = weights()
    w[4, 7] = np.nan
    y = lk.optical_linear_infer(np.ones((1, 9), np.float32), lk.PackedWeights(w), None, 8)
    assert np.isnan(y[0, 4]) and np.isnan(y).sum() == 1


@pytest.mark.parametrize("make", [lk.PackedWeights, lk.CodedWeights])
@pytest.mark.parametrize("wrong, exception, words", [
    (np.zeros((3, 4)), TypeError, ("float64", "float32")),
    (np.zeros(4, np.float32), ValueError, ((4,),)),
    (np.zeros((2, 3, 4), np.float32), ValueError, ((2, 3, 4),)),
    ([[1.0]], TypeError, ()), (None, TypeError, ())])
def test_wrong_arrays(make, wrong, exception, words):
    with pytest.raises(exception) as error:
        make(wrong)
    assert_names(str(error.value), "weight", *words)
