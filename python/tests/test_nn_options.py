"""Attributes of OpticalLinear that are set later: the next pass and print show them."""

import pytest
from nn_support import backend, inputs, make_layer, torch

from lumina_kernel.nn import hardware_profile

RANGE = (-4.0, 4.0)


def output_of(layer):
    torch.manual_seed(1)
    return layer(inputs(20, 70)).detach()


@pytest.mark.parametrize(
    "name, value",
    [
        ("input_range", (-1.0, 1.0)),
        ("output_range", (-1.0, 1.0)),
        ("noise_level", 0.9),
        ("precision", 8),
        ("temp_drift", 1.0),
        ("hardware_profile", "lumina_micro_v1"),
        ("hardware_profile", hardware_profile("datacenter_high_precision")),
        ("zero_preserving", True),
    ],
    ids=str,
)
def test_are_taken(backend, name, value):
    layer = make_layer(output_range=RANGE)
    before = output_of(layer)
    setattr(layer, name, value)
    given = {"profile" if name == "hardware_profile" else name: value}
    other = make_layer(**{"output_range": RANGE, **given})
    assert str(layer) == str(other)
    assert torch.equal(output_of(layer), output_of(other))
    assert not torch.equal(output_of(layer), before)


def test_noise_in_eval(backend):
    layer = make_layer(output_range=RANGE).eval()
    layer.noise_in_eval = True
    assert not torch.equal(layer(inputs(3, 70)), layer(inputs(3, 70)))


def test_bias(backend):
    layer = make_layer(output_range=RANGE, bias=True)
    with_bias, bias = output_of(layer), layer.bias
    layer.bias = None
    assert "bias=False" in str(layer)
    assert torch.allclose(output_of(layer) + bias, with_bias)
    layer.bias = bias
    assert torch.equal(output_of(layer), with_bias)


def test_a_range_can_be_tracked_later(backend):
    layer = make_layer(output_range=RANGE)
    layer.output_range = None
    assert "output_range=tracked" in str(layer) and list(layer.state_dict())[-1] == "adc_limit"
    layer(inputs(3, 70))
    assert layer.adc_limit.item() > 0
    layer.output_range = RANGE
    assert layer.adc_limit is None and list(layer.state_dict()) == ["weight"]
    assert torch.equal(output_of(layer), output_of(make_layer(output_range=RANGE)))


@pytest.mark.parametrize(
    "name, value, error, message",
    [
        ("input_range", (1.0, 1.0), ValueError, "input_range.*lo < hi"),
        ("output_range", 3.0, TypeError, "output_range must be a pair"),
        ("noise_level", -0.1, ValueError, "noise_level"),
        ("noise_level", None, TypeError, "noise_level must be a number"),
        ("precision", 17, ValueError, r"bits must be in 2\.\.16"),
        ("temp_drift", 1.5, ValueError, "temp_drift"),
        ("hardware_profile", "nano", ValueError, "unknown hardware profile"),
        ("hardware_profile", None, TypeError, "hardware_profile"),
        ("zero_preserving", True, ValueError, r"output_range must be \(-limit, limit\)"),
        ("in_features", 3, AttributeError, "in_features.*make another"),
        ("out_features", 3, AttributeError, "out_features.*make another"),
        ("seed", 3, AttributeError, "seed.*make another"),
        ("generator", torch.Generator(), AttributeError, "generator.*make another"),
        ("bias", True, TypeError, "bias"),
    ],
)
def test_are_refused_as_by_the_constructor(backend, name, value, error, message):
    layer = make_layer(output_range=(-1.0, 4.0))
    before, shown = output_of(layer), str(layer)
    with pytest.raises(error, match=message):
        setattr(layer, name, value)
    assert str(layer) == shown and torch.equal(output_of(layer), before)


def test_are_read_back():
    layer = make_layer(output_range=RANGE, seed=3, precision=6, temp_drift=0.5, noise_level=0.25)
    assert (layer.in_features, layer.out_features) == (70, 37)
    assert (layer.precision, layer.temp_drift, layer.noise_level) == (6, 0.5, 0.25)
    assert layer.hardware_profile.bits == 6 and layer.input_range == (0.0, 1.0)
    assert (layer.output_range, layer.zero_preserving) == (RANGE, False)
    assert (layer.seed, layer.generator, layer.process_group) == (3, None, None)
