"""AnalogMultiheadAttention against torch.nn's."""

import copy
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_support import one_thread, torch

import lumina_kernel as lk
from lumina_kernel import nn as analog
from lumina_kernel.nn import AnalogMultiheadAttention

IDEAL = lk.Profile.ideal()

pytestmark = pytest.mark.usefixtures("one_thread")


def pair(*sizes, seed=0, **options):
    """torch.nn's layer, and one on arrays with the same numbers."""
    torch.manual_seed(seed)
    digital = torch.nn.MultiheadAttention(*sizes, **options)
    torch.manual_seed(seed)
    layer = AnalogMultiheadAttention(*sizes, profile=IDEAL, **options)
    with torch.no_grad():  # biases begin at 0
        for name in ("in_proj_bias", "out_proj.bias"):
            if options.get("bias", True):
                values = torch.randn(digital.get_parameter(name).shape)
                digital.get_parameter(name).copy_(values)
                layer.get_parameter(name).copy_(values)
    return digital, layer


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def mask(kind, *shape):
    """True or -2 … 2; the first key is seen."""
    if kind == "bool":
        hides = torch.rand(shape) < 0.4
        hides[..., 0] = False
        return hides
    return torch.rand(shape) * 4 - 2


@st.composite
def calls(draw):
    heads, head_dim = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    embed = heads * head_dim
    other = st.one_of(st.none(), st.integers(1, 9))
    options = {
        "bias": draw(st.booleans()),
        "add_bias_kv": draw(st.booleans()),
        "add_zero_attn": draw(st.booleans()),
        "kdim": draw(other),
        "vdim": draw(other),
        "batch_first": draw(st.booleans()),
    }
    length, sources, count = (draw(st.integers(1, most)) for most in (5, 5, 3))
    batched = draw(st.booleans())

    def shape(steps, features):
        if not batched:
            return (steps, features)
        return (count, steps, features) if options["batch_first"] else (steps, count, features)

    torch.manual_seed(draw(st.integers(0, 99)))
    x = [
        torch.randn(shape(length, embed)),
        torch.randn(shape(sources, options["kdim"] or embed)),
        torch.randn(shape(sources, options["vdim"] or embed)),
    ]
    named = {"need_weights": draw(st.booleans()), "average_attn_weights": draw(st.booleans())}
    kind = draw(st.sampled_from(["bool", "float"]))
    padded, masked = draw(st.booleans()), draw(st.sampled_from([None, 2, 3]))
    if padded and masked:
        kind = "bool"  # torch 1.13 takes both of no other kind
    if padded:
        named["key_padding_mask"] = mask(kind, *((count, sources) if batched else (sources,)))
    if masked:
        many = (count if batched else 1) * heads
        named["attn_mask"] = mask(kind, *((many,) if masked == 3 else ()), length, sources)
    return (embed, heads), options, x, named


@settings(max_examples=60)
@given(calls())
def test_is_torchs(call):
    sizes, options, x, named = call
    digital, layer = pair(*sizes, **options)
    results = []
    for each in (digital, layer):
        own = [tensor.clone().requires_grad_() for tensor in x]
        y, weights = each(*own, **named)
        (y * torch.arange(y.numel()).reshape(y.shape)).sum().backward()
        results.append((y, weights, [tensor.grad for tensor in own]))
    for actual, expected in zip(results[1], results[0]):
        if isinstance(expected, list):
            for mine, theirs in zip(actual, expected):
                torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-3)
        elif expected is None:
            assert actual is None
        else:
            assert_close(actual, expected)
    gradients = {name: each.grad for name, each in layer.named_parameters()}
    assert list(gradients) and gradients.keys() == dict(digital.named_parameters()).keys()
    for name, each in digital.named_parameters():
        torch.testing.assert_close(gradients[name], each.grad, rtol=1e-4, atol=1e-3)


def test_initialises_like_torch():
    digital, layer = pair(12, 3, bias=False, add_bias_kv=True, kdim=5)
    for name, each in digital.named_parameters():
        assert torch.equal(layer.get_parameter(name), each)


def test_loads_torchs_state():
    digital, layer = pair(12, 3, seed=1)
    layer.load_state_dict(pair(12, 3, seed=2)[0].state_dict())
    digital.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(4, 2, 12)
    assert_close(layer(x, x, x)[0], digital(x, x, x)[0])
    state = digital.state_dict()
    del state["in_proj_weight"]
    with pytest.raises(RuntimeError, match="in_proj_weight"):
        layer.load_state_dict(state)


def test_a_query_that_sees_nothing_gets_zeros():
    _, layer = pair(8, 2)
    x = torch.randn(3, 2, 8)
    hides = torch.tensor([[False, False, True], [True, True, True]])
    y, weights = layer(x, x, x, key_padding_mask=hides)
    assert y.isfinite().all() and (weights[1] == 0).all()
    y.sum().backward()
    assert layer.in_proj_weight.grad.isfinite().all()


def test_causal():
    _, layer = pair(8, 2)
    x = torch.randn(4, 2, 8)
    hides = torch.ones(4, 4, dtype=torch.bool).triu(1)
    y, weights = layer(x, x, x, attn_mask=hides, is_causal=True)
    assert (weights.triu(1) == 0).all()
    with pytest.raises(ValueError, match="AnalogMultiheadAttention: is_causal needs attn_mask"):
        layer(x, x, x, is_causal=True)


def test_dropout():
    layer = AnalogMultiheadAttention(8, 2, dropout=0.5, profile=IDEAL)
    x = torch.randn(40, 3, 8)
    weights = layer(x, x, x, average_attn_weights=False)[1]
    assert 0.45 < (weights == 0).float().mean() < 0.55
    assert (layer.eval()(x, x, x)[1] > 0).all()


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_own_their_weights(copied):
    _, layer = pair(8, 2)
    x = torch.randn(3, 2, 8)
    other = copied(layer)
    assert torch.equal(other(x, x, x)[0], layer(x, x, x)[0])
    with torch.no_grad():
        layer.in_proj_weight.zero_()
    assert (layer.q_proj.weight == 0).all() and (other.q_proj.weight != 0).any()


def test_noise_differs_between_projections_and_follows_the_seed():
    profile = IDEAL.with_(out_noise=0.1)
    layers = [AnalogMultiheadAttention(8, 2, bias=False, profile=profile, seed=3, stream=1)] * 2
    layers[1] = copy.deepcopy(layers[0])
    x = torch.ones(3, 8)
    for each in layers:
        with torch.no_grad():
            for values in each.parameters():
                values.fill_(1.0)
    first, second = ([each.q_proj(x), each.k_proj(x), each.out_proj(x)] for each in layers)
    assert all(map(torch.equal, first, second))
    assert len({each.std().item() for each in first}) == 3


def test_each_projection_is_clipped():
    training = lk.HardwareAware(clip=2.0, clip_kind="average_channel_max")
    layer = AnalogMultiheadAttention(8, 2, profile=IDEAL.with_(training=training))
    with torch.no_grad():
        layer.in_proj_weight[:8] *= 9
        layer.in_proj_weight[0, 0], layer.in_proj_weight[16, 0] = 99, 9
    x = torch.randn(3, 2, 8)
    before = layer.in_proj_weight.detach().clone()
    layer(x, x, x)[0].sum().backward()
    analog.AnalogSGD(layer, lr=0.0).step()
    mean = [rows.abs().amax(1).mean() for rows in before.chunk(3)]
    assert layer.in_proj_weight[0, 0] == 2 * mean[0] and layer.in_proj_weight[16, 0] == 2 * mean[2]
    assert torch.equal(layer.k_proj.weight, before[8:16])


def test_types():
    _, layer = pair(8, 2)
    x = torch.randn(3, 2, 8)
    half = copy.deepcopy(layer).bfloat16()
    assert half(*[x.bfloat16()] * 3)[0].dtype == torch.bfloat16
    double = copy.deepcopy(layer).double()
    y = double(*[x.double()] * 3)[0]
    assert y.dtype == torch.float64
    assert_close(y.float(), layer(x, x, x)[0])
    with torch.autocast("cpu", torch.bfloat16):
        assert (layer(x, x, x)[0] - y).abs().max() < 0.05


@pytest.mark.parametrize(
    "options, error, message",
    [
        (dict(embed_dim=0), ValueError, "embed_dim must be positive"),
        (dict(embed_dim=8.0), TypeError, "embed_dim must be an int"),
        (dict(num_heads=3), ValueError, "embed_dim must be a multiple of num_heads, 3, not 8"),
        (dict(kdim=-1), ValueError, "kdim must be positive"),
        (dict(dropout=1.5), ValueError, r"dropout must be in 0\.\.1, not 1.5"),
        (dict(dropout="0"), TypeError, "dropout must be a number"),
        (dict(profile="lumina_nano_v1"), TypeError, "profile must be a Profile.*HardwareProfile"),
        (dict(profile=3), TypeError, "profile must be"),
        (dict(dtype=torch.int32), TypeError, "dtype"),
    ],
)
def test_refuses_options(options, error, message):
    with pytest.raises(error, match=message):
        AnalogMultiheadAttention(**{"embed_dim": 8, "num_heads": 2, **options})


def test_refuses_inputs():
    _, layer = pair(8, 2, kdim=4)
    q, k = torch.randn(5, 3, 8), torch.randn(6, 3, 4)
    v = torch.randn(6, 3, 8)
    layer(q, k, v)
    name = "AnalogMultiheadAttention: "
    for bad, error, message in [
        ((q.numpy(), k, v), TypeError, "query must be a torch.Tensor, not ndarray"),
        ((q, v, v), ValueError, r"key must be \[length, N, 4\], not \[6, 3, 8\]"),
        ((q, k[0], v), ValueError, r"key must be .* not \[3, 4\]"),
        ((q, k, v[:5]), ValueError, r"key \[6, 3, 4\] and value \[5, 3, 8\]"),
        ((q[:, :2], k, v), ValueError, r"query \[5, 2, 8\] and key \[6, 3, 4\]"),
        ((q[0, 0], k, v), ValueError, r"query must be .*\[8\]"),
    ]:
        with pytest.raises(error, match=name + message):
            layer(*bad)
    for named, error, message in [
        (dict(key_padding_mask=torch.zeros(3, 5)), ValueError, r"key_pad.*\[3, 6\].*\[3, 5\]"),
        (dict(attn_mask=torch.zeros(3, 5, 6)), ValueError, r"attn_mask .*\[5, 6\] or \[6, 5, 6\]"),
        (dict(attn_mask=torch.zeros(5, 6).byte()), TypeError, "attn_mask must be bool"),
        (dict(attn_mask=[0]), TypeError, "attn_mask must be a torch.Tensor"),
    ]:
        with pytest.raises(error, match=name + message):
            layer(q, k, v, **named)


def test_says_which_projection_is_not_calibrated():
    profile = lk.presets.pcm_hwa.with_(adc=lk.Adc(8, lk.Calibrated()))
    layer = AnalogMultiheadAttention(8, 2, profile=profile)
    x = torch.randn(3, 2, 8)
    with pytest.raises(RuntimeError, match="AnalogMultiheadAttention.q_proj: .*not calibrated"):
        layer(x, x, x)
    with pytest.raises(RuntimeError, match="^out_proj: .*not calibrated"):
        analog.program(layer, 1)


def test_a_parametrized_weight_is_used_but_not_programmed():
    class Doubled(torch.nn.Module):
        def forward(self, weight):
            return 2 * weight

    digital, layer = pair(8, 2)
    torch.nn.utils.parametrize.register_parametrization(layer, "in_proj_weight", Doubled())
    with torch.no_grad():
        digital.in_proj_weight.mul_(2)
    x = torch.randn(3, 2, 8)
    assert_close(layer(x, x, x)[0], digital(x, x, x)[0])
    with pytest.raises(RuntimeError, match="q_proj.*only a weight that is a parameter"):
        analog.program(layer, 1)
