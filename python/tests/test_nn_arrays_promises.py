"""What layers on arrays promise: torch's own layers where all is ideal, and the same bits again."""

import copy
import io
import pickle

import numpy as np
import pytest
from helpers import run_python
from hypothesis import given, settings as hypothesis_settings, strategies as st
from nn_support import backend, computation, torch

import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

from lumina_kernel import Adc, Calibrated, Dac, HardwareAware, Mapping, Profile, cells, nn as ln
from lumina_kernel import presets

IDEAL = Profile.ideal()
IDEAL_IN_TILES = IDEAL.with_(mapping=Mapping((7, 5), weight_bits=None))
#: All that has a number; drawn in training and in eval().
NOISY = Profile(
    "noisy",
    dac=Dac(8, 2.5),
    adc=Adc(8, 9.0),
    mapping=Mapping((16, 8)),
    cell=cells.Pcm(),
    out_noise=0.05,
    read_noise=0.02,
    training=HardwareAware(0.05),
    compensation="tile",
)


def numbers(*shape, seed=1, kind=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(kind)


def model(profile=NOISY, seed=1):
    """A network with images and rows."""
    torch.manual_seed(seed)
    return nn.Sequential(
        ln.AnalogConv2d(2, 6, 3, stride=2, padding=1, profile=profile),
        nn.ReLU(),
        nn.Flatten(),
        ln.AnalogLinear(6 * 4 * 4, 5, profile=profile),
    )


IMAGES = numbers(4, 2, 8, 8, seed=9)


def bits_of(y):
    return y.detach().numpy().tobytes()


# --- Ideal layers are torch's ---------------------------------------------------------------------


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


# --- The same bits again --------------------------------------------------------------------------


def calibrated_profile(**changes):
    return NOISY.with_(
        dac=Dac(8, Calibrated()), adc=Adc(8, Calibrated()), noise_management="abs_max", **changes
    )


def train(network, steps=3):
    optimizer = torch.optim.SGD(network.parameters(), 0.05)
    for step in range(steps):
        ln.seed_step(network, 0, step)
        optimizer.zero_grad()
        network(numbers(4, 2, 8, 8, seed=step)).square().mean().backward()
        optimizer.step()


def answer(network, step=7):
    ln.seed_step(network, 9, step)
    with torch.no_grad():
        return bits_of(network(IMAGES))


@pytest.mark.parametrize(
    "profile", [calibrated_profile(), calibrated_profile(compensation="column"), NOISY]
)
def test_a_life_of_a_model_repeats_and_is_loaded(backend, profile):
    """Calibrated, trained, programmed, drifting, saved, loaded."""
    network = model(profile)
    ln.calibrate(network, [IMAGES, 2 * IMAGES])
    network.train()
    before = network[3].weight.detach().clone()
    train(network)
    assert not torch.equal(network[3].weight, before)
    ln.program(network.eval(), 5)
    programmed = answer(network)
    ln.drift(network, 86400.0)
    after_a_day = answer(network)
    assert after_a_day != programmed
    file = io.BytesIO()
    torch.save(network.state_dict(), file)

    file.seek(0)
    loaded = model(profile, seed=2).eval()
    loaded.load_state_dict(torch.load(file))
    assert answer(loaded) == after_a_day
    ln.drift(loaded, None)
    assert answer(loaded) == programmed
    ln.drift(loaded, 86400.0)
    assert answer(loaded) == after_a_day

    for again in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        assert answer(again) == after_a_day
        ln.drift(again, None)
        assert answer(again) == programmed
    assert answer(network) == after_a_day  # whatever the copies did


def test_any_order_of_times_gives_the_same_bits(backend):
    times = [None, 1.0, 0.0, 3600.0, 3.15e7]

    def looked_at(order):
        network = ln.program(model().eval(), 3)
        answers = {time: answer(ln.drift(network, time)) for time in order}
        return [answers[time] for time in times]

    forward = looked_at(times)
    assert len(set(forward)) == len(times)
    assert looked_at(times[::-1]) == forward
    assert looked_at([3.15e7, None, *times]) == forward


def test_chips_differ_and_repeat(backend):
    network = model().eval()
    first = answer(ln.program(network, 3))
    second = answer(ln.program(network, 4))
    assert first != second and answer(ln.program(network, 3)) == first
    assert answer(ln.program(network, 2**64 - 1)) not in (first, second)
    assert answer(ln.unprogram(network)) not in (first, second)
    # Layers alike are not on the same devices.
    twins = nn.ModuleList(ln.AnalogLinear(20, 6, False, NOISY) for _ in range(2)).eval()
    twins[1].load_state_dict(twins[0].state_dict())
    ln.program(twins, 1)
    ln.seed_step(twins[0], 0, 0), ln.seed_step(twins[1], 0, 0)
    x = numbers(3, 20)
    assert not torch.equal(twins[0](x), twins[1](x))


LIFE = """
import torch
from lumina_kernel import nn as ln, presets
torch.manual_seed(3)
network = torch.nn.Sequential(
    ln.AnalogConv2d(2, 6, 3, profile="pcm_joshi2020"), torch.nn.Flatten(),
    ln.AnalogLinear(6 * 16, 5, profile=presets.pcm_hwa))
images = torch.randn(3, 2, 6, 6)
ln.calibrate(network, [images])
optimizer = torch.optim.SGD(network.parameters(), 0.1)
for step in range(2):
    ln.seed_step(network, 0, step)
    network(images).square().mean().backward()
    optimizer.step()
ln.drift(ln.program(network.eval(), 4), 3600.0)
ln.seed_step(network, 1, 0)
print(network(images).detach().numpy().tobytes().hex())
"""


@pytest.mark.parametrize("native", ["0", "1"])
def test_two_processes_give_the_same_bits(native):
    if native == "1":
        computation("native")  # or skips
    first, second = (run_python(LIFE, LUMINA_USE_KERNEL=native) for _ in range(2))
    assert len(first.stdout) == 3 * 5 * 8 + 1, first.stderr
    assert first.stdout == second.stdout


def test_any_number_of_threads_gives_the_same_bits(backend):
    """Where sums are exact. (The fallback's are floats, whose order a library may choose.)"""
    before, found = torch.get_num_threads(), []
    big = ln.AnalogLinear(300, 200, profile=NOISY)
    conv = ln.AnalogConv2d(3, 40, 3, profile=NOISY)
    x, images = numbers(300, 300), numbers(6, 3, 20, 20)
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            ln.seed_step(nn.ModuleList([big, conv]), 0, 0)
            found.append((big(x), conv(images)))
    finally:
        torch.set_num_threads(before)
    for own in found[1:]:
        for y, first in zip(own, found[0]):
            torch.testing.assert_close(y, first, rtol=0, atol=0 if backend == "native" else 1e-3)


# --- Weights that change --------------------------------------------------------------------------

QUIET = NOISY.with_(
    adc=None, cell=None, out_noise=0.0, read_noise=None, training=HardwareAware(), compensation=None
)


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


# --- Noise and recomputation ----------------------------------------------------------------------


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


# --- Kinds of tensors -----------------------------------------------------------------------------


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


# --- Errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("make, words", [
    (lambda: ln.AnalogLinear(0, 3), "in_features.*0"),
    (lambda: ln.AnalogLinear(3, -1), "out_features.*-1"),
    (lambda: ln.AnalogLinear(3, 4, profile="pcm"), "pcm.*pcm_hwa"),
    (lambda: ln.AnalogLinear(3, 4, device="cuda"), "device.*cuda"),
    (lambda: ln.AnalogLinear(3, 4, seed=-1), "seed.*-1"),
    (lambda: ln.AnalogLinear(3, 4, seed=1, generator=torch.Generator()), "generator and seed"),
    (lambda: ln.AnalogConv2d(0, 3, 2), "in_channels.*0"),
    (lambda: ln.AnalogConv2d(4, 3, 2, groups=2), "out_channels.*groups, 2.*3"),
    (lambda: ln.AnalogConv2d(3, 4, 2, groups=2), "in_channels.*groups, 2.*3"),
    (lambda: ln.AnalogConv2d(3, 4, (2, 2, 2)), "kernel_size.*2 numbers"),
    (lambda: ln.AnalogConv2d(3, 4, 0), "kernel_size.*at least 1"),
    (lambda: ln.AnalogConv1d(3, 4, 2, stride=0), "stride.*at least 1"),
    (lambda: ln.AnalogConv3d(3, 4, 2, padding=-1), "padding.*at least 0"),
    (lambda: ln.AnalogConv2d(3, 4, 2, dilation=(1, 0)), "dilation.*at least 1"),
    (lambda: ln.AnalogConv2d(3, 4, 2, padding="full"), "padding.*'full'"),
    (lambda: ln.AnalogConv2d(3, 4, 2, 2, padding="same"), "'same'.*stride"),
    (lambda: ln.AnalogConv2d(3, 4, 2, padding_mode="none"), "padding_mode.*'none'"),
    (lambda: ln.calibrate(model(), []), "batches"),
    (lambda: ln.program(model(), -1), "seed.*-1"),
    (lambda: ln.drift(model(), -1.0), "seconds.*-1"),
    (lambda: ln.drift(model(), float("nan")), "seconds.*nan"),
    (lambda: ln.seed_step(model(), 0, -1), "step"),
])
def test_wrong_values(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize("make, words", [
    (lambda: ln.AnalogLinear(3.0, 4), "in_features.*float"),
    (lambda: ln.AnalogLinear(3, True), "out_features.*bool"),
    (lambda: ln.AnalogLinear(3, 4, profile=8), "profile.*int"),
    (lambda: ln.AnalogLinear(3, 4, dtype=torch.int8), "dtype.*int8"),
    (lambda: ln.AnalogLinear(3, 4, generator=3), "generator.*int"),
    (lambda: ln.AnalogConv2d(3, 4, 2.5), "kernel_size.*float"),
    (lambda: ln.AnalogConv2d(3, 4, 2, stride=(1, 1.5)), "stride.*float"),
    (lambda: ln.AnalogConv2d(3, 4, 2, groups=1.0), "groups.*float"),
    (lambda: ln.AnalogConv2d(3, 4, 2, profile="lumina_nano_v1"), "profile.*lumina_nano_v1"),
    (lambda: ln.program(model(), 1.0), "seed.*float"),
    (lambda: ln.drift(model(), "1"), "seconds.*str"),
    (lambda: ln.seed_step(model(), 0.5, 1), "epoch.*float"),
])
def test_wrong_kinds_of_values(make, words):
    with pytest.raises(TypeError, match=words):
        make()


@pytest.mark.parametrize("x, error, words", [
    (torch.ones(2, 3), ValueError, r"\[2, 3\].*\[\.\.\., 10\].*\[4, 10\]"),
    (torch.ones(()), ValueError, r"\[\].*10"),
    (torch.ones(2, 10, dtype=torch.int64), TypeError, "int64"),
    (torch.ones(2, 10).to_sparse(), ValueError, "dense"),
    (np.ones((2, 10)), TypeError, "ndarray"),
    (torch.full((2, 10), float("nan")), ValueError, r"input \[2, 10\].*finite"),
    (torch.full((2, 10), float("-inf")), ValueError, r"input \[2, 10\].*finite"),
])
def test_wrong_inputs_of_linear(backend, x, error, words):
    layer = ln.AnalogLinear(10, 4, profile=NOISY)
    with pytest.raises(error, match=words):
        layer(x)


@pytest.mark.parametrize("x, words", [
    (torch.ones(1, 2, 8, 8), r"\[1, 2, 8, 8\].*\[N, 3, size, size\].*\[4, 3, 3, 3\]"),
    (torch.ones(8, 8), r"\[8, 8\]"),
    (torch.ones(1, 3, 2, 8), r"\[1, 3, 2, 8\].*smaller than the kernel \[3, 3\]"),
    (torch.full((1, 3, 8, 8), float("inf")), r"input.*\[1, 3,.*8, 8\].*finite"),
])
def test_wrong_inputs_of_convolutions(backend, x, words):
    with pytest.raises(ValueError, match=words):
        ln.AnalogConv2d(3, 4, 3, profile=NOISY)(x)


@pytest.mark.parametrize("programmed", [False, True])
def test_weights_that_are_not_finite(backend, programmed):
    layer = ln.AnalogLinear(10, 4, profile=NOISY).eval()
    with torch.no_grad():
        layer.weight[1, 2] = float("nan")
    with pytest.raises(ValueError, match=r"weight.*\[4, 10\].*finite|weight.*finite"):
        ln.program(layer, 1) if programmed else layer(torch.ones(2, 10))
    assert layer.programmed is None


@pytest.mark.parametrize("profile, words", [
    (NOISY.with_(dac=Dac(8, Calibrated())), "input_range.*calibrate"),
    (NOISY.with_(adc=Adc(8, Calibrated())), "adc_bound.*calibrate"),
    (presets.pcm_joshi2020, "adc_bound.*calibrate"),
])
def test_uncalibrated_ranges(backend, profile, words):
    layer = ln.AnalogLinear(10, 4, profile=profile)
    with pytest.raises(RuntimeError, match=f"AnalogLinear.*{words}"):
        layer(torch.ones(2, 10))
    with pytest.raises(RuntimeError, match=words):
        ln.program(layer, 1)
    assert layer.programmed is None
    ln.calibrate(layer, [torch.ones(2, 10)])
    layer(torch.ones(2, 10))


def test_calibration_that_fails_leaves_ranges(backend):
    network = model(calibrated_profile())
    ln.calibrate(network, [IMAGES])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError):
        ln.calibrate(network, [2 * IMAGES, numbers(1, 3, 8, 8)])
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert network.training


def test_calibrates_what_it_sees(backend):
    profile = calibrated_profile().with_(noise_management="none")
    layer = ln.AnalogLinear(20, 6, False, profile)
    x = numbers(50, 20)
    ln.calibrate(layer, [x[:20], x[20:]])
    assert layer.input_range == x.abs().max() and layer.adc_bound.shape == (2, 6)
    for tile, (begin, end) in enumerate(((0, 16), (16, 20))):
        w = layer.weight.detach()[:, begin:end]
        exact = (x[:, begin:end] / layer.input_range) @ (w / w.abs().amax(1, keepdim=True)).t()
        torch.testing.assert_close(layer.adc_bound[tile], exact.abs().amax(0), rtol=0.02, atol=0)
    exact = x @ layer.weight.t()
    assert (layer.eval()(x) - exact).abs().max() < 0.2 * exact.abs().max()
    whole = copy.deepcopy(layer)
    ln.calibrate(whole, [x])
    assert torch.equal(whole.adc_bound, layer.adc_bound)


class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, x):
        self.calls += 1
        return x


@pytest.mark.parametrize("management, calls", [("abs_max", 2), ("none", 4)])
def test_calibration_goes_through_batches_as_often_as_it_must(backend, management, calls):
    network = model(calibrated_profile().with_(noise_management=management))
    network.insert(0, Counter())
    ln.calibrate(network, [IMAGES, 3 * IMAGES])
    assert network[0].calls == calls
    assert network[1].input_range == 3 * IMAGES.abs().max()
    twice = copy.deepcopy(network)
    ln.calibrate(twice, [3 * IMAGES, IMAGES])  # in any order
    for name, value in network.state_dict().items():
        torch.testing.assert_close(twice.state_dict()[name], value, rtol=1e-5, atol=0)


@pytest.mark.parametrize("batch", [IMAGES[:0], IMAGES])
def test_calibration_names_a_layer_that_gets_nothing(backend, batch):
    network = model(calibrated_profile())
    network.register_module("unused", ln.AnalogLinear(3, 2, profile=calibrated_profile()))
    network.forward = lambda x: nn.Sequential.forward(network[:4], x)
    with pytest.raises(ValueError, match="unused|0 got no inputs"):
        ln.calibrate(network, [batch])
    assert network[0].input_range == network.unused.input_range == 0
    network.unused = ln.AnalogLinear(3, 2, profile=NOISY)  # which needs nothing
    if len(batch):
        ln.calibrate(network, [batch])
        assert network[0].input_range > 0
