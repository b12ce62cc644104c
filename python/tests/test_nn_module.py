"""OpticalLinear as an nn.Module: errors, state, copies, its line in a print."""

import copy
import dataclasses
import io
import pickle

import numpy as np
import pytest
from nn_support import backend, inputs, make_layer, torch

from lumina_kernel import profiles
from lumina_kernel.nn import OpticalLinear, selection
from lumina_kernel.profiles import HardwareProfile, hardware_profile

RANGE = (-1.0, 1.0)


def test_refuses_other_inputs(backend):
    layer = make_layer(output_range=RANGE)
    with pytest.raises(TypeError, match="torch.Tensor, not ndarray"):
        layer(inputs(3, 70).numpy())
    for other in (torch.int32, torch.bool, torch.complex64):
        with pytest.raises(TypeError, match=rf"\[3, 70\].*float32.*, not {other}"):
            layer(inputs(3, 70).to(other))
    with pytest.raises(ValueError, match=r"\[3, 71\].*\[\.\.\., 70\].*\[37, 70\]"):
        layer(inputs(3, 71))
    with pytest.raises(ValueError, match=r"input is \[\]"):
        layer(torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"one device.*input.*meta, weight.*cpu"):
        layer(torch.empty(3, 70, device="meta"))
    for bad in (float("nan"), float("inf"), -float("inf")):
        x = inputs(3, 70)
        x[2, 69] = bad
        with pytest.raises(ValueError, match=r"input.*finite"):
            layer(x)
    assert layer(torch.full((2, 70), 3e38)).isfinite().all()  # large, but finite


@pytest.mark.filterwarnings("ignore:Sparse CSR", "ignore:The PyTorch API of nested")
def test_refuses_other_layouts(backend):
    layer = make_layer(output_range=RANGE)
    x = inputs(3, 70)
    for other in (x.to_sparse(), x.to_sparse_csr(), x.to_mkldnn()):
        with pytest.raises(ValueError, match=r"input \[3, 70\] must be dense"):
            layer(other)
    with pytest.raises(ValueError, match="input must be one tensor"):
        layer(torch.nested.nested_tensor(list(x)))


@pytest.mark.parametrize("limit", [float("nan"), float("inf"), -1.0, 1e-30])
def test_refuses_a_tracked_range_that_cannot_be(backend, limit):
    layer = make_layer()
    layer(inputs(3, 70))
    state = layer.state_dict()
    state["adc_limit"].fill_(limit)
    layer.load_state_dict(state)
    with pytest.raises(RuntimeError, match="adc_limit"):
        layer.eval()(inputs(3, 70))


@pytest.mark.parametrize("precision", [8, 12])
def test_refuses_other_weights(backend, precision):
    layer = make_layer(precision=precision, output_range=RANGE)
    with torch.no_grad():
        layer.weight[3, 4] = float("nan")
    with pytest.raises(ValueError, match="finite"):
        layer(inputs(3, 70))
    layer.weight = torch.nn.Parameter(torch.zeros(70, 37))
    with pytest.raises(ValueError, match=r"weight must be \[37, 70\], not \[70, 37\]"):
        layer(inputs(3, 70))
    layer.weight = torch.nn.Parameter(torch.zeros(37, 70))
    layer.bias = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match=r"bias must be \[37\], not \[1\]"):
        layer(inputs(3, 70))


@pytest.mark.parametrize(
    "options, error, message",
    [
        (dict(hardware_profile="nano"), ValueError, "unknown hardware profile 'nano'; there are"),
        (dict(precision=1), ValueError, r"bits must be in 2\.\.16, not 1"),
        (dict(precision=17), ValueError, r"bits must be in 2\.\.16, not 17"),
        (dict(precision=8.0), TypeError, "bits must be an int, not float"),
        (dict(precision=True), TypeError, "bits must be an int, not bool"),
        (dict(hardware_profile=None), TypeError, "hardware_profile"),
        (dict(noise_level=-0.1), ValueError, "noise_level"),
        (dict(noise_level=1e39), ValueError, "noise_level"),
        (dict(noise_level="0.1"), TypeError, "noise_level must be a number, not str"),
        (dict(temp_drift="0.1"), TypeError, "temp_drift must be a number, not str"),
        (dict(noise_level=float("nan")), ValueError, "noise_level"),
        (dict(temp_drift=1.5), ValueError, "temp_drift"),
        (dict(input_range=(1.0, 1.0)), ValueError, "input_range.*lo < hi"),
        (dict(output_range=(0.0, float("inf"))), ValueError, "output_range must be finite"),
        (dict(output_range=3.0), TypeError, r"output_range must be a pair"),
        (dict(output_range=(1, 2, 3)), TypeError, r"output_range must be a pair"),
        (dict(seed=-1), ValueError, "seed"),
        (dict(seed=1.0), TypeError, "seed must be an int, not float"),
        (dict(seed=True), TypeError, "seed must be an int, not bool"),
        (dict(generator=1), TypeError, "generator must be a torch.Generator, not int"),
        (dict(seed=1, generator=torch.Generator()), ValueError, "generator and seed"),
        (dict(stream=1), ValueError, "stream.*seed"),
        (dict(seed=1, stream=-1), ValueError, "stream"),
        (dict(dtype=torch.int32), TypeError, "float32"),
        (dict(device="xla"), ValueError, "CPU or a CUDA device, not xla"),
        (dict(in_features=0), ValueError, "positive"),
        (dict(in_features=3.0), TypeError, "in_features must be an int, not float"),
        (dict(out_features="2"), TypeError, "out_features must be an int, not str"),
    ],
)
def test_refuses_other_options(options, error, message):
    with pytest.raises(error, match=message):
        OpticalLinear(**{"in_features": 3, "out_features": 2, **options})


def test_takes_usual_options():
    layer = OpticalLinear(3, 2, "custom", 6, 0.2, True, 0.1, device="cpu", dtype=torch.float32)
    assert layer.hardware_profile == HardwareProfile("custom", 6, 0.2, 1.0, 0.1)
    own = HardwareProfile("own", 5, 0.3, 0.7, 0.2)
    assert OpticalLinear(3, 2, own).hardware_profile == own
    numpy_numbers = dict(precision=np.int64(6), noise_level=np.float32(0.25), seed=np.uint64(2**63))
    layer = OpticalLinear(np.int64(3), np.int64(2), **numpy_numbers)
    assert str(layer) == str(OpticalLinear(3, 2, precision=6, noise_level=0.25))


@pytest.mark.parametrize("attenuation", [0.0, -1.0, 1e-60, float("inf"), float("nan")])
def test_profiles_need_an_attenuation(attenuation):
    with pytest.raises(ValueError, match="attenuation"):
        HardwareProfile("own", 5, 0.3, attenuation, 0.2)


def test_state_dict_round_trip(backend):
    layer = make_layer(bias=True)
    layer(inputs(9, 70))
    assert list(layer.state_dict()) == ["weight", "bias", "adc_limit"]
    other = OpticalLinear(70, 37, bias=True)
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.eval()(inputs(9, 70)), layer.eval()(inputs(9, 70)))
    assert list(make_layer(output_range=RANGE).state_dict()) == ["weight"]


def through_file(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    try:
        return torch.load(file, weights_only=False)
    except TypeError:  # before torch 1.13
        return torch.load(file)


@pytest.mark.parametrize(
    "copied",
    [copy.deepcopy, through_file]
    + [lambda layer, p=p: pickle.loads(pickle.dumps(layer, p)) for p in (0, 2, 5)],
    ids=["deepcopy", "torch.save", "pickle 0", "pickle 2", "pickle 5"],
)
@pytest.mark.parametrize("noise", [{}, {"seed": 3}, {"generator": torch.Generator()}])
def test_copies(backend, copied, noise):
    layer = make_layer(precision=6, bias=True, **noise)
    x = inputs(9, 70)
    layer(x)
    other = copied(layer)
    assert str(other) == str(layer) and other.adc_limit == layer.adc_limit
    results = []
    for each in (layer, other):
        torch.manual_seed(1)
        each(x).sum().backward()
        results.append((each(x), each.weight.grad, each.adc_limit))
    for own, same in zip(*results):
        assert torch.equal(own, same)
    with torch.no_grad():
        other.weight.zero_()
    assert not torch.equal(layer.eval()(x), other.eval()(x))  # no memory is shared


def test_extra_repr(backend):
    layer = OpticalLinear(784, 512)
    assert str(layer) == (
        "OpticalLinear(in_features=784, out_features=512, bias=False, "
        "hardware_profile='lumina_nano_v1', precision=4, noise_level=0.15, temp_drift=0.05, "
        "input_range=(0.0, 1.0), output_range=tracked, "
        f"gradient_products={layer.used_gradient_products}, backend={backend})"
    )
    assert "output_range=(-1.0, 1.0)" in str(make_layer(output_range=RANGE))
    assert selection.backend() == backend


def test_profiles_are_those_of_the_cpp_header():
    numbers = {p.name: dataclasses.astuple(p)[1:] for p in profiles.PRESETS}
    assert numbers == {
        "lumina_nano_v1": (4, 0.15, 0.85, 0.05),
        "lumina_micro_v1": (8, 0.10, 0.90, 0.03),
        "edge_ultra_low_power": (2, 0.20, 0.75, 0.10),
        "datacenter_high_precision": (12, 0.05, 0.95, 0.01),
        "custom": (8, 0.10, 1.0, 0.0),
    }
    assert hardware_profile("lumina_micro_v1") is profiles.lumina_micro_v1
    with pytest.raises(AttributeError):
        profiles.custom.bits = 3


def test_readout_is_in_float32():
    readout = profiles.lumina_nano_v1.readout
    assert readout == tuple(torch.tensor([0.96, 0.15, 0.005, 0.85]).tolist())
