"""What surrounds the kernels of GPUs: the same bits as the native computation, and that nothing waits for
a device. With the kernels themselves, on an emulated GPU, where lumina_kernel_cuda is compiled for one, else
with a stand-in that computes on the CPU."""

import dataclasses
import sys

import gpu_stand_in
import pytest
from nn_support import assert_close, computation, inputs, make_layer, torch

from lumina_kernel import CodedWeights, presets
from lumina_kernel.array_settings import Encoding, Kernel, WeightNoise, mapping_of, settings_of
from lumina_kernel import nn as ln
from lumina_kernel.nn import (
    converters, freeze, limits, on_host, operators, pure_torch, selection, torch_arrays)
from lumina_kernel.nn.array_spec import ArrayKind
from lumina_kernel.nn.interface import LayerSettings
from lumina_kernel.nn.passes import PassKind
from lumina_kernel.profiles import Readout


@pytest.fixture
def cuda(monkeypatch):
    computation("native")  # or it is skipped
    return gpu_stand_in.install()


def both(monkeypatch, cuda, run):
    """What run() gives with the native computation and with that of GPUs."""
    results = []
    for each in (computation("native"), cuda):
        monkeypatch.setattr(selection, "active", each)
        torch.manual_seed(3)
        results.append(run())
    return results


def assert_equal(left, right):
    assert len(left) == len(right)
    for own, other in zip(left, right):
        assert own.dtype == other.dtype and torch.equal(own, other)


@pytest.mark.parametrize("precision, products", [
    (8, None), (8, "int8"), (4, "int16"), (2, "int24"), (8, "float32"), (12, None)])
@pytest.mark.parametrize("options", [
    {}, {"output_range": (-1.0, 2.0), "bias": True}, {"zero_preserving": True}])
def test_a_layer_has_the_bits_of_the_native_one(monkeypatch, cuda, precision, products, options):
    def run():
        wanted = products or ("int16" if precision <= 8 else None)
        layer = make_layer(precision=precision, gradient_products=wanted, seed=5, **options)
        x = inputs(3, 5, 70).requires_grad_()
        results = []
        for _ in range(3):
            y = layer(x)
            y.backward(torch.linspace(-1, 1, y.numel()).view_as(y))
            results += [y.detach(), x.grad.clone(), *(p.grad.clone() for p in layer.parameters())]
        results += [each.clone() for each in layer.state_dict().values()]
        return results + [freeze(layer.eval())(x.detach())]

    native, other = both(monkeypatch, cuda, run)
    if products == "float32":  # PyTorch's own products
        for own, expected in zip(other, native):
            assert_close(own.detach(), expected.detach())
    else:
        assert_equal(other, native)


@pytest.mark.parametrize("precision", [8, 12])
def test_so_has_a_layer_of_several_tiles(monkeypatch, cuda, precision):
    def run():
        products = "int16" if precision <= 8 else None
        layer = make_layer(300, 200, precision=precision, gradient_products=products, seed=5)
        x = inputs(150, 300).requires_grad_()
        y = layer(x)
        y.square().sum().backward()
        return [y.detach(), x.grad, layer.weight.grad]

    assert_equal(*both(monkeypatch, cuda, run))


@pytest.mark.parametrize("bits", range(2, 9))
def test_codes_are_those_of_the_cpu(cuda, bits):
    w = inputs(37, 150, lo=-0.2, hi=0.1) * torch.linspace(0.5, 2, 37)[:, None]
    expected = CodedWeights(w, bits)
    decoded = torch.from_numpy(expected.codes() * expected.scales()[:, None])
    assert torch.equal(cuda.encode(w, bits).decoded(), decoded)


def test_none_is_int16(monkeypatch, cuda):
    monkeypatch.setattr(selection, "active", cuda)
    assert make_layer(precision=8).used_gradient_products == "int16"
    assert make_layer(precision=12).used_gradient_products == "float32"
    assert "gradient_products=int16, backend=cuda" in str(make_layer(precision=8))
    assert selection.backend() == "cuda"


@pytest.mark.parametrize("change", [
    lambda x: x, lambda x: x.t().contiguous().t(), lambda x: x[:, 1:71], lambda x: x[::2, :70],
    lambda x: x[:1].expand(9, -1)[:, :70], lambda x: x[:0, :70],
    lambda x: torch.complex(x, x).conj().imag[:, :70]])
def test_inputs_are_read_however_they_lie(monkeypatch, cuda, change):
    x = change(inputs(9, 72))[..., -70:]
    run = lambda: [make_layer(output_range=(-1.0, 1.0), seed=1)(x).detach()]
    assert_equal(*both(monkeypatch, cuda, run))


def settings(limit, symmetric=False, key=7):
    dac = converters.Converter(8, 0.0, 1.0)
    adc = converters.Converter(8, -limit, limit, symmetric)
    return LayerSettings(dac, Readout(0.97, 0.1, 0.05, 0.9), adc, key, keep=True, track=True)


def there(each):
    """The same settings, whose limit only the device knows."""
    limit = torch.tensor(each.adc.hi)
    adc = converters.LimitConverter(each.adc.bits, limit, each.adc.symmetric)
    return dataclasses.replace(each, adc=adc)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("name", ["cuda", "torch"])
def test_a_limit_may_lie_on_the_device(cuda, name, symmetric):
    own = cuda if name == "cuda" else pure_torch
    x, weight = inputs(9, 70), inputs(37, 70, lo=-0.1, hi=0.1)
    known = settings(0.7, symmetric)
    results = []
    for each in (known, there(known)):
        weights = own.encode(weight, 8)
        y, largest, kept = own.forward(x, weights, None, each)
        grads = own.backward(kept, torch.ones_like(y), x, each, (True, True, True))
        results.append([y, torch.as_tensor(largest), *grads])
    for left, right in zip(*results):
        assert_close(left, right, 3e-7)


def test_all_is_on_the_current_stream(monkeypatch, cuda):
    monkeypatch.setattr(cuda, "place", lambda tensor: (0, 77))
    monkeypatch.setattr(selection, "active", cuda)
    calls = []
    for name in ("encode_weights", "decode_weights", "forward", "backward"):
        def noted(*given, name=name, run=getattr(cuda._cuda, name)):
            calls.append((name, given[-1]))
            run(*given)

        monkeypatch.setattr(cuda._cuda, name, noted)
    layer = make_layer()
    layer(inputs(9, 70)).sum().backward()
    # (The first batch measures itself.)
    assert calls == [(name, (0, 77)) for name in ("encode_weights", "forward", "forward", "backward")]


META = torch.device("meta")


@pytest.mark.parametrize("bits", [4, 12])
@pytest.mark.parametrize("symmetric", [False, True])
def test_pure_torch_never_waits_for_a_device(bits, symmetric):
    """Of tensors without values none can be read."""
    weight, bias = torch.empty(37, 70, device=META), torch.empty(37, device=META)
    x = torch.empty(9, 70, device=META)
    known = settings(1.0, symmetric)
    limit = converters.LimitConverter(bits, torch.empty((), device=META), symmetric)
    for adc in (known.adc, limit):
        each = dataclasses.replace(known, adc=adc)
        weights = pure_torch.encode(weight, bits)
        y, largest, kept = pure_torch.forward(x, weights, bias, each)
        grads = pure_torch.backward(kept, torch.empty_like(y), x, each, (True, True, True))
        assert all(each.is_meta for each in (y, largest, *grads, *kept.tensors[:3]))
        assert [tuple(g.shape) for g in grads] == [(9, 70), (37, 70), (37,)]


def test_devices_are_chosen_by_tensors(monkeypatch, cuda):
    monkeypatch.delenv("LUMINA_USE_KERNEL", raising=False)
    monkeypatch.setattr(selection, "_on_cuda", lambda index: selection.select("cuda", index))
    assert selection.computation(torch.device("cuda", 1)) is cuda
    assert selection.backend("cuda:0") == "cuda" and selection.backend() == selection.active.NAME
    assert selection.computation(META) is selection.active
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert selection.backend("cuda:1") == "torch"  # it's no emulated one
    monkeypatch.setattr(cuda._cuda, "device_type", "cuda")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"GPU {index}")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (7 + index, 5))
    assert selection.backend("cuda:1") == "cuda" and selection.backend("cuda:0") == "torch"
    monkeypatch.setitem(sys.modules, "lumina_kernel.nn.cuda", None)
    monkeypatch.delattr("lumina_kernel.nn.cuda")
    assert selection.backend("cuda") == "torch"
    monkeypatch.setenv("LUMINA_USE_KERNEL", "1")
    with pytest.raises(ImportError, match="LUMINA_USE_KERNEL=1 asks for.*native module"):
        selection.backend("cuda")
    monkeypatch.setenv("LUMINA_USE_KERNEL", "0")
    assert selection.backend("cuda") == "torch"


def test_tensors_of_several_devices_are_named():
    layer = make_layer(bias=True, output_range=(-1.0, 1.0))
    with pytest.raises(ValueError, match=r"input \[3, 70\] on meta, weight \[37, 70\] on cpu, bias"):
        layer(torch.empty(3, 70, device="meta"))


def test_arrays_in_pure_torch_never_wait_for_a_device():
    profile = presets.pcm_hwa
    for kernel, shape, weight in (
        (None, (9, 600), (20, 600)),
        (Kernel(4, 6, (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), 2), (2, 4, 1, 8, 8), (6, 2, 1, 3, 3)),
    ):
        x, w = torch.empty(shape, device=META), torch.empty(weight, device=META)
        encoding = Encoding(mapping_of(profile), noise=WeightNoise("additive", 0.1, (), 25.0, 0.1, 3))
        settings = settings_of(profile, 1.0)._replace(key=5, bound_iterations=0)
        weights = torch_arrays.encode(w, encoding, kernel)
        bound = torch.empty(torch_arrays.tiles(weights), weight[0], device=META)
        y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
        grads = torch_arrays.backward(kept, torch.empty_like(y), x, bound, settings, (True,) * 3)
        assert [each.shape for each in grads] == [x.shape, w.shape, w.shape[:1]]
        assert all(each.is_meta for each in (y, *grads))


class TestLimits:
    def test_passes_move_a_limit_on_the_device_as_on_the_host(self, monkeypatch):
        """(The limit's tensor lies on the CPU here.)"""
        monkeypatch.setattr(selection, "active", pure_torch)
        layer = make_layer(precision=8, noise_level=0.0)
        x = inputs(30, 70)
        kind = PassKind(layer._settings, True, False, True)
        weights = pure_torch.encode(layer.weight.detach(), 8)
        for limit in (0.01, 100.0):
            there, here = (
                layer._passes.run(x, weights, None, kind, None, each, True)
                for each in (torch.tensor(limit), torch.tensor(limit).item()))
            assert there.limit.item() == pytest.approx(here.limit, rel=1e-6)
            assert there.used.item() == pytest.approx(here.used)
            assert_close(there.y, here.y, 1e-4)  # of which 100 is no step

    def test_nan_and_infinity_do_not_move_it_beyond_what_an_adc_can_have(self):
        limit = torch.tensor(2.0)
        assert limits.widened(limit, torch.tensor(float("nan")), True, None) == 2.0
        largest = limits.widened(limit, torch.tensor(float("inf")), True, None)
        assert largest == limits.LARGEST_LIMIT
        assert limits.widened(limit, torch.tensor(3.0), False, None) is limit


def test_what_the_host_knows_is_asked_once_for_each_change():
    asked = []

    def question(tensor):
        asked.append(tensor)
        return tuple(tensor.shape)

    tensor = torch.empty(3, device=META)
    for _ in range(2):
        assert on_host.ask(tensor, question) == (3,)
    assert len(asked) == 1
    tensor.fill_(1)
    on_host.ask(tensor, question, for_good=True)
    assert len(asked) == 1
    on_host.ask(tensor, question)
    assert len(asked) == 2
    on_host.tell(tensor.fill_(2), question, "told")
    assert on_host.ask(tensor, question) == "told"
    others = len(on_host._known)
    del tensor, asked[:]
    assert len(on_host._known) == others - 1
    here = torch.empty(3)  # on the CPU changes behind autograd's count too
    on_host.ask(here, question), on_host.ask(here, question)
    assert len(asked) == 2



@pytest.mark.parametrize(
    "kernel", [None, Kernel(4, 6, (1, 3, 3), (1, 1, 1), (0, 1, 1), (1, 1, 1), 2)])
def test_chips_hold_what_they_hold_on_the_cpu(monkeypatch, kernel):
    here, elsewhere = torch.device("cpu"), torch.device("cpu:0")  # as a GPU without kernels for it
    computed = {here: computation("native"), elsewhere: pure_torch}
    monkeypatch.setattr(selection, "computation", lambda device: computed[device])
    encoding = Encoding.on_chip(presets.pcm_hwa, 3, 1, 1000.0)
    settings = settings_of(presets.pcm_hwa, 1.0, converts=False)
    w = inputs(600, 700, lo=-0.1, hi=0.1) if kernel is None else inputs(6, 2, 1, 3, 3)
    x = inputs(5, 700) if kernel is None else inputs(2, 4, 1, 8, 8)
    found = []
    for device in computed:
        kind = ArrayKind(encoding, kernel, settings, device)
        weights, arrays = kind.encode_on_chip(w), kind.computation
        y, _ = arrays.forward(x, weights, None, None, settings, False)
        found.append([arrays.NAME, y, arrays.scales(weights), *arrays.devices(weights)])
    native, torchs = found
    assert native[0] == "native" and torchs[0] == "torch"
    assert_close(torchs[1], native[1])
    assert_equal(torchs[2:], native[2:])


@pytest.mark.skipif(not operators.AVAILABLE, reason="this torch has no graphs of layers")
@pytest.mark.parametrize("make, shape", [
    (lambda: ln.OpticalLinear(70, 37), (9, 70)),
    (lambda: ln.OpticalLinear(70, 37, precision=12, output_range=(-1.0, 1.0)), (9, 70)),
    (lambda: ln.AnalogLinear(70, 37, profile="pcm_hwa"), (9, 70)),
    (lambda: ln.AnalogConv2d(4, 37, 3, profile="pcm_hwa"), (2, 4, 8, 8))])
def test_compilers_see_cuda_tensors(monkeypatch, cuda, make, shape):
    """As they see them: without values, and without a GPU."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    for own in (cuda, pure_torch):
        monkeypatch.setattr(selection, "_on_cuda", lambda index, own=own: own)
        with FakeTensorMode():
            with torch.device("cuda"):
                layer, x = make(), torch.empty(shape)
            y = layer(x)
        assert y.is_cuda and y.shape[1] == 37
        assert all(each.is_cuda for each in layer.state_dict().values())


@pytest.mark.skipif(not operators.AVAILABLE, reason="this torch has no graphs of layers")
def test_a_compiled_layer_has_the_bits_of_the_native_one(monkeypatch, cuda):
    def run():
        layer = make_layer(precision=8, gradient_products="int16", seed=5)
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        x = inputs(9, 70).requires_grad_()
        results = []
        for each in (layer, compiled, compiled):
            y = each(x)
            y.square().sum().backward()
            results += [y.detach(), x.grad.clone(), layer.weight.grad.clone(), layer.adc_limit.clone()]
        return results

    assert_equal(*both(monkeypatch, cuda, run))
