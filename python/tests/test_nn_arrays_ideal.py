"""Layers on arrays are torch's own where all is ideal."""

import numpy as np
import pytest
from arrays_support import IDEAL, IDEAL_IN_TILES, NOISY, QUIET, numbers
from hypothesis import given, settings as hypothesis_settings, strategies as st
from nn_support import backend, torch

import torch.nn.functional as F
from torch import nn

from lumina_kernel import Dac, Mapping, presets, nn as ln


def assert_is_torchs(analog, digital, x):
    """Outputs and gradients. `digital` gets the other's weights."""
    digital.load_state_dict({name: value for name, value in analog.named_parameters()})
    xs = [x.clone().requires_grad_() for _ in range(2)]
    ys = [layer(own) for layer, own in zip((analog, digital), xs)]
    assert ys[0].shape == ys[1].shape and ys[0].dtype == ys[1].dtype
    torch.testing.assert_close(*ys, rtol=1e-5, atol=1e-5)
    grad_y = numbers(*ys[0].shape, seed=5)
    for y in ys:
        y.backward(grad_y)
    torch.testing.assert_close(xs[0].grad, xs[1].grad, rtol=1e-5, atol=2e-5)
    for own, other in zip(analog.parameters(), digital.parameters()):
        torch.testing.assert_close(own.grad, other.grad, rtol=1e-5, atol=1e-4)


profiles = st.sampled_from([IDEAL, IDEAL_IN_TILES])


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.booleans(),
    st.lists(st.integers(0, 4), max_size=3),
    profiles,
)
def test_linear_is_torchs(ins, outs, bias, batch, profile):
    x = numbers(*batch, ins)
    assert_is_torchs(ln.AnalogLinear(ins, outs, bias, profile), nn.Linear(ins, outs, bias), x)


@st.composite
def convolutions(draw):
    """(dimensions, arguments of a layer, shape of its input)"""
    dimensions, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 1, 2, 3]))

    def sizes(least, most):
        each = st.integers(least, most)
        return draw(st.one_of(each, st.tuples(*[each] * dimensions)))

    channels = groups * draw(st.integers(1, 3))
    kernel, dilation = sizes(1, 3), sizes(1, 2)
    padding = draw(st.sampled_from(["same", "valid", "numbers", "numbers"]))
    stride = 1 if padding == "same" else sizes(1, 3)
    arguments = dict(
        in_channels=channels,
        out_channels=groups * draw(st.integers(1, 3)),
        kernel_size=kernel,
        stride=stride,
        padding=sizes(0, 2) if padding == "numbers" else padding,
        dilation=dilation,
        groups=groups,
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "zeros", "reflect", "replicate", "circular"])),
    )
    batch = draw(st.sampled_from([(), (0,), (1,), (2,)]))
    image = [draw(st.integers(5, 7)) for _ in range(dimensions)]
    return dimensions, arguments, (*batch, channels, *image)


ANALOG = {1: ln.AnalogConv1d, 2: ln.AnalogConv2d, 3: ln.AnalogConv3d}
DIGITAL = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


@hypothesis_settings(max_examples=200)
@given(convolutions(), profiles)
def test_convolutions_are_torchs(convolution, profile):
    dimensions, arguments, shape = convolution
    mode = arguments["padding_mode"]
    digital = DIGITAL[dimensions](**arguments)
    x = numbers(*shape)
    try:
        digital(x)
    except (RuntimeError, NotImplementedError) as error:
        # This torch has no such padding for that dimension, or batch.
        assert mode != "zeros" or 0 in shape, error
        return
    assert_is_torchs(ANALOG[dimensions](**arguments, profile=profile), digital, x)


def test_parameters_are_torchs():
    """The same seed gives the same weights, by the same names."""
    makes = [
        (lambda **o: ln.AnalogLinear(9, 4, **o), lambda: nn.Linear(9, 4)),
        (lambda **o: ln.AnalogConv1d(6, 4, 3, groups=2, **o), lambda: nn.Conv1d(6, 4, 3, groups=2)),
        (lambda **o: ln.AnalogConv3d(2, 4, (1, 2, 3), **o), lambda: nn.Conv3d(2, 4, (1, 2, 3))),
    ]
    for analog, digital in makes:
        layers = []
        for make in (lambda: analog(profile=NOISY), digital):
            torch.manual_seed(3)
            layers.append(dict(make().named_parameters()))
        assert layers[0].keys() == layers[1].keys()
        assert all(torch.equal(layers[0][key], layers[1][key]) for key in layers[0])


def test_torchs_state_is_loaded_and_leaves_ranges():
    layer = ln.AnalogLinear(9, 4, profile=NOISY)
    layer.load_state_dict(nn.Linear(9, 4).state_dict())
    assert layer.input_range == 2.5 and layer.adc_bound.item() == 9.0 and layer.programmed is None
    ln.program(layer.eval(), 1)
    layer.load_state_dict(nn.Linear(9, 4).state_dict())
    assert layer.programmed is None  # the chip has other weights


def test_a_lumina_profile_is_an_optical_layers():
    for profile in ("lumina_nano_v1", presets.lumina_micro_v1):
        by_name = ln.AnalogLinear(5, 3, profile=profile)
        by_place = ln.AnalogLinear(5, 3, False, profile)
        assert type(by_name) is type(by_place) is ln.OpticalLinear
        assert by_name.bias is not None and by_place.bias is None
        assert by_name(torch.rand(2, 5)).shape == (2, 3)
    with pytest.raises(TypeError, match="profile.*lumina_nano_v1"):
        ln.AnalogConv1d(5, 3, 1, profile="lumina_nano_v1")


def test_negated_views(backend):
    layer = ln.AnalogLinear(9, 4, profile=QUIET)
    x = numbers(3, 9)
    assert torch.equal(layer(torch._neg_view(x)), layer(-x))
    y = layer(x.requires_grad_())
    y.backward(torch._neg_view(torch.ones_like(y)))
    assert x.grad.abs().sum() > 0


def test_words_of_numpy(backend):
    layer = ln.program(ln.AnalogLinear(9, 4, profile=NOISY).eval(), np.uint64(2**64 - 1))
    ln.drift(layer, np.float32(3.0))
    assert layer.programmed == (2**64 - 1, 0, 3.0)


def test_follows_torch_through_training():
    """100 steps of SGD, as the field's own suites ask for."""
    torch.manual_seed(1)
    digital = nn.Linear(12, 5)
    analog = ln.AnalogLinear(12, 5, profile=IDEAL)
    analog.load_state_dict(digital.state_dict())
    optimizers = [torch.optim.SGD(layer.parameters(), 0.1, 0.9) for layer in (analog, digital)]
    first = analog.weight.detach().clone()
    for step in range(100):
        x, target = numbers(8, 12, seed=step), numbers(8, 5, seed=1000 + step)
        for layer, optimizer in zip((analog, digital), optimizers):
            optimizer.zero_grad()
            F.mse_loss(layer(x), target).backward()
            optimizer.step()
    assert (analog.weight - first).abs().max() > 0.1
    for own, other in zip(analog.parameters(), digital.parameters()):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("scale", ["column", "tile"])
def test_weights_have_at_most_so_many_levels(backend, bits, scale):
    """What a layer without converters multiplies: its answers to unit vectors."""
    profile = IDEAL.with_(dac=Dac(8, 1.0), mapping=Mapping((400, 8), scale, weight_bits=bits))
    layer = ln.AnalogLinear(400, 8, False, profile).requires_grad_(False)
    with torch.no_grad():
        layer.weight.copy_(numbers(8, 400))
    held = layer(torch.eye(400)).t()
    magnitudes = layer.weight.abs()
    largest = magnitudes.amax(1, keepdim=True) if scale == "column" else magnitudes.max()
    steps = held / largest * (2 ** (bits - 1) - 1)
    assert (steps - steps.round()).abs().max() < 1e-4
    count = max(row.round().unique().numel() for row in steps)
    assert 2 ** (bits - 2) < count <= 2**bits - 1
    assert (held - layer.weight).abs().max() <= 0.5001 * largest.max() / (2 ** (bits - 1) - 1)
