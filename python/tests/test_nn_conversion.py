"""convert_to_analog, convert_to_digital, conversion_report."""

import copy
import io
import json
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_support import one_thread, torch
from torch import nn
from torch.nn.utils import parametrize, prune

import lumina_kernel as lk
from lumina_kernel import nn as analog
from lumina_kernel.nn import (
    AnalogConv2d,
    AnalogLinear,
    AnalogLSTM,
    AnalogMultiheadAttention,
    OpticalLinear,
    conversion_report,
    convert_to_analog,
    convert_to_digital,
)

IDEAL = lk.Profile.ideal()
PCM = lk.presets.pcm_hwa

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(
        "ignore:The PyTorch API of nested",
        "ignore:.*nested_tensor",
        "ignore:Lazy modules",
        "ignore:LSTM with projections",
    ),
]


def assert_close(actual, expected):
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)


def first(result):
    return result[0] if isinstance(result, tuple) else result


class Network(nn.Module):
    """One of each kind; the last two layers share a weight, and one layer is in two places."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(12, 8)
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        self.picture = nn.Conv2d(1, 2, 3, padding=1)
        self.rnn = nn.LSTM(16, 8)
        self.body = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8, bias=False))
        self.again = self.body[0]
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.table.weight
        self.other = nn.Linear(8, 12)
        self.other.weight = self.table.weight

    def forward(self, tokens):
        x = self.encoder(self.table(tokens))
        x = self.picture(x.unsqueeze(1)).transpose(1, 2).flatten(2)
        x = self.again(self.body(self.rnn(x)[0]))
        return self.head(x) + self.other(x)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Network()


TOKENS = torch.arange(15).reshape(3, 5) * 7 % 12


# --- Layers --------------------------------------------------------------------------------------


@st.composite
def layers(draw):
    """(a layer of torch.nn, an input)."""
    torch.manual_seed(draw(st.integers(0, 99)))
    bias = draw(st.booleans())
    kind = draw(st.sampled_from(["Linear", "Conv", "MultiheadAttention", "RNN", "LSTM", "GRU"]))
    if kind == "Linear":
        inputs = draw(st.integers(1, 9))
        return nn.Linear(inputs, draw(st.integers(1, 9)), bias=bias), (torch.randn(4, inputs),)
    if kind == "MultiheadAttention":
        heads = draw(st.integers(1, 3))
        embed = heads * draw(st.integers(1, 3))
        options = {"kdim": draw(st.sampled_from([None, 5])), "add_bias_kv": draw(st.booleans())}
        layer = nn.MultiheadAttention(embed, heads, bias=bias, **options)
        x = torch.randn(3, 2, embed)
        return layer, (x, torch.randn(4, 2, layer.kdim), torch.randn(4, 2, embed))
    if kind == "Conv":
        groups, dimensions = draw(st.integers(1, 2)), draw(st.integers(1, 3))
        options = {
            "stride": draw(st.integers(1, 2)),
            "padding": draw(st.integers(0, 1)),
            "dilation": draw(st.integers(1, 2)),
            "padding_mode": draw(st.sampled_from(["zeros", "circular", "replicate"])),
        }
        cls = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dimensions - 1]
        layer = cls(2 * groups, 3 * groups, 2, groups=groups, bias=bias, **options)
        return layer, (torch.randn(2, 2 * groups, *(5,) * dimensions),)
    options = {"RNN": {"nonlinearity": "relu"}, "LSTM": {"proj_size": 2}, "GRU": {}}[kind]
    options["bidirectional"] = draw(st.booleans())
    return getattr(nn, kind)(3, 4, 2, bias=bias, **options), (torch.randn(5, 2, 3),)


@settings(max_examples=60)
@given(layers(), st.booleans())
def test_layers_there_and_back(case, training):
    layer, x = case
    layer.train(training)
    expected = first(layer(*x))
    parameters = dict(layer.named_parameters())
    state = torch.get_rng_state()
    converted = convert_to_analog(layer, IDEAL)
    back = convert_to_digital(converted)
    assert torch.equal(torch.get_rng_state(), state)
    assert type(converted).__name__ == "Analog" + type(layer).__name__
    assert type(back) is type(layer) and str(back) == str(layer)
    for each in (converted, back):
        assert each.training == training and all(m.training == training for m in each.modules())
        own = dict(each.named_parameters())
        assert list(own) == list(parameters) or set(own) == set(parameters)
        assert all(own[name] is parameters[name] for name in own)
    assert_close(first(converted(*x)), expected)
    assert torch.equal(first(back(*x)), expected)
    layer.load_state_dict(back.state_dict())
    converted.load_state_dict(layer.state_dict())


# --- Models --------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_an_ideal_model_is_the_digital_one(network, training):
    network.train(training)
    expected = network(TOKENS)
    assert convert_to_analog(network, IDEAL) is network
    assert_close(network(TOKENS), expected)
    with torch.no_grad():
        assert_close(network(TOKENS), expected)
    convert_to_digital(network)
    assert_close(network(TOKENS), expected)
    with pytest.raises(ValueError, match="Network.*convert_to_analog"):
        conversion_report(network)


def test_ties_and_places_stay(network):
    before = dict(network.named_parameters())
    convert_to_analog(network, IDEAL)
    assert network.head.weight is network.table.weight is network.other.weight
    assert network.again is network.body[0] and isinstance(network.again, AnalogLinear)
    after = dict(network.named_parameters())
    assert set(after) == set(before) and all(after[name] is before[name] for name in after)
    network(TOKENS).sum().backward()
    assert all(each.grad is not None for each in network.parameters())


def test_an_optimizer_goes_on(network):
    digital = copy.deepcopy(network)
    steps = [[torch.optim.SGD(each.parameters(), 0.01, 0.9), each] for each in (network, digital)]
    convert_to_analog(network, IDEAL)
    for _ in range(3):
        for optimizer, each in steps:
            optimizer.zero_grad()
            each(TOKENS).square().mean().backward()
            optimizer.step()
    torch.testing.assert_close(network(TOKENS), digital(TOKENS), rtol=1e-4, atol=1e-4)


def test_states_of_digital_and_converted_models(network):
    digital = copy.deepcopy(network).eval()
    convert_to_analog(network, IDEAL).eval()
    with torch.no_grad():
        for each in digital.parameters():
            each.mul_(1.5)
    network.load_state_dict(digital.state_dict())
    assert_close(network(TOKENS), digital(TOKENS))
    other = Network().eval()
    other.load_state_dict(network.state_dict(), strict=False)
    assert torch.equal(other(TOKENS), digital(TOKENS))


def test_calibrated_programmed_drifting_saved(network):
    convert_to_analog(network, PCM).eval()
    quiet = network(TOKENS)
    analog.calibrate(network, [TOKENS])
    analog.drift(analog.program(network, 5), 86400.0)
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    file.seek(0)
    torch.manual_seed(9)
    other = convert_to_analog(Network(), PCM).eval()
    other.load_state_dict(torch.load(file))
    analog.drift(analog.drift(network, 1.0), 86400.0)
    results = []
    for each in (network, other, copy.deepcopy(other), pickle.loads(pickle.dumps(other))):
        results.append(analog.seed_step(each, 0, 0)(TOKENS))
    assert all(torch.equal(each, results[0]) for each in results)
    assert 0 < (results[0] - quiet).abs().mean() < quiet.abs().mean()
    with pytest.raises(RuntimeError, match="can't be in train"):
        network.train()(TOKENS)


def test_copies_keep_the_record(network):
    convert_to_analog(network, PCM)
    for each in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert str(conversion_report(each)) == str(conversion_report(network))


# --- Encoders' fast path -------------------------------------------------------------------------


@pytest.mark.parametrize("exclude", [[], ["*.self_attn"], ["*.linear?"], ["layers.0"]])
@pytest.mark.parametrize("gradients", [torch.no_grad, torch.enable_grad])
def test_encoders_in_eval(exclude, gradients):
    torch.manual_seed(0)
    options = {"batch_first": True, "dim_feedforward": 16}
    digital = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, **options), 2).eval()
    model = convert_to_analog(copy.deepcopy(digital), IDEAL, exclude=exclude)
    called = []
    for each in model.modules():
        if isinstance(each, AnalogLinear):
            each.register_forward_hook(lambda layer, *_: called.append(layer))
    x = torch.randn(3, 5, 8)
    padding = torch.arange(5) >= torch.tensor([5, 2, 4])[:, None]
    with gradients():
        assert_close(model(x), digital(x))
        y, expected = (each(x, src_key_padding_mask=padding) for each in (model, digital))
    assert_close(y[~padding], expected[~padding])
    assert set(called) == {m for m in model.modules() if isinstance(m, AnalogLinear)}
    convert_to_digital(model)
    for mine, theirs in zip(model.modules(), digital.modules()):
        assert type(mine) is type(theirs) or isinstance(theirs, type(mine))
        for name in ("activation_relu_or_gelu", "enable_nested_tensor", "use_nested_tensor"):
            assert getattr(mine, name, None) == getattr(theirs, name, None)
    assert torch.equal(model(x), digital(x))


def test_decoders():
    torch.manual_seed(0)
    digital = nn.Transformer(8, 2, 1, 1, 16).eval()
    model = convert_to_analog(copy.deepcopy(digital), IDEAL)
    source, target = torch.randn(5, 3, 8), torch.randn(4, 3, 8)
    mask = nn.Transformer.generate_square_subsequent_mask(4)
    assert_close(model(source, target, tgt_mask=mask), digital(source, target, tgt_mask=mask))
    assert len(conversion_report(model).converted) == 7


@pytest.mark.skipif(not hasattr(torch, "compile"), reason="before torch 2.0")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:Guards may run")
def test_graphs_have_no_breaks():
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
    model = nn.Sequential(encoder, nn.GRU(8, 4))
    convert_to_analog(model, lk.presets.converters_8bit)
    x = torch.randn(2, 3, 8)
    analog.calibrate(model, [x])
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    gradients = []
    for each in (model, compiled):
        model.zero_grad()
        y = each(x)[0]
        y.sum().backward()
        gradients.append([y, *(values.grad.clone() for values in model.parameters())])
    for actual, expected in zip(*gradients):
        torch.testing.assert_close(actual, expected)


# --- Names ---------------------------------------------------------------------------------------


def test_overrides_and_exclusions(network):
    other = IDEAL.with_(name="other")
    overrides = {"body.*": "pcm_joshi2020", "encoder": other, "encoder.linear2": PCM}
    convert_to_analog(network, IDEAL, overrides, exclude=["head", "rnn"])
    assert network.body[0].profile == lk.presets.pcm_joshi2020  # again has its profile, too
    assert network.encoder.self_attn.out_proj.profile == network.encoder.linear1.profile == other
    assert network.encoder.linear2.profile == PCM
    assert network.other.profile == IDEAL
    assert type(network.head) is nn.Linear and type(network.rnn) is nn.LSTM
    left = {row.name: row.why_not for row in conversion_report(network).not_converted}
    assert left == {
        "head": "excluded by 'head'",
        "rnn": "excluded by 'rnn'",
        "table": "Embedding has no counterpart on arrays",
    }


@pytest.mark.parametrize(
    "given, error, message",
    [
        (dict(exclude=["head", "hed", "x.*"]), ValueError, "'hed', 'x.*' match no module"),
        (dict(overrides={"hed": IDEAL}), ValueError, "'hed' match no module"),
        (dict(overrides={"table": IDEAL}), ValueError, "'table' match no layer that could be"),
        (dict(overrides={"head": IDEAL}, exclude="head"), ValueError, "'head' match no layer"),
        (dict(overrides={"head": "nothing"}), ValueError, "unknown hardware profile 'nothing'"),
        (dict(exclude=[3]), TypeError, "a pattern must be a str, not int"),
        (dict(profile=None), TypeError, "profile must be a Profile"),
        (dict(model=3), TypeError, "model must be a torch.nn.Module, not int"),
    ],
)
def test_refuses(network, given, error, message):
    before = str(network)
    with pytest.raises(error, match=message.replace("*", r"\*")):
        convert_to_analog(**{"model": network, "profile": IDEAL, **given})
    assert str(network) == before


# --- The table -----------------------------------------------------------------------------------


def test_table(capsys):
    model = nn.Sequential()
    model.add_module("conv", nn.Conv2d(3, 40, 3))
    model.add_module("fc", nn.Linear(70, 33))
    model.add_module("attention", nn.MultiheadAttention(40, 2))
    model.add_module("head", nn.Linear(3, 3))
    small = IDEAL.with_(name="small", mapping=lk.Mapping(tile=(32, 16)))
    convert_to_analog(model, small, exclude=["head"], verbose=True)
    assert capsys.readouterr().out == (
        "layer      was                 is                        profile  tiles\n"
        "conv       Conv2d              AnalogConv2d              small    3\n"
        "fc         Linear              AnalogLinear              small    9\n"
        "attention  MultiheadAttention  AnalogMultiheadAttention  small    24\n"
        "head       Linear              not converted: excluded by 'head'\n"
        "3 converted, 1 not converted\n"
    )
    rows = json.loads(json.dumps(conversion_report(model).to_dict()))["layers"]
    assert rows[1] == {
        "name": "fc",
        "before": "Linear",
        "after": "AnalogLinear",
        "profile": "small",
        "tiles": 9,
        "why_not": None,
    }
    convert_to_analog(model, "pcm_hwa")
    report = conversion_report(model)
    assert [(row.name, row.before, row.profile) for row in report.converted] == [
        ("conv", "Conv2d", "small"),
        ("fc", "Linear", "small"),
        ("attention", "MultiheadAttention", "small"),
        ("head", "Linear", "pcm_hwa"),
    ]


def test_a_layer_as_the_model():
    report = conversion_report(convert_to_analog(nn.Linear(3, 2), IDEAL))
    assert "(the model)  Linear  AnalogLinear  ideal" in str(report)


# --- What is not converted -----------------------------------------------------------------------


def why_not(layer, profile=IDEAL):
    """Of a model with `layer`, which works as before."""
    model = nn.Sequential(layer)
    convert_to_analog(model, profile)
    assert model[0] is layer
    (row,) = conversion_report(model).not_converted
    return row.why_not


class OwnLinear(nn.Linear):
    def forward(self, x):
        return super().forward(x) + 1


class OwnAttention(nn.MultiheadAttention):
    pass


def test_subclasses():
    assert why_not(OwnLinear(3, 2)) == "a subclass of Linear, whose forward() may be another"
    assert "subclass of MultiheadAttention" in why_not(OwnAttention(4, 2))


def test_computed_weights():
    pruned = nn.Linear(3, 2)
    prune.random_unstructured(pruned, "weight", 0.5)
    assert "weight_orig: pruned" in why_not(pruned)
    prune.remove(pruned, "weight")
    assert isinstance(convert_to_analog(pruned, IDEAL), AnalogLinear)
    parametrized = nn.Linear(3, 2)
    parametrize.register_parametrization(parametrized, "weight", nn.Identity())
    assert "weight is parametrized; torch.nn.utils.parametrize.remove" in why_not(parametrized)
    attention = nn.MultiheadAttention(4, 2)
    prune.random_unstructured(attention.out_proj, "weight", 0.5)
    assert "its out_proj: has weight_orig" in why_not(attention)
    replaced = nn.Linear(3, 2)
    replaced.forward = lambda x: x
    assert "forward() has been replaced" in why_not(replaced)


def test_other_kinds():
    assert why_not(nn.ConvTranspose2d(1, 2, 3)) == "ConvTranspose2d has no counterpart on arrays"
    assert "Bilinear" in why_not(nn.Bilinear(2, 3, 4))
    assert "LSTMCell" in why_not(nn.LSTMCell(2, 3))
    assert "float32" in why_not(nn.Linear(3, 2, dtype=torch.complex64))
    assert conversion_report(convert_to_analog(nn.LayerNorm(3), IDEAL)).rows == []


def test_lazy_layers():
    model = nn.Sequential(nn.Linear(3, 4), nn.LazyLinear(2))
    with pytest.raises(ValueError, match="^1: a LazyLinear is not initialised; call the model"):
        convert_to_analog(model, IDEAL)
    assert type(model[0]) is nn.Linear
    convert_to_analog(model, IDEAL, exclude=["1"])
    model(torch.randn(2, 3))
    convert_to_analog(model, IDEAL)
    assert isinstance(model[1], AnalogLinear)


def test_hardware_profiles():
    x = torch.rand(5, 6)
    model = nn.Sequential(nn.Linear(6, 4), nn.GRU(4, 3))
    convert_to_analog(model, "datacenter_high_precision")
    assert isinstance(model[0], OpticalLinear) and type(model[1]) is nn.GRU
    assert model[0].hardware_profile == lk.presets.datacenter_high_precision
    row = conversion_report(model).not_converted[0]
    assert "'datacenter_high_precision' is a HardwareProfile" in row.why_not
    torch.manual_seed(1)
    y = model(x)[0]
    assert model[0].adc_limit > 0 and y.shape == (5, 3)
    convert_to_digital(model)
    assert type(model[0]) is nn.Linear


def test_what_cannot_go_back():
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    convert_to_analog(model, IDEAL)
    parametrize.register_parametrization(model[1], "weight", nn.Identity())
    with pytest.raises(ValueError, match="^1 can't be converted: weight is parametrized"):
        convert_to_digital(model)
    assert isinstance(model[0], AnalogLinear)


# --- What goes over ------------------------------------------------------------------------------


def test_hooks_and_their_handles():
    layer = nn.Linear(3, 2)
    seen = []
    handles = [
        layer.register_forward_hook(lambda *_: seen.append("forward")),
        layer.register_forward_pre_hook(lambda *_: seen.append("before")),
        layer.register_full_backward_hook(lambda *_: seen.append("backward")),
    ]
    converted = convert_to_analog(layer, IDEAL)
    converted(torch.randn(2, 3, requires_grad=True)).sum().backward()
    assert seen == ["before", "forward", "backward"]
    for each in handles:
        each.remove()
    converted(torch.randn(2, 3, requires_grad=True)).sum().backward()
    assert len(seen) == 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_types_and_frozen_parameters(network, dtype):
    network.to(dtype)
    network.rnn.requires_grad_(False)
    convert_to_analog(network, IDEAL)
    assert {each.dtype for each in network.parameters()} == {dtype}
    assert not any(each.requires_grad for each in network.rnn.parameters())
    assert network(TOKENS).dtype == dtype


def test_chosen_classes(network):
    convert_to_analog(network, PCM)
    assert type(network.picture) is AnalogConv2d and type(network.rnn) is AnalogLSTM
    assert type(network.encoder.self_attn) is AnalogMultiheadAttention
    assert network.rnn.hh_l0.profile is PCM
