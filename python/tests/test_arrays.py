"""Which arrays are read, which come back: layouts, buffers, torch, DLPack."""
import array
import ctypes

import numpy as np
import pytest
from helpers import assert_same_bits, integer_data, layer_data
from hypothesis import given, settings
from hypothesis import strategies as st

import lumina_kernel as lk

EXACT = dict(lo=-32768.0, hi=32767.0)  # with 16 bits a step of 1


def widened(a):
    padding = np.nan if a.dtype.kind == "f" else 0
    wide = np.full([n + 3 for n in a.shape], padding, a.dtype)
    view = wide[tuple(slice(1, n + 1) for n in a.shape)]
    view[:] = a
    return view


def of_a_struct(a):
    records = np.zeros(a.shape, [("flag", np.int8), ("value", a.dtype)])  # a stride of 5 bytes
    records["value"] = a
    return records["value"]


def unaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)
    view = raw[1:].view(a.dtype).reshape(a.shape)
    view[:] = a
    return view


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def reversed_in_memory(axis):
    return lambda a: np.flip(np.ascontiguousarray(np.flip(a, axis)), axis)


LAYOUTS = {
    "contiguous": np.array,
    "rows of a wider array": widened,
    "every other row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every other column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "fortran": np.asfortranarray,
    "negative row stride": reversed_in_memory(0),
    "negative column stride": reversed_in_memory(-1),
    "stride of 5 bytes": of_a_struct,
    "unaligned": unaligned,
    "read-only": read_only,
}
layouts = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())


@layouts
@pytest.mark.parametrize("name", ["input", "weight", "bias"])
def test_layouts(name, layout):
    arrays = dict(zip(("input", "weight", "bias"), layer_data(6, 9, 11)))
    expected = lk.optical_linear_infer(**arrays, bits=12)
    arrays[name] = layout(arrays[name])
    before = arrays[name].copy()
    assert_same_bits(lk.optical_linear_infer(**arrays, bits=12), expected)
    assert_same_bits(arrays[name], before)


@layouts
@pytest.mark.parametrize("name", ["grad_output", "input", "weight"])
def test_layouts_of_backward(name, layout):
    x, w, _ = layer_data(6, 9, 11)
    arrays = dict(grad_output=lk.optical_linear_infer(x, w, None, 8), input=x, weight=w)
    expected = lk.optical_linear_backward_kernel(**arrays)
    arrays[name] = layout(arrays[name])
    for gradient, same in zip(lk.optical_linear_backward_kernel(**arrays), expected):
        assert_same_bits(gradient, same)


@pytest.mark.parametrize("shape", [(63, 65), (64, 16), (129, 17), (200, 100)])
@pytest.mark.parametrize("layout", ["fortran", "every other column", "negative column stride",
                                    "stride of 5 bytes", "unaligned"])
@pytest.mark.parametrize("dtype", ["f4", "c8"])
def test_copies_of_more_than_a_block(shape, layout, dtype):
    rng = np.random.default_rng(1)
    x = rng.integers(-8, 8, shape).astype(dtype)
    w = np.eye(shape[1], dtype=dtype)
    for there in (LAYOUTS[layout](x), LAYOUTS[layout](np.ascontiguousarray(x.T)).T):
        if dtype == "c8":
            np.testing.assert_array_equal(lk.complex_matmul(there, w), x)
        else:
            y = lk.optical_linear_infer(there, w, None, 16, **EXACT)
            np.testing.assert_array_equal(y, x)


def test_strides_of_zero():
    x, w, bias = layer_data(1, 9, 11)
    repeated = np.broadcast_to(x, (6, 9))
    y = lk.optical_linear_infer(repeated, w, bias, 12)
    assert_same_bits(y, np.repeat(lk.optical_linear_infer(x, w, bias, 12), 6, axis=0))
    constant = np.broadcast_to(np.float32(0.5), (6, 9))
    y = lk.optical_linear_infer(constant, w, np.broadcast_to(np.float32(2), 11), 12)
    assert_same_bits(y, lk.optical_linear_infer(constant.copy(), w, np.full(11, 2, "f4"), 12))


@pytest.mark.parametrize("batch, inputs, outputs", [
    (0, 4, 5), (3, 0, 5), (3, 4, 0), (0, 0, 5), (0, 0, 0)])
@pytest.mark.parametrize("options", [{}, dict(dac_bits=8, weight_bits=8)])
def test_empty(batch, inputs, outputs, options):
    x, w, bias = integer_data(batch, inputs, outputs)
    y = lk.optical_linear_fused(x, w, bias, 0.0, 16, 1, **EXACT, **options)
    assert y.shape == (batch, outputs) and y.dtype == np.float32
    if inputs == 0:
        assert (y == bias).all()


@given(st.data(), st.tuples(*[st.integers(0, 40)] * 3),
       st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 3), st.sampled_from(["own", "wide", None]),
       st.booleans(), st.sampled_from([None, 1, 2]))
@settings(max_examples=400)
def test_any_shape_and_layout(data, shape, chosen, out_layout, with_bias, threads):
    x, w, bias = integer_data(*shape, seed=data.draw(st.integers(0, 100)))
    expected = x.astype(np.float64) @ w.T + (bias if with_bias else 0)
    x, w, bias = (LAYOUTS[layout](a) for layout, a in zip(chosen, (x, w, bias)))
    out = None
    if out_layout is not None:
        out = np.full(expected.shape, np.nan, np.float32)
        out = widened(out) if out_layout == "wide" else out
    y = lk.optical_linear_fused(x, w, bias if with_bias else None, 0.0, 16, 1, **EXACT,
                                threads=threads, out=out)
    assert out is None or y is out
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, expected)


@given(st.integers(0, 100), st.tuples(*[st.integers(0, 40)] * 3),
       st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * 3))
@settings(max_examples=200)
def test_any_shape_and_layout_elsewhere(seed, shape, chosen):
    x, w, _ = integer_data(*shape, seed=seed)
    g = integer_data(shape[0], shape[2], 0, seed=seed + 1)[0]
    complex_x, complex_w = (x + 2j * x[::-1]).astype("c8"), (w - 1j * w[::-1]).astype("c8")
    x_there, w_there, g_there = (LAYOUTS[c](a) for c, a in zip(chosen, (x, w, g)))
    grad_input, grad_weight = lk.optical_linear_backward_kernel(g_there, x_there, w_there)
    np.testing.assert_array_equal(grad_input, g.astype(np.float64) @ w)
    np.testing.assert_array_equal(grad_weight, g.T.astype(np.float64) @ x)
    product = lk.complex_matmul(LAYOUTS[chosen[0]](complex_x), LAYOUTS[chosen[1]](complex_w))
    np.testing.assert_array_equal(product, complex_x.astype("c16") @ complex_w.T)


@given(st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 6), st.integers(0, 40),
       st.integers(0, 40), st.booleans())
@settings(max_examples=300)
def test_out_anywhere_is_right_or_refused(shape, padding, x_begin, y_begin, transposed):
    batch, inputs, outputs = shape
    w = integer_data(*shape)[1]
    stride = max(inputs, outputs) + padding
    memory = np.arange(40 + 10 * stride, dtype=np.float32) % 8
    x = memory[x_begin:x_begin + batch * stride].reshape(batch, stride)[:, :inputs]
    if transposed:  # copied where it has more than a row or column
        x = memory[x_begin:x_begin + inputs * batch].reshape(inputs, batch).T
    out = memory[y_begin:y_begin + batch * stride].reshape(batch, stride)[:, :outputs]
    before, expected = memory.copy(), x.astype(np.float64) @ w.T
    try:
        lk.optical_linear_infer(x, w, None, 16, **EXACT, out=out)
    except ValueError as error:
        assert "shares memory" in str(error)
        # Rows of one distance are told apart, others only by where they begin and end.
        assert np.may_share_memory(out, x) if transposed else np.shares_memory(out, x)
        np.testing.assert_array_equal(memory, before)
    else:
        np.testing.assert_array_equal(out, expected)


@given(st.sampled_from(["f2", "f8", "i4", "i8", "u1", "?", "c8", "c16", ">f4", "S4", "M8[s]"]),
       st.sampled_from(["input", "weight", "bias", "out"]), st.sampled_from(sorted(LAYOUTS)))
@settings(max_examples=150)
def test_any_other_dtype_is_a_type_error(dtype, name, layout):
    x, w, bias = integer_data(3, 4, 5)
    arrays = dict(input=x, weight=w, bias=bias, out=np.full((3, 5), 7, np.float32))
    arrays[name] = np.zeros(arrays[name].shape, dtype)
    if name != "out":  # whose layout could be refused as well
        arrays[name] = LAYOUTS[layout](arrays[name])
    with pytest.raises(TypeError) as error:
        lk.optical_linear_infer(**arrays, bits=8)
    assert name in str(error.value) and "float32" in str(error.value)
    if name != "out":
        assert (arrays["out"] == 7).all()


@pytest.mark.parametrize("view", [
    lambda wide: wide[:, 2:7], lambda wide: wide[::2, 2:7], lambda wide: wide[1:4, :5]])
def test_out_is_written_and_returned_and_its_neighbours_are_not(view):
    x, w, bias = layer_data(3, 4, 5)
    expected = lk.optical_linear_infer(x, w, bias, 8)
    wide = np.full((8, 9), 7, np.float32)
    out = view(wide)[:3]
    assert lk.optical_linear_infer(x, w, bias, 8, out=out) is out
    assert_same_bits(out, expected)
    out[:] = 7
    assert (wide == 7).all()


def test_out_upside_down_is_right_or_refused():
    x, w, bias = layer_data(3, 4, 5)
    out = np.full((3, 5), 7, np.float32)[::-1]
    try:
        lk.optical_linear_infer(x, w, bias, 8, out=out)
    except ValueError:
        assert (out == 7).all()
    else:
        assert_same_bits(out, lk.optical_linear_infer(x, w, bias, 8))


def test_results_own_their_memory():
    y = lk.optical_linear_infer(*layer_data(30, 40, 500), 8)
    before = y.copy()
    for _ in range(3):
        lk.optical_linear_infer(*layer_data(30, 40, 500, seed=2), 8)
    assert_same_bits(y, before)
    assert y.flags.writeable and y.flags.c_contiguous and type(y) is np.ndarray


def test_results_are_aligned():
    for outputs in (1, 3, 300):
        y = lk.optical_linear_infer(*layer_data(2, 3, outputs), 8)
        assert y.flags.aligned


def test_buffers():
    x, w, bias = layer_data(3, 4, 5)
    y = lk.optical_linear_infer(memoryview(x), memoryview(w), array.array("f", bias.tolist()), 8)
    assert isinstance(y, np.ndarray)
    assert_same_bits(y, lk.optical_linear_infer(x, w, bias, 8))


def test_ctypes_arrays():  # their buffers name a byte order and have no strides
    x, w, bias = layer_data(3, 4, 5)
    lent = (ctypes.c_float * 4 * 3).from_buffer(x)
    out = (ctypes.c_float * 5 * 3)()
    assert lk.optical_linear_infer(lent, w, (ctypes.c_float * 5)(*bias), 8, out=out) is out
    assert_same_bits(np.array(out), lk.optical_linear_infer(x, w, bias, 8))


def test_more_dimensions_than_numpy_has():
    many = ctypes.c_float
    for _ in range(60):
        many = many * 1
    for name in ("input", "weight", "bias", "out"):
        arrays = dict(zip(("input", "weight", "bias"), layer_data(3, 4, 5)))
        arrays[name] = many()
        with pytest.raises(ValueError, match=name):
            lk.optical_linear_infer(**arrays, bits=8)
    with pytest.raises(ValueError, match="values"):
        lk.Quantizer(8, 0, 1).apply(many())


def test_subclasses_of_ndarray(tmp_path):
    x, w, bias = layer_data(3, 4, 5)
    mapped = np.memmap(tmp_path / "w", np.float32, "w+", shape=w.shape)
    mapped[:] = w
    assert_same_bits(lk.optical_linear_infer(x, mapped, bias, 8),
                     lk.optical_linear_infer(x, w, bias, 8))


class OnlyDLPack:
    """An array of some other library."""

    def __init__(self, numpy_array):
        self.array = numpy_array

    def __dlpack__(self, **arguments):
        return self.array.__dlpack__(**arguments)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("layout", ["contiguous", "rows of a wider array", "fortran"])
def test_dlpack(layout):
    arrays = layer_data(6, 9, 11)
    expected = lk.optical_linear_infer(*arrays, 8)
    objects = [OnlyDLPack(LAYOUTS[layout](a)) for a in arrays]
    y = lk.optical_linear_infer(*objects, 8)
    assert isinstance(y, np.ndarray)
    assert_same_bits(y, expected)
    out = OnlyDLPack(np.zeros((6, 11), np.float32))
    assert lk.optical_linear_infer(*objects, 8, out=out) is out
    assert_same_bits(out.array, expected)
