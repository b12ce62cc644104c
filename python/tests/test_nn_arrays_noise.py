"""Noise of layers on arrays: repeated, replayed, left out; other kinds of tensors."""

import copy
import pickle

import pytest
from arrays_support import IMAGES, NOISY, QUIET, answer, model, numbers
from nn_support import backend, torch

from torch.utils.checkpoint import checkpoint

from lumina_kernel import HardwareAware, nn as ln


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("change", [{}, dict(training=HardwareAware(0.1, "multiplicative"))])
def test_checkpoint_replays_the_noise(backend, change, reentrant, by_step):
    network = model(NOISY.with_(**change))
    gradients = []
    for checkpointed in (False, True):
        torch.manual_seed(4)
        if by_step:  # noise that torch's generators know nothing of
            ln.seed_step(network, 0, 1)
        network.zero_grad()
        x = IMAGES.clone().requires_grad_()
        y = checkpoint(network, x, use_reentrant=reentrant) if checkpointed else network(x)
        y.square().sum().backward()
        gradients.append([y.detach(), x.grad, *(p.grad.clone() for p in network.parameters())])
    for own, other in zip(*gradients):
        assert torch.equal(own, other)
    torch.manual_seed(5)
    assert not torch.equal(network(IMAGES), gradients[0][0])  # by step: that is another pass


def test_noise_follows_torchs_seed_and_seed_step(backend):
    network = model().eval()
    torch.manual_seed(1)
    first, second = network(IMAGES), network(IMAGES)
    torch.manual_seed(1)
    assert torch.equal(network(IMAGES), first) and not torch.equal(first, second)
    one = answer(network, 1)
    torch.manual_seed(77)
    assert answer(network, 2) != one and answer(network, 1) == one


def test_no_noise_in_eval_where_that_is_not_wanted(backend):
    layer = ln.AnalogLinear(10, 3, profile=NOISY, noise_in_eval=False)
    x = numbers(4, 10)
    state = torch.get_rng_state()
    layer.eval()
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(torch.get_rng_state(), state)
    layer.train()
    assert not torch.equal(layer(x), layer(x))


def test_training_noise_is_of_training_alone(backend):
    profile = QUIET.with_(training=HardwareAware(0.2, drop_connect=0.1))
    layer = ln.AnalogLinear(10, 3, profile=profile)
    x = numbers(4, 10)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("seeded", [False, True])
def test_a_copy_goes_on_with_the_noise(backend, seeded):
    options = dict(seed=4) if seeded else dict(generator=torch.Generator().manual_seed(4))
    layer = ln.AnalogLinear(10, 3, profile=NOISY, **options)
    x = numbers(4, 10)
    layer(x)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))]
    y = layer(x)
    assert all(torch.equal(each(x), y) for each in copies)
    assert not torch.equal(layer(x), y)


@pytest.mark.parametrize("kind", [torch.float64, torch.float16, torch.bfloat16])
def test_other_kinds_are_computed_in_float32(backend, kind):
    network = model().eval()
    ln.seed_step(network, 0, 0)
    halves = copy.deepcopy(network).to(kind)
    whole = copy.deepcopy(halves).to(torch.float32)
    x = IMAGES.to(kind)
    ln.seed_step(halves, 0, 0), ln.seed_step(whole, 0, 0)
    first, expected = halves[0](x), whole[0](x.float())
    assert first.dtype == kind and torch.equal(first, expected.to(kind))
    x = numbers(3, 96, kind=kind).requires_grad_()
    y, exact = halves[3](x), whole[3](x.detach().float())
    assert y.dtype == kind and torch.equal(y, exact.to(kind))
    y.float().sum().backward()
    assert x.grad.dtype == halves[3].weight.grad.dtype == kind


def test_autocast_changes_nothing(backend):
    network = model()
    ln.seed_step(network, 0, 0)
    y = network(IMAGES)
    ln.seed_step(network, 0, 0)
    with torch.autocast("cpu", torch.bfloat16):
        under = network(IMAGES)
    assert torch.equal(under.float(), y)


@pytest.mark.parametrize("shape", [(3, 40), (2, 3, 40), (40,)])
def test_rows_in_parts_without_noise(backend, shape):
    layer = ln.AnalogLinear(40, 6, profile=NOISY, noise_in_eval=False).eval()
    x = numbers(*shape)
    y = layer(x)
    assert y.shape == (*shape[:-1], 6)
    rows = x.reshape(-1, 40)
    parts = torch.cat([layer(row[None]) for row in rows])
    assert torch.equal(parts.reshape(y.shape), y)
    spread = torch.stack([x, x], -1)[..., 0]  # of strides 2
    assert torch.equal(layer(spread), y)
