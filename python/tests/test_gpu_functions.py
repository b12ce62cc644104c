"""optical_linear_fused and its sister of arrays on a GPU: how they get to PyTorch's side, and what that
computes, on a stand-in for a GPU's kernels and in PyTorch alone."""

import gpu_stand_in
import numpy as np
import pytest
from helpers import assert_names, layer_data
from test_dlpack_devices import CUDA, Exporter

torch = pytest.importorskip("torch")

import lumina_kernel as lk
from lumina_kernel.nn import gpu_functions, pure_torch, selection


def operands(batch=9, inputs=70, outputs=37):
    return [torch.from_numpy(each) for each in layer_data(batch, inputs, outputs)]


CALLS = {
    "floats": dict(),
    "quantized weights": dict(weight_bits=4),
    "DAC": dict(dac_bits=6, dac_lo=-1.0),
    "codes": dict(dac_bits=8, weight_bits=8),
    "few bits": dict(dac_bits=3, weight_bits=2, dac_symmetric=True, dac_lo=-1.0, symmetric=True),
    "many bits": dict(dac_bits=12, weight_bits=10, lo=-4.0, hi=5.0),
}


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("biased", [False, True])
def test_has_the_bits_of_the_cpu(monkeypatch, options, biased):
    monkeypatch.setattr(selection, "active", gpu_stand_in.install())
    x, w, b = operands()
    given = (x, w, b if biased else None, 0.3, 8, 5)
    key = dict(stream=3, row_offset=100)
    y = gpu_functions.optical_linear_fused(*given, **options, **key)
    assert torch.equal(y, lk.optical_linear_fused(*given, **options, **key))
    given = given[:3]
    y = gpu_functions.optical_linear_infer(*given, 6, **options)
    assert torch.equal(y, lk.optical_linear_infer(*given, 6, **options))


@pytest.mark.parametrize("options", CALLS.values(), ids=CALLS)
def test_pure_torch_has_them_but_for_noise_and_the_rounding_of_sums(monkeypatch, options):
    monkeypatch.setattr(selection, "active", pure_torch)
    x, w, b = operands()
    y = gpu_functions.optical_linear_infer(x, w, b, 8, **options)
    expected = lk.optical_linear_infer(x, w, b, 8, **options)
    step = (options.get("hi", 10.0) - options.get("lo", -10.0)) / 254
    assert (y - expected).abs().max() <= step and (y != expected).float().mean() < 0.2
    first, again, other = (
        gpu_functions.optical_linear_fused(x, w, b, 0.5, 16, seed, **options) for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    clean = gpu_functions.optical_linear_infer(x, w, b, 16, **options)
    inside = (clean.abs() < 3)
    assert (first - clean)[inside].std() == pytest.approx(0.5, rel=0.3)


def test_out_and_inputs_that_lie_apart(monkeypatch):
    monkeypatch.setattr(selection, "active", gpu_stand_in.install())
    x, w, b = operands(9, 140, 37)
    x, w, out = x[:, ::2], w[:, ::2], torch.empty(37, 9).t()
    y = gpu_functions.optical_linear_fused(x, w, b, 0.1, 8, 1, out=out)
    assert y is out and torch.equal(y, lk.optical_linear_fused(x, w, b, 0.1, 8, 1))


@pytest.mark.parametrize("change, error, words", [
    (dict(weight=torch.zeros(5, 4).to("meta")), ValueError, ["weight", "meta", "input", "CPU"]),
    (dict(input=torch.zeros(3, 4).double()), TypeError, ["input", "float32", "float64"]),
    (dict(weight=torch.zeros(5, 3)), ValueError, ["input", "weight"]),
    (dict(bias=torch.zeros(4)), ValueError, ["bias"]),
    (dict(out=torch.zeros(3, 4)), ValueError, ["out"]),
    (dict(weight=torch.zeros(5, 4, requires_grad=True)), ValueError, ["weight", "requires_grad"]),
    (dict(weight=[1.0]), TypeError, ["GPU", "list"]),
    (dict(noise_std=-1.0), ValueError, ["noise_std"]),
    (dict(bits=17), ValueError, ["bits"]),
    (dict(dac_bits=0), ValueError, ["dac_bits"]),
    (dict(weight_bits=1), ValueError, ["weight_bits"]),
    (dict(seed=-1), ValueError, ["seed"]),
    (dict(lo=1.0, hi=1.0), ValueError, ["lo", "hi"]),
    (dict(lo=-2.0, hi=1.0, symmetric=True), ValueError, ["lo", "hi", "symmetric"]),
])
def test_errors_name_the_argument(change, error, words):
    given = dict(input=torch.zeros(3, 4), weight=torch.zeros(5, 4), bias=None, noise_std=0.0, bits=8,
                 seed=1)
    with pytest.raises(error) as raised:
        gpu_functions.optical_linear_fused(**{**given, **change})
    assert_names(str(raised.value), *words)


class Cupy:
    """With nothing but NVIDIA's own protocol."""

    __cuda_array_interface__ = {"shape": (3, 4), "typestr": "<f4", "data": (64, False), "version": 3}


@pytest.mark.parametrize("x", [Exporter((3, 4), CUDA), Cupy()], ids=["DLPack", "NVIDIA's"])
def test_the_compiled_functions_find_it(monkeypatch, x):
    seen = []
    for name in ("optical_linear_fused", "optical_linear_infer"):
        monkeypatch.setattr(gpu_functions, name, lambda *given, **more: seen.append((given, more)))
    w = np.ones((5, 4), np.float32)
    lk.optical_linear_fused(x, w, None, 0.1, 8, 7, dac_bits=3, stream=5, symmetric=True, lo=-10.0)
    lk.optical_linear_infer(x, w, None, 8, out=w, hi=3.0)
    (given, more), (infer_given, infer_more) = seen
    assert given[0] is x and given[1] is w and given[2:] == (None, 0.1, 8, 7)
    assert more == dict(lo=-10.0, hi=10.0, threads=None, out=None, dac_bits=3, weight_bits=None,
                        dac_lo=0.0, dac_hi=1.0, stream=5, row_offset=0, symmetric=True,
                        dac_symmetric=False)
    assert infer_given[0] is x and infer_given[2:] == (None, 8) and infer_more["out"] is w
    assert infer_more["hi"] == 3.0 and "stream" not in infer_more
