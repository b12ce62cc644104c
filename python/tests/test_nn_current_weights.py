"""OpticalLinear computes with the weights that it has, whatever has changed them."""

import copy
import multiprocessing

import pytest
from nn_support import backend, inputs, make_layer, torch

import lumina_kernel

RANGE = (-1.5, 2.0)



def other_weights():
    return make_layer(seed=None).weight.detach().flip(0) * 1.3


def by_data(layer):
    layer.weight.data.copy_(other_weights())


def by_detach(layer):
    layer.weight.detach().mul_(-1.3)


def by_numpy(layer):
    layer.weight.detach().numpy()[:] *= -1.3


def by_storage(layer):
    size = layer.weight.numel()
    alias = torch.empty(0).set_(layer.weight.data, 0, (size,), (1,))
    alias.copy_(other_weights().flatten())


def by_a_vector(layer):
    torch.nn.utils.vector_to_parameters(other_weights().flatten(), layer.parameters())


def by_state(layer):
    layer.load_state_dict({"weight": other_weights()})


def by_an_average(layer):
    for mean, value in zip(layer.parameters(), [other_weights()]):
        mean.data.lerp_(value, 0.9)


def by_out(layer):
    torch.add(other_weights(), 0.01, out=layer.weight.data)


def by_our_own_out(layer):
    pytest.importorskip("lumina_kernel._core")
    lumina_kernel.FastRng(1).fill_normal(layer.weight.detach(), 0.0, 0.2)


def by_an_optimizer(layer):
    layer(inputs(4, 70)).sum().backward()
    torch.optim.SGD(layer.parameters(), lr=0.1).step()


def by_a_fused_optimizer(layer):
    try:
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, fused=True)
    except (TypeError, RuntimeError, ValueError) as error:
        pytest.skip(f"no fused optimizer for the CPU: {error}")
    layer(inputs(4, 70)).sum().backward()
    optimizer.step()


def by_swapping(layer):
    if not hasattr(torch.utils, "swap_tensors"):
        pytest.skip("torch has no swap_tensors")
    torch.utils.swap_tensors(layer.weight, torch.nn.Parameter(other_weights()))


def by_pruning(layer):
    import torch.nn.utils.prune as prune

    prune.l1_unstructured(layer, "weight", 0.5)
    layer.weight_orig.data.mul_(1.3)


def by_a_norm(layer):
    torch.nn.utils.weight_norm(layer)
    layer.weight_g.data.mul_(1.3)


def by_a_parametrization(layer):
    class Half(torch.nn.Module):
        def forward(self, weight):
            return weight.roll(1, 0) * 0.5

    torch.nn.utils.parametrize.register_parametrization(layer, "weight", Half())


CHANGES = [value for name, value in list(globals().items()) if name.startswith("by_")]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("precision", [4, 12])
def test_in_eval(backend, precision, change):
    layer = make_layer(precision=precision, output_range=RANGE).eval()
    x = inputs(6, 70)
    before = layer(x)
    change(layer)
    y = layer(x)
    assert not torch.equal(y, before)
    fresh = make_layer(precision=precision, output_range=RANGE).eval()
    fresh.weight.data = layer.weight.detach().clone()
    assert torch.equal(y, fresh(x))


def write(weight):
    weight.data.mul_(-1.3)


def test_changed_by_another_process():
    layer = make_layer(output_range=RANGE).eval()
    layer.share_memory()
    before = layer(inputs(6, 70))
    other = multiprocessing.get_context("fork").Process(target=write, args=(layer.weight,))
    other.start()
    other.join(60)
    assert other.exitcode == 0
    y = layer(inputs(6, 70))
    assert not torch.equal(y, before) and torch.equal(y, copy.deepcopy(layer)(inputs(6, 70)))


def test_training_by_data_lowers_the_loss(backend):
    torch.manual_seed(2)
    layer = make_layer(32, 4, "lumina_micro_v1", output_range=(-3.0, 3.0))
    x = torch.rand(256, 32)
    target = ((x @ torch.randn(32, 4)) > 0).float()
    losses = []
    for _ in range(40):
        layer.zero_grad(set_to_none=True)
        loss = (layer(x) - target).square().mean()
        loss.backward()
        layer.weight.data.sub_(layer.weight.grad.data * 0.2)
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


def test_other_weights_for_one_call(backend):
    functional_call = getattr(getattr(torch, "func", None), "functional_call", None)
    if functional_call is None:
        from torch.nn.utils.stateless import functional_call
    layer = make_layer(output_range=RANGE).eval()
    x = inputs(6, 70)
    before, weight = layer(x), other_weights()
    y = functional_call(layer, {"weight": weight}, (x,))
    assert torch.equal(layer(x), before) and not torch.equal(y, before)
    by_data(layer)
    assert torch.equal(layer(x), y)


def test_a_parametrization_is_evaluated_once_in_a_pass(backend):
    calls = []

    class Noisy(torch.nn.Module):
        def forward(self, weight):
            calls.append(1)
            return weight + 0.3 * torch.randn_like(weight)

    layer = make_layer(precision=8, noise_level=0.0)
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", Noisy())
    calls.clear()
    for count in range(1, 4):
        y = layer(inputs(100, 70))
        assert len(calls) == count
        if count == 1:  # the range is that of the same draw
            assert y.abs().max().item() == pytest.approx(layer.adc_limit.item(), rel=1e-6)
