"""What layers on arrays refuse, and calibration."""

import copy

import numpy as np
import pytest
from arrays_support import IMAGES, NOISY, calibrated_profile, model, numbers
from nn_support import backend, torch

from torch import nn

from lumina_kernel import Adc, Calibrated, Dac, presets, nn as ln


@pytest.mark.parametrize("make, words", [
    (lambda: ln.AnalogLinear(0, 3), "in_features.*0"),
    (lambda: ln.AnalogLinear(3, -1), "out_features.*-1"),
    (lambda: ln.AnalogLinear(3, 4, profile="pcm"), "pcm.*pcm_hwa"),
    (lambda: ln.AnalogLinear(3, 4, device="xla"), "device.*xla"),
    (lambda: ln.AnalogLinear(3, 4, seed=-1), "seed.*-1"),
    (lambda: ln.AnalogLinear(3, 4, seed=1, generator=torch.Generator()), "generator and seed"),
    (lambda: ln.AnalogConv2d(0, 3, 2), "in_channels.*0"),
    (lambda: ln.AnalogConv2d(4, 3, 2, groups=2), "out_channels.*groups, 2.*3"),
    (lambda: ln.AnalogConv2d(3, 4, 2, groups=2), "in_channels.*groups, 2.*3"),
    (lambda: ln.AnalogConv2d(3, 4, (2, 2, 2)), "kernel_size.*2 numbers"),
    (lambda: ln.AnalogConv2d(3, 4, 0), "kernel_size.*at least 1"),
    (lambda: ln.AnalogConv1d(3, 4, 2, stride=0), "stride.*at least 1"),
    (lambda: ln.AnalogConv3d(3, 4, 2, padding=-1), "padding.*at least 0"),
    (lambda: ln.AnalogConv2d(3, 4, 2, dilation=(1, 0)), "dilation.*at least 1"),
    (lambda: ln.AnalogConv2d(3, 4, 2, padding="full"), "padding.*'full'"),
    (lambda: ln.AnalogConv2d(3, 4, 2, 2, padding="same"), "'same'.*stride"),
    (lambda: ln.AnalogConv2d(3, 4, 2, padding_mode="none"), "padding_mode.*'none'"),
    (lambda: ln.calibrate(model(), []), "batches"),
    (lambda: ln.program(model(), -1), "seed.*-1"),
    (lambda: ln.drift(model(), -1.0), "seconds.*-1"),
    (lambda: ln.drift(model(), float("nan")), "seconds.*nan"),
    (lambda: ln.seed_step(model(), 0, -1), "step"),
])
def test_wrong_values(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("make, words", [
    (lambda: ln.AnalogLinear(3.0, 4), "in_features.*float"),
    (lambda: ln.AnalogLinear(3, True), "out_features.*bool"),
    (lambda: ln.AnalogLinear(3, 4, profile=8), "profile.*int"),
    (lambda: ln.AnalogLinear(3, 4, dtype=torch.int8), "dtype.*int8"),
    (lambda: ln.AnalogLinear(3, 4, generator=3), "generator.*int"),
    (lambda: ln.AnalogConv2d(3, 4, 2.5), "kernel_size.*float"),
    (lambda: ln.AnalogConv2d(3, 4, 2, stride=(1, 1.5)), "stride.*float"),
    (lambda: ln.AnalogConv2d(3, 4, 2, groups=1.0), "groups.*float"),
    (lambda: ln.AnalogConv2d(3, 4, 2, profile="lumina_nano_v1"), "profile.*lumina_nano_v1"),
    (lambda: ln.program(model(), 1.0), "seed.*float"),
    (lambda: ln.drift(model(), "1"), "seconds.*str"),
    (lambda: ln.seed_step(model(), 0.5, 1), "epoch.*float"),
])
def test_wrong_kinds_of_values(make, words):
    with pytest.raises(TypeError, match=words):
        make()


@pytest.mark.parametrize("x, error, words", [
    (torch.ones(2, 3), ValueError, r"\[2, 3\].*\[\.\.\., 10\].*\[4, 10\]"),
    (torch.ones(()), ValueError, r"\[\].*10"),
    (torch.ones(2, 10, dtype=torch.int64), TypeError, "int64"),
    (torch.ones(2, 10).to_sparse(), ValueError, "dense"),
    (np.ones((2, 10)), TypeError, "ndarray"),
    (torch.full((2, 10), float("nan")), ValueError, r"input \[2, 10\].*finite"),
    (torch.full((2, 10), float("-inf")), ValueError, r"input \[2, 10\].*finite"),
])
def test_wrong_inputs_of_linear(backend, x, error, words):
    layer = ln.AnalogLinear(10, 4, profile=NOISY)
    with pytest.raises(error, match=words):
        layer(x)


@pytest.mark.parametrize("x, words", [
    (torch.ones(1, 2, 8, 8), r"\[1, 2, 8, 8\].*\[N, 3, size, size\].*\[4, 3, 3, 3\]"),
    (torch.ones(8, 8), r"\[8, 8\]"),
    (torch.ones(1, 3, 2, 8), r"\[1, 3, 2, 8\].*smaller than the kernel \[3, 3\]"),
    (torch.full((1, 3, 8, 8), float("inf")), r"input.*\[1, 3,.*8, 8\].*finite"),
])
def test_wrong_inputs_of_convolutions(backend, x, words):
    with pytest.raises(ValueError, match=words):
        ln.AnalogConv2d(3, 4, 3, profile=NOISY)(x)


@pytest.mark.parametrize("programmed", [False, True])
def test_weights_that_are_not_finite(backend, programmed):
    layer = ln.AnalogLinear(10, 4, profile=NOISY).eval()
    with torch.no_grad():
        layer.weight[1, 2] = float("nan")
    with pytest.raises(ValueError, match=r"weight.*\[4, 10\].*finite|weight.*finite"):
        ln.program(layer, 1) if programmed else layer(torch.ones(2, 10))
    assert layer.programmed is None


@pytest.mark.parametrize("profile, words", [
    (NOISY.with_(dac=Dac(8, Calibrated())), "input_range.*calibrate"),
    (NOISY.with_(adc=Adc(8, Calibrated())), "adc_bound.*calibrate"),
    (presets.pcm_joshi2020, "adc_bound.*calibrate"),
])
def test_uncalibrated_ranges(backend, profile, words):
    layer = ln.AnalogLinear(10, 4, profile=profile)
    with pytest.raises(RuntimeError, match=f"AnalogLinear.*{words}"):
        layer(torch.ones(2, 10))
    with pytest.raises(RuntimeError, match=words):
        ln.program(layer, 1)
    assert layer.programmed is None
    ln.calibrate(layer, [torch.ones(2, 10)])
    layer(torch.ones(2, 10))


def test_calibration_that_fails_leaves_ranges(backend):
    network = model(calibrated_profile())
    ln.calibrate(network, [IMAGES])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError):
        ln.calibrate(network, [2 * IMAGES, numbers(1, 3, 8, 8)])
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert network.training


def test_calibrates_what_it_sees(backend):
    profile = calibrated_profile().with_(noise_management="none")
    layer = ln.AnalogLinear(20, 6, False, profile)
    x = numbers(50, 20)
    ln.calibrate(layer, [x[:20], x[20:]])
    assert layer.input_range == x.abs().max() and layer.adc_bound.shape == (2, 6)
    for tile, (begin, end) in enumerate(((0, 16), (16, 20))):
        w = layer.weight.detach()[:, begin:end]
        exact = (x[:, begin:end] / layer.input_range) @ (w / w.abs().amax(1, keepdim=True)).t()
        torch.testing.assert_close(layer.adc_bound[tile], exact.abs().amax(0), rtol=0.02, atol=0)
    exact = x @ layer.weight.t()
    assert (layer.eval()(x) - exact).abs().max() < 0.2 * exact.abs().max()
    whole = copy.deepcopy(layer)
    ln.calibrate(whole, [x])
    assert torch.equal(whole.adc_bound, layer.adc_bound)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize("management, calls", [("abs_max", 2), ("none", 4)])
def test_calibration_goes_through_batches_as_often_as_it_must(backend, management, calls):
    network = model(calibrated_profile().with_(noise_management=management))
    network.insert(0, Counter())
    ln.calibrate(network, [IMAGES, 3 * IMAGES])
    assert network[0].calls == calls
    assert network[1].input_range == 3 * IMAGES.abs().max()
    twice = copy.deepcopy(network)
    ln.calibrate(twice, [3 * IMAGES, IMAGES])  # in any order
    for name, value in network.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[name], value, rtol=1e-5, atol=0)


@pytest.mark.parametrize("batch", [IMAGES[:0], IMAGES])
def test_calibration_names_a_layer_that_gets_nothing(backend, batch):
    network = model(calibrated_profile())
    network.register_module("unused", ln.AnalogLinear(3, 2, profile=calibrated_profile()))
    network.forward = lambda x: nn.Sequential.forward(network[:4], x)
    with pytest.raises(ValueError, match="unused|0 got no inputs"):
        ln.calibrate(network, [batch])
    assert network[0].input_range == network.unused.input_range == 0
    network.unused = ln.AnalogLinear(3, 2, profile=NOISY)  # which needs nothing
    if len(batch):
        ln.calibrate(network, [batch])
        assert network[0].input_range > 0
