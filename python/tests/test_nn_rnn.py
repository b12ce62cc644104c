"""AnalogRNN, AnalogLSTM and AnalogGRU against torch.nn's."""

import copy
import io
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nn_support import one_thread, torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence
from torch.utils.checkpoint import checkpoint

import lumina_kernel as lk
from lumina_kernel import nn as analog
from lumina_kernel.nn import AnalogGRU, AnalogLSTM, AnalogRNN

IDEAL = lk.Profile.ideal()
KINDS = {"RNN": AnalogRNN, "LSTM": AnalogLSTM, "GRU": AnalogGRU}

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings(
        "ignore:dropout option adds", "ignore:LSTM with projections", "ignore:.*use_reentrant"
    ),
]


def pair(kind, *sizes, seed=0, **options):
    """torch.nn's layer, and one on arrays that has drawn the same numbers."""
    torch.manual_seed(seed)
    digital = getattr(torch.nn, kind)(*sizes, **options)
    torch.manual_seed(seed)
    return digital, KINDS[kind](*sizes, profile=IDEAL, **options)


def tensors(result):
    """All that forward() has returned, in one list."""
    if isinstance(result, torch.Tensor):
        return [result]
    if isinstance(result, PackedSequence):
        return [result.data]
    return [tensor for each in result for tensor in tensors(each)]


@st.composite
def calls(draw):
    kind = draw(st.sampled_from(list(KINDS)))
    inputs, hidden = draw(st.integers(1, 6)), draw(st.integers(2, 6))
    options = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    projected = kind == "LSTM" and draw(st.booleans())
    if projected:
        options["proj_size"] = draw(st.integers(1, hidden - 1))
    torch.manual_seed(draw(st.integers(0, 99)))
    steps, count = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    form = draw(st.sampled_from(["batched", "unbatched", "packed"]))
    if form == "batched":
        shape = (count, steps) if options["batch_first"] else (steps, count)
        x = torch.randn(*shape, inputs)
    elif form == "unbatched":
        x = torch.randn(steps, inputs)
    else:
        lengths = draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
        x = pack_sequence([torch.randn(n, inputs) for n in lengths], enforce_sorted=False)
    hx = None
    if draw(st.booleans()):
        layers = options["num_layers"] * (1 + options["bidirectional"])
        shape = (layers, count) if form != "unbatched" else (layers,)
        hx = torch.randn(*shape, options.get("proj_size", hidden))
        if kind == "LSTM":
            hx = (hx, torch.randn(*shape, hidden))
    return kind, (inputs, hidden), options, x, hx


@settings(max_examples=80)
@given(calls())
def test_is_torchs(call):
    kind, sizes, options, x, hx = call
    results, gradients = [], []
    for each in pair(kind, *sizes, **options):
        result = each(x, hx)
        results.append(result)
        flat = torch.cat([y.flatten() for y in tensors(result)])
        (flat * torch.arange(len(flat))).sum().backward()
        gradients.append({name: values.grad for name, values in each.named_parameters()})
    assert len(tensors(results[0])) == len(tensors(results[1]))
    for actual, expected in zip(tensors(results[1]), tensors(results[0])):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    if isinstance(x, PackedSequence):
        for actual, expected in zip(results[1][0][1:], x[1:]):
            assert torch.equal(actual, expected)
    assert list(gradients[1]) == list(gradients[0])
    for name, expected in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_state_of_torch_and_back(kind):
    digital, layer = pair(kind, 4, 5, 2, seed=1)
    layer.load_state_dict(pair(kind, 4, 5, 2, seed=2)[0].state_dict())
    digital.load_state_dict(layer.state_dict(), strict=False)
    x = torch.randn(3, 2, 4)
    torch.testing.assert_close(layer(x)[0], digital(x)[0], rtol=1e-5, atol=1e-5)


def test_learns_as_torch_does():
    digital, layer = pair("LSTM", 3, 8)
    x, wanted = torch.randn(6, 5, 3), torch.randn(6, 5, 8).tanh()
    losses = []
    for each in (digital, layer):
        for _ in range(20):
            loss = (each(x)[0] - wanted).square().mean()
            each.zero_grad()
            loss.backward()
            with torch.no_grad():
                for values in each.parameters():
                    values -= 0.5 * values.grad
        losses.append(loss.item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_empty_batch():
    y, (h, c) = AnalogLSTM(3, 4, profile=IDEAL)(torch.randn(5, 0, 3))
    assert y.shape == (5, 0, 4) and h.shape == c.shape == (1, 0, 4)


def test_dropout_between_layers():
    layer = AnalogRNN(2, 64, 2, dropout=0.5, profile=IDEAL)
    torch.nn.init.eye_(layer.weight_ih_l1)
    for name in ("weight_hh_l1", "bias_ih_l1", "bias_hh_l1"):
        torch.nn.init.zeros_(getattr(layer, name))
    x = torch.randn(20, 4, 2)
    assert 0.45 < (layer(x)[0] == 0).float().mean() < 0.55
    assert (layer.eval()(x)[0] != 0).all()


def powers(layer, steps=6):
    """h of a state 1 that is multiplied with the weight in each step."""
    x, h = torch.zeros(steps, 1, 1), torch.ones(1, 1, 1)
    return layer(x, h)[0].flatten()


def test_weights_of_training_are_one_of_all_steps():
    training = lk.HardwareAware(0.2, "multiplicative")
    profile = IDEAL.with_(training=training)
    layer = AnalogRNN(1, 1, nonlinearity="relu", bias=False, profile=profile)
    torch.nn.init.ones_(layer.weight_hh_l0)
    weights = []
    for _ in range(5):
        y = powers(layer)
        y[-1].backward()
        weights.append(y[0].item())
        torch.testing.assert_close(y, y[0] ** torch.arange(1, 7))
    assert len(set(weights)) == 5
    assert (powers(layer.eval()) == 1.0).all()


def test_noise_is_another_one_in_each_step():
    layer = AnalogRNN(
        1, 1, nonlinearity="relu", bias=False, profile=IDEAL.with_(out_noise=0.1), seed=1
    )
    torch.nn.init.ones_(layer.weight_hh_l0)
    torch.nn.init.zeros_(layer.weight_ih_l0)
    y = powers(layer)
    assert len(set(y.diff().tolist())) == 5


def test_checkpoints_find_the_same_noise():
    profile = lk.presets.converters_8bit.with_(
        out_noise=0.05, training=lk.HardwareAware(0.1, "additive")
    )
    layer = AnalogLSTM(3, 4, 2, profile=profile)
    x = torch.randn(5, 2, 3)
    analog.calibrate(layer, [x])
    gradients = []
    for run in (lambda x: layer(x)[0], lambda x: checkpoint(lambda x: layer(x)[0], x)):
        torch.manual_seed(5)
        layer.zero_grad()
        run(x.clone().requires_grad_()).sum().backward()
        gradients.append([each.grad.clone() for each in layer.parameters()])
    assert all(map(torch.equal, *gradients))


@pytest.mark.parametrize("kind", KINDS)
def test_calibrated_programmed_drifting(kind):
    layer = KINDS[kind](6, 8, 2, bidirectional=True, profile="pcm_hwa", seed=4).eval()
    x = torch.randn(7, 3, 6)
    analog.calibrate(layer, [x])
    quiet = layer(x)[0]
    analog.program(layer, 11)
    with pytest.raises(RuntimeError, match="can't be in train"):
        layer.train()(x)
    layer.eval()
    analog.drift(analog.drift(layer, 3e7), 3600.0)
    file = io.BytesIO()
    torch.save(layer.state_dict(), file)
    file.seek(0)
    other = KINDS[kind](6, 8, 2, bidirectional=True, profile="pcm_hwa", seed=4).eval()
    other.load_state_dict(torch.load(file))
    analog.seed_step(layer, 0, 0)
    expected = layer(x)[0]
    analog.seed_step(other, 0, 0)
    assert torch.equal(other(x)[0], expected)
    assert 0 < (expected - quiet).abs().mean() < 0.2


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_own_their_weights(copied):
    layer = AnalogGRU(3, 4, profile=IDEAL)
    x = torch.randn(5, 2, 3)
    other = copied(layer)
    assert torch.equal(other(x)[0], layer(x)[0])
    with torch.no_grad():
        layer.weight_hh_l0.zero_()
    assert (layer.hh_l0.weight == 0).all() and (other.hh_l0.weight != 0).any()


def test_types():
    layer = AnalogLSTM(3, 4, profile=IDEAL)
    x = torch.randn(5, 2, 3)
    for dtype, bound in ((torch.float64, 1e-5), (torch.bfloat16, 0.05)):
        y, (h, c) = copy.deepcopy(layer).to(dtype)(x.to(dtype))
        assert y.dtype == h.dtype == c.dtype == dtype
        assert (y - layer(x)[0]).abs().max() < bound


def test_from_meta():
    layer = AnalogLSTM(3, 4, device="meta").to_empty(device="cpu")
    layer.reset_parameters()
    for name in ("ih_l0", "hh_l0"):
        product = getattr(layer, name)
        assert product.programmed is None and product.adc_bound == 10.0
    assert layer.eval()(torch.randn(5, 2, 3))[0].isfinite().all()


def test_parameters_of_a_call():
    functional_call = pytest.importorskip("torch.func").functional_call
    layer, other = (AnalogLSTM(3, 4, profile=IDEAL) for _ in range(2))
    x = torch.randn(5, 2, 3)
    y = functional_call(layer, dict(other.named_parameters()), (x,))[0]
    assert torch.equal(y, other(x)[0]) and not torch.equal(y, layer(x)[0])


@pytest.mark.parametrize(
    "options, error, message",
    [
        (dict(input_size=0), ValueError, "input_size must be positive, not 0"),
        (dict(hidden_size=4.0), TypeError, "hidden_size must be an int"),
        (dict(num_layers=0), ValueError, "num_layers must be positive"),
        (dict(dropout=-0.1), ValueError, "dropout must be in"),
        (dict(proj_size=4), ValueError, "LSTM: proj_size must be below hidden_size, 4, not 4"),
        (dict(proj_size=-1), ValueError, "proj_size"),
        (dict(profile="custom"), TypeError, "AnalogLSTM: profile must be a Profile"),
    ],
)
def test_refuses_options(options, error, message):
    with pytest.raises(error, match=message):
        AnalogLSTM(**{"input_size": 3, "hidden_size": 4, **options})


def test_refuses_options_of_others():
    with pytest.raises(ValueError, match="AnalogRNN: nonlinearity must be 'tanh' or 'relu'"):
        AnalogRNN(3, 4, nonlinearity="x")
    for other in (AnalogRNN, AnalogGRU):
        with pytest.raises(ValueError, match=f"{other.__name__}: proj_size"):
            other(3, 4, proj_size=2)


def test_refuses_inputs():
    layer = AnalogLSTM(3, 4, profile=IDEAL)
    x, h = torch.randn(5, 2, 3), torch.zeros(1, 2, 4)
    for arguments, error, message in [
        ((x.numpy(),), TypeError, "input must be a torch.Tensor, not ndarray"),
        ((x[..., :2],), ValueError, r"input must be \[T, N, 3\] or \[T, 3\], not \[5, 2, 2\]"),
        ((x[0, 0],), ValueError, r"not \[3\]"),
        ((x[:0],), ValueError, r"input \[0, 2, 3\] must have a step"),
        ((x, h), TypeError, r"hx must be a pair of tensors"),
        ((x, (h, None)), TypeError, r"hx\[1\] must be a torch.Tensor, not NoneType"),
        ((x, (h[0], h)), ValueError, r"hx\[0\] must be \[1, 2, 4\], not \[2, 4\]"),
        ((x[:, 0], (h, h)), ValueError, r"hx\[0\] must be \[1, 4\], not \[1, 2, 4\]"),
        ((pack_sequence([x[:, 0, :2]]),), ValueError, r"data must be \[rows, 3\], not \[5, 2\]"),
    ]:
        with pytest.raises(error, match="AnalogLSTM: .*" + message):
            layer(*arguments)
