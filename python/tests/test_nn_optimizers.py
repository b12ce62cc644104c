"""Optimizers that clip weights on arrays."""

import pytest

torch = pytest.importorskip("torch")

import lumina_kernel as lk
from lumina_kernel import nn

KINDS = [(nn.AnalogSGD, torch.optim.SGD), (nn.AnalogAdam, torch.optim.Adam)]


def clipped(clip, kind="fixed"):
    return lk.Profile.ideal().with_(training=lk.HardwareAware(clip=clip, clip_kind=kind))


def trained(make, profile):
    torch.manual_seed(3)
    layer = nn.AnalogLinear(20, 10, profile=profile)
    optimizer = make(layer, 0.5)
    for _ in range(5):
        optimizer.zero_grad()
        layer(torch.randn(8, 20)).square().sum().backward()
        optimizer.step()
    return layer


@pytest.mark.parametrize("ours, theirs", KINDS)
def test_without_a_clip_they_are_torchs(ours, theirs):
    a = trained(lambda layer, lr: ours(layer.parameters(), lr=lr), lk.Profile.ideal())
    b = trained(lambda layer, lr: theirs(layer.parameters(), lr=lr), lk.Profile.ideal())
    assert torch.equal(a.weight, b.weight) and torch.equal(a.bias, b.bias)


@pytest.mark.parametrize("ours, theirs", KINDS)
def test_a_clip_at_0_3_gives_0_3(ours, theirs):
    layer = trained(lambda layer, lr: ours(layer, lr=lr), clipped(0.3))
    assert layer.weight.abs().max().item() == pytest.approx(0.3, rel=1e-7)
    assert layer.bias.abs().max() > 0.3


@pytest.mark.parametrize("kind", ["gaussian", "average_channel_max"])
def test_clips_that_follow_the_weights(kind):
    torch.manual_seed(3)
    layer = nn.AnalogConv2d(4, 10, 3, profile=clipped(1.5 if kind == "gaussian" else 1.0, kind))
    with torch.no_grad():
        layer.weight.normal_()
    weight = layer.weight.detach().clone()
    nn.AnalogSGD(layer.parameters(), lr=0.0).step()  # nothing has a gradient
    if kind == "gaussian":
        bound = 1.5 * weight.std(unbiased=False)
    else:
        bound = weight.flatten(1).abs().amax(1).mean()
    torch.testing.assert_close(layer.weight.detach(), weight.clamp(-bound, bound))
    assert (weight.abs() > bound).any()


def test_only_what_lies_on_arrays_and_is_theirs():
    torch.manual_seed(3)
    layers = [nn.AnalogLinear(20, 10, profile=clipped(0.01)) for _ in range(2)]
    digital = torch.nn.Linear(20, 10)
    nn.AnalogSGD([*layers[0].parameters(), *digital.parameters()], lr=0.0).step()
    assert layers[0].weight.abs().max() <= 0.01
    assert layers[1].weight.abs().max() > 0.01 and digital.weight.abs().max() > 0.01


def test_of_a_copy_and_with_a_closure():
    import copy

    layer = copy.deepcopy(nn.AnalogLinear(20, 10, profile=clipped(0.01)))
    optimizer = nn.AnalogSGD(layer, lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = layer(torch.ones(3, 20)).square().sum()
        loss.backward()
        return loss

    assert optimizer.step(closure) > 0 and layer.weight.abs().max() <= 0.01
