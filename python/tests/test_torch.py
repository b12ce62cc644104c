"""CPU tensors of PyTorch as arrays."""
import numpy as np
import pytest
from helpers import assert_names, assert_same_bits, layer_data

import lumina_kernel as lk

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

LAYOUTS = {
    "contiguous": torch.clone,
    "rows of a wider tensor": lambda t: torch.nn.functional.pad(t, (2, 3))[..., 2:-3],
    "every other column": lambda t: t.repeat_interleave(2, dim=-1)[..., ::2],
    "transposed": lambda t: t.movedim(0, -1).contiguous().movedim(-1, 0),
    "behind an offset": lambda t: torch.cat([t, t])[len(t):],
}


def tensors(*shape):
    return [torch.from_numpy(a) for a in layer_data(*shape)]


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_tensors_are_read_and_returned(layout):
    arrays = layer_data(6, 9, 11)
    y = lk.optical_linear_fused(*(layout(t) for t in tensors(6, 9, 11)), 0.25, 8, 1)
    assert isinstance(y, torch.Tensor) and y.dtype == torch.float32 and not y.requires_grad
    assert_same_bits(y.numpy(), lk.optical_linear_fused(*arrays, 0.25, 8, 1))


def test_the_result_is_of_the_inputs_type():
    (x, w, bias), (tx, tw, tbias) = layer_data(6, 9, 11), tensors(6, 9, 11)
    assert isinstance(lk.optical_linear_infer(tx, w, bias, 8), torch.Tensor)
    assert isinstance(lk.optical_linear_infer(x, tw, tbias, 8), np.ndarray)
    assert isinstance(lk.optical_linear_infer(tx, lk.CodedWeights(tw), None, 8, dac_bits=8),
                      torch.Tensor)
    g = lk.optical_linear_infer(tx, tw, None, 8)
    for gradient in lk.optical_linear_backward_kernel(g, tx, tw):
        assert isinstance(gradient, torch.Tensor) and gradient.dtype == torch.float32


def test_results_own_their_memory():
    y = lk.optical_linear_infer(*tensors(30, 40, 500), 8)
    before = y.clone()
    for _ in range(3):
        lk.optical_linear_infer(*tensors(30, 40, 500), 2)
    assert torch.equal(y, before) and y.is_contiguous()
    y += 1


def test_out():
    x, w, bias = tensors(3, 4, 5)
    expected = lk.optical_linear_infer(x, w, bias, 8)
    wide = torch.full((3, 9), 7.0)
    out = wide[:, 2:7]
    assert lk.optical_linear_infer(x, w, bias, 8, out=out) is out
    assert torch.equal(out, expected)
    assert (wide[:, :2] == 7).all() and (wide[:, 7:] == 7).all()
    numpy_out = np.empty((3, 5), np.float32)
    assert lk.optical_linear_infer(x, w, bias, 8, out=numpy_out) is numpy_out
    assert_same_bits(numpy_out, expected.numpy())


def test_complex_tensors():
    generator = torch.Generator().manual_seed(1)
    x, w = (torch.randn(n, 4, dtype=torch.complex64, generator=generator) for n in (3, 5))
    y = lk.complex_matmul(x, w)
    assert isinstance(y, torch.Tensor) and y.dtype == torch.complex64
    torch.testing.assert_close(y, x @ w.T)


@pytest.mark.parametrize("view", ["conj", "imag of conj"])
def test_lazily_conjugated_tensors_are_right_or_refused(view):
    x = torch.tensor([[1 + 2j]], dtype=torch.complex64).conj()
    try:
        if view == "conj":
            assert lk.complex_matmul(x, torch.ones(1, 1, dtype=torch.complex64))[0, 0] == 1 - 2j
        else:  # it carries the negative bit
            weight = torch.ones(1, 1)
            assert lk.optical_linear_infer(x.imag, weight, None, 16, lo=-4.0, hi=4.0)[0, 0] < 0
    except (TypeError, ValueError):
        pass


def test_tensors_that_require_grad():
    x, w, bias = tensors(3, 4, 5)
    x.requires_grad_()
    for arguments in [(x, w, bias), (w[:3], x, bias[:3])]:
        with pytest.raises(ValueError) as error:
            lk.optical_linear_infer(*arguments, 8)
        assert_names(str(error.value), "input" if arguments[0] is x else "weight", "detach", (3, 4))
        with torch.no_grad(), pytest.raises(ValueError):
            lk.optical_linear_infer(*arguments, 8)
    lk.optical_linear_infer(x.detach(), w, bias, 8)
    parameter = torch.nn.Parameter(torch.full((3, 5), 7.0))
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(x.detach(), w, bias, 8, out=parameter)
    assert_names(str(error.value), "out", "detach")
    assert (parameter == 7).all()


def test_tensors_elsewhere():
    x, w, bias = tensors(3, 4, 5)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(torch.empty(3, 4, device="meta"), w, bias, 8)
    assert_names(str(error.value), "input", (3, 4), "meta")
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(x, torch.empty(5, 4, device="meta"), bias, 8)
    assert_names(str(error.value), "weight")


class OnCuda(torch.Tensor):
    """Says of itself what a tensor on a GPU says."""

    is_cpu = False
    device = torch.device("cuda:0")

    def data_ptr(self):
        raise AssertionError("nobody may read there")


@pytest.mark.parametrize("name", ["input", "weight", "bias", "out"])
def test_tensors_on_a_gpu(name):
    arrays = dict(zip(("input", "weight", "bias"), tensors(3, 4, 5)), out=torch.full((3, 5), 7.0))
    arrays[name] = arrays[name].as_subclass(OnCuda)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(**arrays, bits=8)
    assert_names(str(error.value), name, tuple(arrays[name].shape), "cuda:0", "CPU")
    assert (arrays["out"] == 7).all()


@pytest.mark.parametrize("dtype", [
    torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool, torch.complex64])
def test_other_dtypes(dtype):
    x, w, bias = tensors(3, 4, 5)
    with pytest.raises(TypeError) as error:
        lk.optical_linear_infer(x.to(dtype), w, bias, 8)
    assert_names(str(error.value), "input", "float32", str(dtype).replace("torch.", ""))


def test_shapes_in_messages():
    x, w, bias = tensors(3, 4, 5)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(x, w[:, :2], bias, 8)
    assert_names(str(error.value), "weight", (5, 2))


@pytest.mark.parametrize("relayout", [
    torch.Tensor.to_sparse, torch.Tensor.to_mkldnn,
    pytest.param(torch.Tensor.to_sparse_csr,
                 marks=pytest.mark.filterwarnings("ignore:Sparse CSR")),
    pytest.param(lambda t: torch.nested.nested_tensor(list(t)), id="nested",
                 marks=pytest.mark.filterwarnings("ignore:The PyTorch API of nested"))])
def test_other_layouts(relayout):
    x, w, bias = tensors(3, 4, 5)
    with pytest.raises(ValueError) as error:
        lk.optical_linear_infer(relayout(x), w, bias, 8)
    assert_names(str(error.value), "input", "dense")


def test_tensors_without_memory():
    class Fake(torch.Tensor):
        def data_ptr(self):
            return 0

    fake = torch.ones(5, 4).as_subclass(Fake)
    with pytest.raises(ValueError) as error:
        lk.PackedWeights(fake)
    assert_names(str(error.value), "weight", (5, 4))


def test_empty():
    y = lk.optical_linear_infer(torch.ones(0, 4), torch.ones(5, 4), None, 8)
    assert isinstance(y, torch.Tensor) and y.shape == (0, 5)


def test_other_functions_take_tensors():
    values = torch.linspace(-2, 2, 9)
    quantizer = lk.Quantizer(4, -1.0, 1.0)
    np.testing.assert_array_equal(np.asarray(quantizer(values)), quantizer(values.numpy()))
    expected = quantizer(values.numpy())
    quantizer.apply(values)
    assert_same_bits(values.numpy(), expected)
    lk.FastRng(1).fill_normal(values)
    assert_same_bits(values.numpy(), lk.FastRng(1).normals(9))
