"""Wrong arguments: which exception, what it says, and that nothing is written."""
import ctypes

import numpy as np
import pytest
from helpers import assert_names
from numpy.lib.stride_tricks import as_strided

import lumina_kernel as lk

NAN = float("nan")


def floats(*shape):
    return np.ones(shape, np.float32)


def packed():
    return lk.PackedWeights(floats(5, 4))


def packed_for_other_inputs():
    return lk.PackedWeights(floats(5, 3))


def coded():
    return lk.CodedWeights(floats(5, 4))


def coded_for_other_inputs():
    return lk.CodedWeights(floats(5, 3))


def doubles_of_ctypes():
    return (ctypes.c_double * 4 * 3)()


def thousands_of_digits():  # which Python refuses to write out
    return 10**5000


def arguments(**changes):
    """Of a call that succeeds, but for the changes; those that are functions make their value."""
    changes = {name: value() if callable(value) else value for name, value in changes.items()}
    base = dict(input=floats(3, 4), weight=floats(5, 4), bias=floats(5), noise_std=0.1, bits=8,
                seed=1, out=np.full((3, 5), 7, np.float32))
    return dict(base, **changes)


def assert_refused(call, arguments, exception, *words):
    out = arguments["out"]
    before = out.copy() if isinstance(out, np.ndarray) else None
    with pytest.raises(exception) as error:
        call(**arguments)
    assert type(error.value) is exception
    assert_names(str(error.value), *words)
    if before is not None:
        np.testing.assert_array_equal(out, before)


def described(value):
    return value.__name__ if callable(value) else repr(getattr(value, "shape", value))


def refused(changes, exception, *words):
    name = ", ".join(f"{k}={described(v)}" for k, v in changes.items())
    return pytest.param(changes, exception, words, id=name[:60])


ARRAYS = [
    refused(dict(input=floats(4)), ValueError, "input", (4,)),
    refused(dict(input=floats(3, 4, 1)), ValueError, "input", (3, 4, 1)),
    refused(dict(input=np.array(1, np.float32)), ValueError, "input"),
    refused(dict(input=np.ones((3, 4))), TypeError, "input", "float64", "float32"),
    refused(dict(input=np.ones((3, 4), np.int32)), TypeError, "input", "int32", "float32"),
    refused(dict(input=np.ones((3, 4), object)), TypeError, "input", "object", "float32"),
    refused(dict(input=[[1.0] * 4] * 3), TypeError, "input", "list"),
    refused(dict(input=None), TypeError, "input", "None"),
    refused(dict(input="x"), TypeError, "input", "str"),
    refused(dict(input=b"12345678"), TypeError, "input"),
    refused(dict(input=memoryview(np.ones((3, 4)))), TypeError, "input", (3, 4), "float32"),
    refused(dict(input=doubles_of_ctypes), TypeError, "input", (3, 4), "float32"),
    refused(dict(input=lambda: np.ndarray), TypeError, "input", "type"),
    refused(dict(weight=floats(5, 3)), ValueError, "weight", (5, 3), 4),
    refused(dict(weight=floats(4)), ValueError, "weight", (4,)),
    refused(dict(weight=np.ones((5, 4))), TypeError, "weight", "float64", "float32"),
    refused(dict(weight=None), TypeError, "weight"),
    refused(dict(weight=packed_for_other_inputs), ValueError, "weight", (5, 3), 4),
    refused(dict(weight=coded_for_other_inputs, dac_bits=8), ValueError, "weight", (5, 3)),
    refused(dict(bias=floats(4)), ValueError, "bias", 4, 5),
    refused(dict(bias=floats(5, 1)), ValueError, "bias", (5, 1)),
    refused(dict(bias=np.ones(5)), TypeError, "bias", "float64", "float32"),
    refused(dict(bias=0.5), TypeError, "bias", "float"),
    refused(dict(out=np.full((3, 4), 7, np.float32)), ValueError, "out", (3, 4), (3, 5)),
    refused(dict(out=np.full(15, 7, np.float32)), ValueError, "out", 15, (3, 5)),
    refused(dict(out=np.full((3, 5), 7.0)), TypeError, "out", "float64", "float32"),
    refused(dict(out=np.full((5, 3), 7, np.float32).T), ValueError, "out"),
    refused(dict(out=np.full((3, 10), 7, np.float32)[:, ::2]), ValueError, "out"),
    refused(dict(out=np.broadcast_to(np.float32(7), (3, 5))), ValueError, "out"),
    refused(dict(out=as_strided(np.full(5, 7, np.float32), (3, 5), (0, 4))), ValueError, "out"),
    refused(dict(out=as_strided(np.full(9, 7, np.float32), (3, 5), (8, 4))), ValueError, "out"),
    refused(dict(out=[[7.0] * 5] * 3), TypeError, "out", "list"),
]

NUMBERS = [
    refused(dict(bits=0), ValueError, "bits", 0, 1, 16),
    refused(dict(bits=17), ValueError, "bits", 17, 1, 16),
    refused(dict(bits=-1), ValueError, "bits", 1, 16),
    refused(dict(bits=2**40), ValueError, "bits", 16),
    refused(dict(bits=10**30), ValueError, "bits", 16),
    refused(dict(bits=8.5), TypeError, "bits"),
    refused(dict(bits="8"), TypeError, "bits"),
    refused(dict(bits=True), TypeError, "bits", "True"),
    refused(dict(bits=np.bool_(True)), TypeError, "bits"),
    refused(dict(bits=np.array(8.5)), TypeError, "bits"),
    refused(dict(bits=np.array([8, 8])), TypeError, "bits"),
    refused(dict(bits=thousands_of_digits), ValueError, "bits", 1, 16),
    refused(dict(bits=None), TypeError, "bits"),
    refused(dict(lo=1.0, hi=1.0), ValueError, "lo", "hi"),
    refused(dict(lo=2.0, hi=1.0), ValueError, "lo", "hi", 2, 1),
    refused(dict(lo=NAN), ValueError, "lo"),
    refused(dict(hi=NAN), ValueError, "hi"),
    refused(dict(hi=float("inf")), ValueError, "hi"),
    refused(dict(hi=1e300), ValueError, "hi"),
    refused(dict(lo=-3e38, hi=3e38), ValueError, "lo", "hi"),
    refused(dict(lo="a"), TypeError, "lo"),
    refused(dict(dac_bits=0), ValueError, "dac_bits", 0, 1, 16),
    refused(dict(dac_bits=17), ValueError, "dac_bits", 17, 16),
    refused(dict(dac_bits=8, dac_lo=1.0), ValueError, "dac_lo", "dac_hi"),
    refused(dict(dac_bits=8, dac_hi=NAN), ValueError, "dac_hi"),
    refused(dict(weight_bits=1), ValueError, "weight_bits", 1, 2, 16),
    refused(dict(weight_bits=17), ValueError, "weight_bits", 17, 16),
    refused(dict(weight_bits=4.5), TypeError, "weight_bits"),
    refused(dict(threads=0), ValueError, "threads", 0),
    refused(dict(threads=-1), ValueError, "threads"),
    refused(dict(threads=10**6), ValueError, "threads"),
    refused(dict(threads=1.5), TypeError, "threads"),
    refused(dict(threads=True), TypeError, "threads"),
    refused(dict(weight=coded), ValueError, "dac_bits"),
    refused(dict(weight=coded, dac_bits=9), ValueError, "dac_bits", 8),
    refused(dict(weight=packed, weight_bits=4), ValueError, "weight_bits"),
    refused(dict(weight=coded, dac_bits=8, weight_bits=4), ValueError,
            "weight_bits", 8, 4),
]

NOISE = [
    refused(dict(noise_std=-0.5), ValueError, "noise_std"),
    refused(dict(noise_std=NAN), ValueError, "noise_std"),
    refused(dict(noise_std=float("inf")), ValueError, "noise_std"),
    refused(dict(noise_std=10**400), ValueError, "noise_std", "finite"),
    refused(dict(noise_std=thousands_of_digits), ValueError, "noise_std", "finite"),
    refused(dict(noise_std="a"), TypeError, "noise_std"),
    refused(dict(noise_std=None), TypeError, "noise_std"),
    refused(dict(seed=-1), ValueError, "seed"),
    refused(dict(seed=2**64), ValueError, "seed"),
    refused(dict(seed=10**30), ValueError, "seed"),
    refused(dict(seed=1.5), TypeError, "seed"),
    refused(dict(seed=None), TypeError, "seed"),
    refused(dict(seed=True), TypeError, "seed", "True"),
    refused(dict(seed=np.array(1.5)), TypeError, "seed"),
    refused(dict(seed=thousands_of_digits), ValueError, "seed"),
    refused(dict(stream=-1), ValueError, "stream"),
    refused(dict(row_offset=2**64), ValueError, "row_offset"),
]


@pytest.mark.parametrize("changes, exception, words", ARRAYS + NUMBERS + NOISE)
def test_fused(changes, exception, words):
    assert_refused(lk.optical_linear_fused, arguments(**changes), exception, *words)


@pytest.mark.parametrize("changes, exception, words", ARRAYS + NUMBERS)
def test_infer(changes, exception, words):
    without_noise = arguments(**changes)
    del without_noise["noise_std"], without_noise["seed"]
    assert_refused(lk.optical_linear_infer, without_noise, exception, *words)


@pytest.mark.parametrize("weight_bits", [4, 8, 12])
@pytest.mark.parametrize("value", [NAN, np.inf, -np.inf])
def test_weights_to_encode_must_be_finite(value, weight_bits):
    weight = floats(5, 4)
    weight[3, 2] = value
    changed = arguments(weight=weight, dac_bits=8, weight_bits=weight_bits)
    assert_refused(lk.optical_linear_fused, changed, ValueError, "weight")


def test_too_many_inputs_for_integer_sums():
    changed = arguments(input=floats(3, 66312), weight=floats(5, 66312), dac_bits=8, weight_bits=8)
    assert_refused(lk.optical_linear_fused, changed, ValueError, 66311)


def test_out_that_is_read_only():
    out = np.full((3, 5), 7, np.float32)
    out.flags.writeable = False
    assert_refused(lk.optical_linear_fused, arguments(out=out), ValueError, "out")


def test_out_that_overlaps_an_input():
    memory = floats(200)
    out = memory[100:115].reshape(3, 5)
    overlapping = [
        ("input", memory[100:112].reshape(3, 4)), ("input", memory[89:101].reshape(3, 4)),
        ("input", memory[114:126].reshape(3, 4)), ("weight", memory[105:125].reshape(5, 4)),
        ("bias", memory[114:119])]
    for name, view in overlapping:
        changed = arguments(out=out, **{name: view})
        shapes = out.shape, view.shape
        assert_refused(lk.optical_linear_fused, changed, ValueError, "out", name, *shapes)
    beside = arguments(out=out, input=memory[88:100].reshape(3, 4), bias=memory[115:120])
    assert lk.optical_linear_fused(**beside) is out


def test_out_that_overlaps_a_strided_input():
    memory = floats(3, 20)
    changed = arguments(out=memory[:, :5], input=memory[:, 4:8])
    assert_refused(lk.optical_linear_fused, changed, ValueError, "out", "input")
    beside = arguments(out=memory[:, :5], input=memory[:, 5:9])
    assert lk.optical_linear_fused(**beside) is beside["out"]


def test_out_may_surround_a_bias():
    memory = floats(3, 20)
    out, bias = memory[:, :5], memory[1, 7:12]
    expected = lk.optical_linear_fused(**arguments(bias=bias.copy()))
    assert lk.optical_linear_fused(**arguments(out=out, bias=bias)) is out
    np.testing.assert_array_equal(out, expected)
    refused = arguments(out=out, bias=memory[1, 4:9])
    assert_refused(lk.optical_linear_fused, refused, ValueError, "out", "bias")


def test_out_may_be_where_an_input_is_copied_from():
    square = np.arange(25, dtype=np.float32).reshape(5, 5)
    expected = lk.optical_linear_infer(square.T.copy(), floats(4, 5), None, 8)
    out = np.lib.stride_tricks.as_strided(square, (5, 4), square.strides)
    np.testing.assert_array_equal(
        lk.optical_linear_infer(square.T, floats(4, 5), None, 8, out=out), expected)


def test_missing_and_unknown_arguments():
    with pytest.raises(TypeError):
        lk.optical_linear_fused(floats(3, 4), floats(5, 4))
    with pytest.raises(TypeError):
        lk.optical_linear_fused(**arguments(), typo=1)
    with pytest.raises(TypeError):
        lk.optical_linear_infer(floats(3, 4), floats(5, 4), None, 8, seed=1)


@pytest.mark.parametrize("changes, exception, words", [
    (dict(grad_output=floats(2, 5)), ValueError, ("grad_output", (2, 5), 3)),
    (dict(grad_output=floats(3, 6)), ValueError, ("grad_output", (3, 6), 5)),
    (dict(weight=floats(5, 3)), ValueError, ("weight", (5, 3), 4)),
    (dict(grad_output=floats(5)), ValueError, ("grad_output", (5,))),
    (dict(grad_output=np.ones((3, 5))), TypeError, ("grad_output", "float64", "float32")),
    (dict(input=np.ones((3, 4))), TypeError, ("input", "float64", "float32")),
    (dict(threads=0), ValueError, ("threads",)),
])
def test_backward(changes, exception, words):
    base = dict(grad_output=floats(3, 5), input=floats(3, 4), weight=floats(5, 4))
    with pytest.raises(exception) as error:
        lk.optical_linear_backward_kernel(**dict(base, **changes))
    assert_names(str(error.value), *words)


def test_backward_needs_the_weights_themselves():
    with pytest.raises(TypeError) as error:
        lk.optical_linear_backward_kernel(floats(3, 5), floats(3, 4), packed())
    assert_names(str(error.value), "weight")


def complexes(*shape):
    return np.full(shape, 7j, np.complex64)


@pytest.mark.parametrize("changes, exception, words", [
    (dict(input=floats(3, 4)), TypeError, ("input", "float32", "complex64")),
    (dict(weight=np.ones((5, 4), complex)), TypeError, ("weight", "complex128", "complex64")),
    (dict(weight=complexes(5, 3)), ValueError, ("weight", (5, 3), 4)),
    (dict(input=complexes(4)), ValueError, ("input", (4,))),
    (dict(out=complexes(5, 3)), ValueError, ("out", (5, 3), (3, 5))),
    (dict(out=floats(3, 5)), TypeError, ("out", "float32", "complex64")),
    (dict(threads=0), ValueError, ("threads",)),
])
def test_complex_matmul(changes, exception, words):
    base = dict(input=complexes(3, 4), weight=complexes(5, 4), out=complexes(3, 5))
    assert_refused(lk.complex_matmul, dict(base, **changes), exception, *words)


def test_complex_out_that_overlaps():
    square = complexes(4, 4)
    overlapping = dict(input=square, weight=complexes(4, 4), out=square)
    assert_refused(lk.complex_matmul, overlapping, ValueError, "out", "input", (4, 4))
