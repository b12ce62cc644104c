"""Layers on arrays in graphs of tensors: torch.compile, torch.export, torch.func."""

import copy

import pytest

torch = pytest.importorskip("torch")

import lumina_kernel as lk
from lumina_kernel import nn
from lumina_kernel.nn import array_operators
from nn_support import backend  # noqa: F401 (a fixture)

needs_operators = pytest.mark.skipif(
    not array_operators.AVAILABLE, reason="graphs of tensors need torch 2.5"
)


def model(**options):
    """A convolution and two Linears, calibrated; noise of weights, outputs and reading."""
    torch.manual_seed(4)
    net = torch.nn.Sequential(
        nn.AnalogConv2d(3, 8, 3, stride=2, profile=profile(), **options),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        nn.AnalogLinear(8 * 9, 40, profile=profile(), **options),
        torch.nn.ReLU(),
        nn.AnalogLinear(40, 10, profile="converters_8bit", **options),
    )
    return nn.calibrate(net, [images()])


def profile():
    return lk.presets.pcm_hwa.with_(
        adc=lk.Adc(8, lk.Calibrated()),
        mapping=lk.Mapping(tile=(24, 32), weight_bits=None),
        training=lk.HardwareAware(weight_noise=0.05, drop_connect=0.01),
    )


def images():
    return torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))


def gradients_of(net, run, x):
    for parameter in net.parameters():
        parameter.grad = None
    x = x.clone().requires_grad_()
    torch.manual_seed(1)
    y = run(x)
    y.square().sum().backward()
    return y.detach(), x.grad, *(parameter.grad.clone() for parameter in net.parameters())


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


@needs_operators
@pytest.mark.parametrize("training", [True, False])
def test_a_compiled_graph_has_the_bits_of_the_layer(backend, training):
    net = model().train(training)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    expected = gradients_of(net, net, images())
    assert_equal(gradients_of(net, compiled, images()), expected)
    with torch.no_grad():
        net[3].weight.mul_(0.5)
    changed = gradients_of(net, net, images())
    assert not torch.equal(changed[0], expected[0])
    assert_equal(gradients_of(net, compiled, images()), changed)


@needs_operators
def test_a_compiled_graph_answers_for_the_chip_at_its_time(backend):
    net = model().eval()
    nn.program(net, 7)
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    answers = []
    with torch.no_grad():
        for seconds in (None, 3600.0, 1e7):
            nn.drift(net, seconds)
            torch.manual_seed(1)
            answers.append(net(images()))
            torch.manual_seed(1)
            assert torch.equal(compiled(images()), answers[-1])
    assert not torch.equal(answers[0], answers[1]) and not torch.equal(answers[1], answers[2])


@needs_operators
def test_an_exported_graph_has_the_bits_of_the_layer(backend):
    net = model().eval()
    exported = torch.export.export(net, (images(),)).module()
    with torch.no_grad():
        torch.manual_seed(1)
        expected = net(images())
        torch.manual_seed(1)
        assert torch.equal(exported(images()), expected)


@needs_operators
def test_a_stored_graph_of_a_layer_with_a_seed_is_refused(backend):
    net = model(seed=3).eval()
    with pytest.raises(Exception, match="can't draw from the layer's own generator"):
        torch.export.export(net, (images(),))


@needs_operators
def test_gradients_by_functions(backend):
    net = model().train()
    expected = gradients_of(net, net, images())
    values = dict(net.named_parameters())

    def loss(values, x):
        return torch.func.functional_call(net, values, (x,)).square().sum()

    torch.manual_seed(1)
    by_values, by_x = torch.func.grad(loss, argnums=(0, 1))(values, images())
    assert_equal([by_x, *by_values.values()], expected[1:])


@needs_operators
def test_vmap_calls_one_after_the_other(backend):
    net = model().eval()
    for layer in net:
        layer.noise_in_eval = False
    batches = torch.stack([images(), 2 * images()])
    with torch.no_grad():
        batched = torch.func.vmap(net)(batches)
        assert torch.equal(batched, torch.stack([net(each) for each in batches]))


@needs_operators
def test_vmap_with_noise_says_what_it_needs(backend):
    with pytest.raises(RuntimeError, match="randomness='same'"):
        torch.func.vmap(model(), randomness="different")(torch.stack([images()] * 2))


@needs_operators
def test_operators_pass_torchs_own_checks(backend):
    net = model().train()
    layer = net[3]
    x = torch.randn(6, 72, requires_grad=True)
    number = torch.ops.lumina_kernel.draw(device=torch.device("cpu"))
    arguments = (x, layer.weight, layer.bias, number, *layer._ranges(), layer._text, True, 0)
    checks = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(torch.ops.lumina_kernel.analog_layer, arguments, test_utils=checks)


def test_meta_tensors_have_shapes_alone(backend):
    net = torch.nn.Sequential(
        nn.AnalogConv2d(3, 8, 3, profile="pcm_hwa", device="meta"),
        torch.nn.Flatten(),
        nn.AnalogLinear(8 * 36, 10, profile="pcm_hwa", device="meta"),
    )
    assert net(images().to("meta")).shape == (5, 10)


def test_a_meta_layer_comes_to_life_uncalibrated(backend):
    layer = nn.AnalogLinear(20, 10, profile=profile(), device="meta")
    layer = layer.to_empty(device="cpu")
    layer.reset_parameters()
    assert layer.programmed is None and not layer.adc_bound.any()
    with pytest.raises(RuntimeError, match="calibrate"):
        layer(torch.randn(3, 20))


def test_onnx_and_script_are_refused_by_name(backend):
    layer = nn.AnalogLinear(20, 10, profile="converters_8bit")
    with pytest.raises(Exception, match="AnalogLinear: torch.jit.script"):
        torch.jit.script(layer)


def test_copies_are_on_their_own(backend):
    net = model(seed=5).eval()
    nn.program(net, 7)
    other = copy.deepcopy(net)
    nn.drift(other, 1e6)
    assert net[0].programmed.seconds is None and other[0].programmed.seconds == 1e6
    nn.seed_step(net, 1, 2)
    nn.seed_step(other, 1, 2)
    nn.drift(other, None)
    with torch.no_grad():
        assert torch.equal(net(images()), other(images()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_programmed_layer_of_another_type_sees_changes(backend, dtype):
    net = model().to(dtype).eval()
    nn.program(net, 7)
    x = images().to(dtype)
    with torch.no_grad():
        torch.manual_seed(1)
        y = net(x)
        torch.manual_seed(1)
        assert y.dtype == dtype and torch.equal(net(x), y)
        net[3].weight.mul_(2.0)
        with pytest.raises(RuntimeError, match="since it was programmed"):
            net(x)
        nn.program(net, 7)
        net[3].weight = torch.nn.Parameter(net[3].weight.clone())
        with pytest.raises(RuntimeError, match="since it was programmed"):
            net(x)
