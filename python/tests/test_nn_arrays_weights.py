"""Weights on arrays are never stale, and those of a chip do not change."""

import pytest
from arrays_support import NOISY, QUIET, answer, model
from nn_support import backend, torch

from torch import nn

from lumina_kernel import nn as ln


def set_by_data(layer, value):
    layer.weight.data.fill_(value)


def set_by_numpy(layer, value):
    layer.weight.detach().numpy()[:] = value


def set_by_parameter(layer, value):
    layer.weight = nn.Parameter(torch.full_like(layer.weight, value))


def set_by_optimizer(layer, value):
    layer.weight.grad = layer.weight.detach() - value
    torch.optim.SGD([layer.weight], 1.0).step()


def set_by_state(layer, value):
    state = dict(layer.state_dict(), weight=torch.full_like(layer.weight, value))
    layer.load_state_dict(state)


WAYS = [set_by_data, set_by_numpy, set_by_parameter, set_by_optimizer, set_by_state]


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("change", WAYS)
def test_weights_are_never_stale(backend, change, training):
    layer = ln.AnalogLinear(10, 3, False, QUIET).train(training)
    x = torch.ones(2, 10)
    for value in (0.5, -0.25):
        layer(x)
        change(layer, value)
        torch.testing.assert_close(layer(x), torch.full((2, 3), 10 * value), rtol=0.01, atol=0)


@pytest.mark.parametrize("change", [set_by_parameter, set_by_optimizer])
def test_weights_that_change_on_a_chip_are_an_error(backend, change):
    layer = ln.AnalogLinear(10, 3, False, NOISY).eval()
    ln.program(layer, 1)
    layer(torch.ones(2, 10))
    change(layer, 0.5)
    with pytest.raises(RuntimeError, match="AnalogLinear.*changed.*program"):
        layer(torch.ones(2, 10))
    with pytest.raises(RuntimeError, match="changed"):
        ln.drift(layer, 1.0)
    ln.program(layer, 1)
    assert layer(torch.ones(2, 10)).mean() > 3  # of 5


def test_a_programmed_layer_is_not_trained(backend):
    layer = ln.AnalogLinear(10, 3, profile=NOISY)
    x = torch.ones(2, 10, requires_grad=True)
    ln.program(layer, 1)
    with pytest.raises(RuntimeError, match="AnalogLinear.*train\\(\\)"):
        layer(x)
    layer.eval()
    with pytest.raises(RuntimeError, match="AnalogLinear.*unprogram"):
        layer(x).sum().backward()
    layer.requires_grad_(False)
    layer(x).sum().backward()  # by the input alone
    assert x.grad.abs().sum() > 0
    ln.unprogram(layer.train())
    layer.requires_grad_()
    layer(x).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_drift_needs_a_chip(backend):
    with pytest.raises(RuntimeError, match="program"):
        ln.drift(model(), 1.0)


def test_a_programmed_model_moves(backend):
    """to() keeps the chip, whose bits stay the same where the weights' do."""
    network = ln.program(model().eval(), 1)
    before = answer(network)
    network.to(torch.float64).to(torch.float32)
    assert answer(network) == before
    assert network[3].input_range.dtype == network[3].adc_bound.dtype == torch.float32
