"""Functions that write to a tensor raise its version counter, as PyTorch's own do."""
import pytest
from helpers import layer_data

import lumina_kernel as lk

torch = pytest.importorskip("torch")


def tensors():
    return [torch.from_numpy(a) for a in layer_data(3, 4, 5)]


def infer(out):
    x, w, bias = tensors()
    lk.optical_linear_infer(x, w, bias, 8, out=out)


def fused(out):
    x, w, bias = tensors()
    lk.optical_linear_fused(x, w, bias, 0.1, 8, 1, out=out)


def physics(out):
    x, w, bias = tensors()
    lk.optical_linear_physics(x, w, bias, 8, 1, out=out)


def fill_normal(out):
    lk.FastRng(1).fill_normal(out)


def apply(out):
    lk.Quantizer(8, -1.0, 1.0).apply(out)


def apply_symmetric(out):
    lk.SymmetricQuantizer(8, 1.0).apply(out)


WRITERS = [infer, fused, physics, fill_normal, apply, apply_symmetric]
writers = pytest.mark.parametrize("write", WRITERS, ids=[w.__name__ for w in WRITERS])


@writers
def test_the_version_is_raised(write):
    out = torch.zeros(3, 5)
    before = out._version
    write(out)
    assert out._version > before
    before = out._version
    write(out.detach())  # shares the counter
    assert out._version > before


@writers
def test_autograd_notices_that_a_saved_tensor_was_written_to(write):
    leaf = torch.ones(3, 5, requires_grad=True)
    saved = leaf * 1
    total = (saved**2).sum()
    write(saved.detach())
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_complex_products():
    out = torch.zeros(3, 5, dtype=torch.complex64)
    before = out._version
    lk.complex_matmul(torch.ones(3, 4, dtype=torch.complex64),
                      torch.ones(5, 4, dtype=torch.complex64), out=out)
    assert out._version > before


@writers
def test_tensors_of_inference_mode_have_no_version(write):
    with torch.inference_mode():
        out = torch.zeros(3, 5)
        write(out)
    assert (out != 0).any() or write in (apply, apply_symmetric)


@writers
def test_a_call_that_is_refused_leaves_the_version(write):
    out = torch.zeros(5, 3).T  # not contiguous
    before = out._version
    with pytest.raises(ValueError):
        write(out)
    assert out._version == before


def test_results_have_the_cpu_whatever_the_default_is():
    x, w, bias = tensors()
    if not hasattr(torch, "set_default_device"):
        pytest.skip("this PyTorch has no default device")
    torch.set_default_device("meta")
    try:
        y = lk.optical_linear_infer(x, w, bias, 8)
    finally:
        torch.set_default_device("cpu")
        torch.set_default_device(None)
    assert y.device.type == "cpu"
