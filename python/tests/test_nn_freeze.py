"""freeze(): weights that are encoded once, and what a layer says about it."""

import copy
import pickle

import pytest
from nn_support import backend, computation, inputs, make_layer, torch

from lumina_kernel.nn import freeze, unfreeze

RANGE = (-1.5, 2.0)


def frozen_layer(**options):
    return freeze(make_layer(output_range=RANGE, **options).eval())


def test_encodes_once_and_computes_the_same(backend, monkeypatch):
    module, calls = computation(backend), []
    encode = module.encode
    monkeypatch.setattr(module, "encode", lambda *given: calls.append(given) or encode(*given))
    model = torch.nn.Sequential(make_layer(output_range=RANGE).eval(), torch.nn.ReLU())
    expected = model(inputs(4, 70))
    calls.clear()
    assert freeze(model) is model
    for _ in range(3):
        assert torch.equal(model(inputs(4, 70)), expected)
    assert len(calls) == 1
    assert unfreeze(model) is model
    assert torch.equal(model(inputs(4, 70)), expected)
    assert len(calls) == 2


def test_is_shown():
    layer = make_layer()
    assert "frozen" not in str(layer)
    assert "frozen=True" in str(freeze(layer))
    assert "frozen" not in str(unfreeze(layer))


def test_cannot_be_trained(backend):
    layer = frozen_layer(bias=True)
    with pytest.raises(RuntimeError, match=r"frozen.*unfreeze\(\).*requires_grad_\(False\)"):
        layer(inputs(4, 70)).sum().backward()
    with pytest.raises(RuntimeError, match=r"frozen layer can't be in train\(\) mode"):
        layer.train()(inputs(4, 70))
    unfreeze(layer)(inputs(4, 70)).sum().backward()
    assert layer.weight.grad.any()


def test_gives_gradients_by_its_input(backend):
    layer = make_layer(output_range=RANGE).eval().requires_grad_(False)
    x, frozen_x = (inputs(4, 70).requires_grad_() for _ in range(2))
    layer(x).sum().backward()
    freeze(layer)(frozen_x).sum().backward()
    assert torch.equal(x.grad, frozen_x.grad)


def test_cannot_be_loaded(backend):
    layer = frozen_layer()
    before = layer.weight.detach().clone()
    with pytest.raises(RuntimeError, match=r"frozen OpticalLinear.*unfreeze\(\)"):
        layer.load_state_dict({"weight": torch.zeros(37, 70)})
    assert torch.equal(layer.weight, before)
    model = torch.nn.Sequential(layer)
    with pytest.raises(RuntimeError, match="0 is a frozen OpticalLinear"):
        model.load_state_dict({"0.weight": torch.zeros(37, 70)})
    model.load_state_dict({}, strict=False)


def replaced(layer):
    layer.weight = torch.nn.Parameter(layer.weight.detach() * 2)


def changed(layer):
    with torch.no_grad():
        layer.weight.mul_(2)


def parametrized(layer):
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", torch.nn.Tanh())


@pytest.mark.parametrize("change", [replaced, changed, parametrized])
def test_notices_other_weights(backend, change):
    layer = frozen_layer()
    change(layer)
    with pytest.raises(RuntimeError, match="frozen layer has been changed or replaced"):
        layer(inputs(4, 70))
    if change is not parametrized:
        freeze(layer)
    else:
        unfreeze(layer)
    layer(inputs(4, 70))


def test_only_parameters_can_be_frozen():
    layer = make_layer(output_range=RANGE).eval()
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", torch.nn.Tanh())
    other = make_layer()
    with pytest.raises(RuntimeError, match="computed anew for each pass"):
        freeze(torch.nn.Sequential(other, layer))
    assert "frozen" not in str(other)  # none or all


def test_keeps_its_bits():
    layer = frozen_layer()
    with pytest.raises(RuntimeError, match=r"keep their bits.*unfreeze\(\)"):
        layer.precision = 8
    layer.noise_level = 0.3
    assert layer.precision == 4 and layer.noise_level == 0.3


def test_is_encoded_anew_where_its_type_changes(backend):
    layer = frozen_layer()
    expected = make_layer(output_range=RANGE).eval().bfloat16()(inputs(4, 70))
    assert torch.equal(layer.bfloat16()(inputs(4, 70)), expected)
    assert "frozen=True" in str(layer)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))]
)
def test_copies_are_not_frozen(backend, copied):
    layer = frozen_layer()
    other = copied(layer)
    assert "frozen" not in str(other) and "frozen=True" in str(layer)
    assert torch.equal(other(inputs(4, 70)), layer(inputs(4, 70)))


def test_in_inference_mode(backend):
    with torch.inference_mode():
        layer = freeze(make_layer(output_range=RANGE).eval())
        expected = layer(inputs(4, 70))
    assert torch.equal(layer(inputs(4, 70)), expected)
    x = inputs(4, 70).requires_grad_()
    layer.requires_grad_(False)
    layer(x).sum().backward()
    assert x.grad.any()
