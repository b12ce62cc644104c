"""Graphs of an OpticalLinear compute what it computes, or are refused by name."""

import contextlib
import copy
import io

import pytest
from nn_support import assert_close, backend, computation, inputs, make_layer, torch

from lumina_kernel.nn import operators
from lumina_kernel.nn.converters import Converter
from lumina_kernel.nn.interface import LayerSettings
from lumina_kernel.profiles import Readout
from torch.utils.checkpoint import checkpoint

RANGE = (-2.0, 2.0)
needs_operators = pytest.mark.skipif(
    not operators.AVAILABLE, reason=f"torch {torch.__version__} registers no such operators"
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


def layer_of(**options):
    return make_layer(16, 8, "lumina_micro_v1", bias=True, **options)


def results_of(call, layer):
    """Of three batches, each larger than the one before, and one in eval()."""
    torch.manual_seed(1)
    results = []
    for i in range(1, 5):
        layer.train(i < 4)
        layer.zero_grad()
        x = (inputs(4, 16) * i / 3).requires_grad_()
        y = call(x)
        y.square().sum().backward()
        results += [y.detach(), x.grad] + [p.grad.clone() for p in layer.parameters()]
        results += [buffer.clone() for buffer in layer.buffers()]
    with torch.no_grad():
        return results + [call(inputs(4, 16))]


def assert_same(call, layer, twin):
    for result, expected in zip(results_of(call, layer), results_of(twin, twin)):
        assert_close(result, expected, 1e-6)


@needs_operators
@pytest.mark.parametrize("compiler", ["eager", "aot_eager"])
@pytest.mark.parametrize(
    "options",
    [dict(output_range=RANGE), {}, dict(seed=5), dict(precision=12, zero_preserving=True)],
    ids=["given", "tracked", "seed", "12 bits"],
)
def test_compiled_as_one_graph(backend, compiler, options):
    torch._dynamo.reset()
    layer = layer_of(**options)
    twin = copy.deepcopy(layer)
    assert_same(torch.compile(layer, fullgraph=True, backend=compiler), layer, twin)


@needs_operators
def test_compiled_by_the_default_compiler(backend):
    torch._dynamo.reset()
    layer = layer_of()
    twin = copy.deepcopy(layer)
    compiled = torch.compile(layer, fullgraph=True)
    try:
        compiled(inputs(4, 16))
    except Exception as error:
        if "compiler" in str(error).lower() and "C++" in str(error):
            pytest.skip(f"the default backend needs a compiler: {error}")
        raise
    layer.adc_limit.zero_()
    assert_same(compiled, layer, twin)


@needs_operators
def test_compiled_sees_changed_weights_and_options(backend):
    torch._dynamo.reset()
    layer = copy.deepcopy(layer_of(output_range=RANGE)).eval()  # its weight's version is 0
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = inputs(4, 16)
    before = compiled(x)
    layer.weight.data.mul_(-1.3)
    assert torch.equal(compiled(x), layer(x)) and not torch.equal(compiled(x), before)
    layer.precision, layer.input_range = 6, (-0.5, 0.5)
    assert torch.equal(compiled(x), layer(x))


@needs_operators
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("options", [dict(output_range=RANGE), {}, dict(seed=5)], ids=str)
def test_compiled_and_recomputed(backend, inside, options):
    torch._dynamo.reset()
    layer = layer_of(**options)
    twin = copy.deepcopy(layer)
    compiled = torch.compile(
        (lambda x: checkpoint(layer, x, use_reentrant=False)) if inside else layer,
        fullgraph=True,
        backend="aot_eager",
    )
    call = compiled if inside else (lambda x: checkpoint(compiled, x, use_reentrant=False))
    assert_same(call, layer, twin)


@needs_operators
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [dict(output_range=RANGE), {}], ids=["given", "tracked"])
def test_exported(backend, training, options):
    layer = layer_of(**options)
    layer(inputs(4, 16))
    layer.train(training)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(layer, (inputs(4, 16),), dynamic_shapes=({0: batch},))
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for rows in (1, 7, 9):
        x = inputs(rows, 16) * rows
        torch.manual_seed(rows)
        y = loaded(x)
        torch.manual_seed(rows)
        assert torch.equal(y, layer(x))


@needs_operators
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("options", [dict(output_range=RANGE), {}], ids=["given", "tracked"])
def test_traced(backend, training, options):
    layer = layer_of(**options)
    layer(inputs(4, 16))
    layer.train(training)
    traced = torch.jit.trace(layer, inputs(4, 16), check_trace=False)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    loaded = torch.jit.load(file)
    for rows in (1, 7, 9):
        x = inputs(rows, 16) * rows
        torch.manual_seed(rows)
        y = loaded(x)
        torch.manual_seed(rows)
        assert torch.equal(y, layer(x))
    if training:
        assert not torch.equal(loaded(x), loaded(x))  # it draws anew
    else:
        layer.weight.data.mul_(-1.3)
        assert torch.equal(traced(x), layer(x))


@needs_operators
@pytest.mark.parametrize("outputs", [1, 8, 37, 128, 300])
@pytest.mark.parametrize("options", [{}, dict(seed=5, precision=12)], ids=str)
def test_dispatch_modes_see_the_layer(backend, outputs, options):
    from torch.utils._python_dispatch import TorchDispatchMode

    seen = []

    class Log(TorchDispatchMode):
        def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
            seen.append(str(operator))
            return operator(*args, **(kwargs or {}))

    layer = make_layer(16, outputs, "lumina_micro_v1", bias=True, **options)
    twin = copy.deepcopy(layer)
    with Log():
        results = results_of(layer, layer)
    for result, expected in zip(results, results_of(twin, twin)):
        assert_close(result, expected, 1e-6)
    assert "lumina_kernel.optical_linear.default" in seen


def test_a_record_returns_to_weights_like_its_own():
    _core = computation("native")._core
    weights = _core.CodedWeights(torch.rand(20, 16), 8)
    y, bits = torch.empty(4, 20), torch.full((4, 3), 255, dtype=torch.uint8)
    record, converter = _core.ForwardRecord(), Converter(8, 0.0, 1.0)
    settings = LayerSettings(converter, Readout(1.0, 0.0, 0.0, 1.0), converter)
    _core.forward(torch.rand(4, 16), weights, y, None, settings, record, 1)
    with pytest.raises(ValueError, match="4 rows of 3 bytes"):
        record.save(torch.empty(4, 2, dtype=torch.uint8))
    with pytest.raises(ValueError, match="2 bytes for a row of 20 outputs, not 3"):
        _core.ForwardRecord().restore(weights, bits[:, :2].contiguous())
    record.save(bits)
    other, again = _core.ForwardRecord(), torch.zeros_like(bits)
    other.restore(weights, bits)
    other.save(again)
    assert torch.equal(bits, again)


@needs_operators
def test_shapes_without_values(backend):
    from torch._subclasses.fake_tensor import FakeTensorMode

    layer = layer_of(device="meta")
    y = layer(torch.empty(5, 3, 16, device="meta", dtype=torch.bfloat16))
    assert y.is_meta and y.shape == (5, 3, 8) and y.dtype == torch.bfloat16
    with FakeTensorMode():
        assert layer_of()(torch.rand(5, 16)).shape == (5, 8)


@needs_operators
def test_operators_are_registered_soundly(backend):
    layer = layer_of(output_range=RANGE)
    settings = operators.numbers_of(layer._settings)
    for shape in ((4, 16), (2, 3, 16), (0, 16)):
        x = inputs(*shape).requires_grad_()
        torch.library.opcheck(
            torch.ops.lumina_kernel.optical_linear.default,
            (x, layer.weight, layer.bias, None, None, settings, [0, 0, 0], layer._passes.id),
        )


def test_is_refused_by_name_where_it_cannot_be():
    x = inputs(4, 16)
    layer = layer_of(output_range=RANGE).eval()
    with pytest.raises(TypeError, match=r"torch.jit.script can't compile it; use torch.jit.trace"):
        torch.jit.script(torch.nn.Sequential(layer))
    with pytest.raises(Exception) as caught, contextlib.redirect_stdout(io.StringIO()):
        torch.onnx.export(layer, x, io.BytesIO())
    if operators.AVAILABLE:
        assert "torch.onnx.export is not possible" in text_of(caught.value)
    else:
        with pytest.raises(RuntimeError, match="torch.jit.trace.*torch 2.5 or newer"):
            torch.jit.trace(layer, x)
        assert "torch.jit.trace, and what uses it, needs torch 2.5" in text_of(caught.value)
        vmap = pytest.importorskip("functorch").vmap
        with torch.no_grad(), pytest.raises(RuntimeError, match="torch.func.*torch 2.5 or newer"):
            vmap(layer)(inputs(3, 4, 16))


@pytest.mark.parametrize("grad", [False, True])
def test_refuses_to_lose_tangents(backend, grad):
    from torch.autograd import forward_ad

    layer = layer_of(output_range=RANGE).eval().requires_grad_(grad)
    with forward_ad.dual_level():
        x = forward_ad.make_dual(inputs(4, 16), inputs(4, 16))
        with pytest.raises(RuntimeError, match="no forward-mode derivatives"):
            layer(x)
        layer(inputs(4, 16))


def text_of(error):
    return "" if error is None else f"{error}\n{text_of(error.__cause__ or error.__context__)}"


@needs_operators
def test_refuses_graphs_that_would_be_wrong(backend):
    x = inputs(4, 16)
    for options in (dict(seed=3), dict(generator=torch.Generator())):
        layer = layer_of(output_range=RANGE, **options)
        with pytest.raises(RuntimeError, match="can't draw from the layer's own generator"):
            torch.jit.trace(layer, x)
        with pytest.raises(RuntimeError, match="can't draw from the layer's own generator"):
            torch.export.export(layer, (x,))
        torch.jit.trace(layer.eval(), x)
    with pytest.raises(RuntimeError, match="tracked and not known yet.*call the layer itself"):
        torch.jit.trace(layer_of().eval(), x)


@needs_operators
def test_transformed_by_torch_func(backend):
    from torch.func import functional_call, grad, jacrev, stack_module_state, vmap

    layers = [layer_of(output_range=RANGE).eval() for _ in range(3)]
    for i, layer in enumerate(layers):
        layer.weight.data.mul_(1 + 0.2 * i)
    layer, batch = layers[0], inputs(5, 4, 16)
    assert torch.equal(vmap(layer)(batch), layer(batch))
    assert torch.equal(vmap(layer, in_dims=1, out_dims=1)(batch), layer(batch))
    parameters = {name: p.detach() for name, p in layer.named_parameters()}
    loss = lambda p, x: functional_call(layer, p, (x,)).square().sum()
    each = vmap(grad(loss), in_dims=(None, 0))(parameters, batch)
    for i, x in enumerate(batch):
        layer.zero_grad()
        layer(x).square().sum().backward()
        for name, p in layer.named_parameters():
            assert_close(each[name][i], p.grad)
    x = batch[0, 0].clone().requires_grad_()
    layer(x)[3].backward()
    assert_close(jacrev(layer)(x.detach())[3].detach(), x.grad)
    stacked = stack_module_state(layers)
    one = lambda p, b, x: functional_call(layer, (p, b), (x,))
    for layer, y in zip(layers, vmap(one, (0, 0, None))(*stacked, batch[0])):
        assert torch.equal(y, layer(batch[0]))


@needs_operators
def test_torch_func_with_noise(backend):
    from torch.func import vmap

    layer, batch = layer_of(output_range=RANGE), inputs(4, 16).expand(5, 4, 16)
    with pytest.raises(RuntimeError, match="randomness='different'.*or call eval"):
        vmap(layer)(batch)
    different = vmap(layer, randomness="different")(batch)
    assert not torch.equal(different[0], different[1])
    same = vmap(layer, randomness="same")(batch)
    assert torch.equal(same[0], same[1])


@needs_operators
def test_torch_func_refuses_what_it_cannot(backend):
    from torch.func import grad, hessian, jvp

    layer, x = layer_of(output_range=RANGE).eval(), inputs(16)
    with pytest.raises(RuntimeError, match="no forward-mode derivatives"):
        jvp(layer, (x,), (x,))
    with pytest.raises(RuntimeError, match="no forward-mode derivatives"):
        hessian(lambda x: layer(x).sum())(x)
    with pytest.raises(RuntimeError, match="no derivative"):
        grad(lambda x: grad(lambda x: layer(x).square().sum())(x).sum())(x)
    with pytest.raises(RuntimeError, match="tracked range can't follow"):
        grad(lambda x: layer_of()(x).sum())(x)
