"""Straight-through gradients of OpticalLinear."""

import pytest
from nn_support import (
    Float64Model,
    assert_close,
    backend,
    copies_on,
    inputs,
    make_layer,
    near_floats,
    torch,
)

NARROW = (-0.4, 0.5)  # clips some outputs
WIDE = (-50.0, 50.0)  # clips none


def gradients_of(layer, x, grad_y):
    x = x.clone().requires_grad_()
    layer(x).backward(grad_y)
    return [None if t is None else t.grad for t in (x, layer.weight, layer.bias)]


@pytest.mark.parametrize("input_range", [(0.0, 1.0), (-0.1, 0.9)])
@pytest.mark.parametrize("precision", [2, 4, 8, 12])
def test_are_those_of_the_float64_model(backend, precision, input_range):
    layer = make_layer(
        precision=precision,
        bias=True,
        input_range=input_range,
        output_range=NARROW,
        **near_floats(precision),
    ).eval()
    x, grad_y = inputs(60, 70), inputs(60, 37, seed=4, lo=-1)
    model = Float64Model(layer, NARROW)
    model.forward(x)
    clipped = ((model.v < NARROW[0]) | (model.v > NARROW[1])).mean()
    assert 0.05 < clipped < 0.8
    for gradient, expected in zip(gradients_of(layer, x, grad_y), model.gradients(grad_y)):
        # In float32 an input between two codes may become the other one.
        assert_close(gradient, expected, 1e-5 if precision <= 8 else 1e-4)


@pytest.mark.parametrize("precision", [4, 8, 12])
@pytest.mark.parametrize("training", [False, True])
def test_backends_agree(monkeypatch, precision, training):
    # With noise too: what is not clipped passes whatever the noise was.
    layer = make_layer(
        100, 60, precision=precision, bias=True, output_range=WIDE, **near_floats(precision)
    ).train(training)
    x, grad_y = inputs(30, 100), inputs(30, 60, seed=4, lo=-1)
    both = [gradients_of(copy, x, grad_y) for copy in copies_on(monkeypatch, layer)]
    for gradient, other in zip(*both):
        assert_close(gradient, other)


def test_gates_let_the_ends_of_their_range_pass(backend):
    # v = x[0] − x[1]
    layer = make_layer(4, 1, "custom", precision=2, output_range=(-1.0, 1.0)).eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -1.0, 0.0, 0.0]]))
    x = torch.tensor([[1.0, 0.0, 1.0000001, -1e-30], [0.0, 1.0, 0.5, 2.0]], requires_grad=True)
    y = layer(x)
    assert torch.equal(y, torch.tensor([[1.0], [-1.0]]))
    y.sum().backward()
    assert torch.equal(x.grad, torch.tensor([[1.0, -1.0, 0, 0], [1.0, -1.0, 0, 0]]))
    # Beyond the ADC's range nothing passes.
    x.grad = None
    with torch.no_grad():
        layer.weight.mul_(1.001)
    layer(x).sum().backward()
    assert not x.grad.any()


def test_dac_gate_is_for_each_input(backend):
    layer = make_layer(precision=8, output_range=WIDE, input_range=(-0.5, 0.5)).eval()
    x = inputs(20, 70, lo=-1.0, hi=1.0)
    x[0, :4] = torch.tensor([-0.5, 0.5, -0.50001, 0.50001])
    gradient = gradients_of(layer, x, torch.ones(20, 37))[0]
    assert torch.equal(gradient != 0, (x >= -0.5) & (x <= 0.5))


@pytest.mark.parametrize("wanted", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)])
def test_only_what_is_wanted(backend, wanted):
    layer = make_layer(precision=8, bias=True, output_range=NARROW).eval()
    x, grad_y = inputs(9, 70), inputs(9, 37, seed=4)
    expected = gradients_of(layer, x, grad_y)
    layer.zero_grad(set_to_none=True)
    x.requires_grad_(bool(wanted[0]))
    layer.weight.requires_grad_(bool(wanted[1]))
    layer.bias.requires_grad_(bool(wanted[2]))
    layer(x).backward(grad_y)
    for tensor, want, gradient in zip((x, layer.weight, layer.bias), wanted, expected):
        assert torch.equal(tensor.grad, gradient) if want else tensor.grad is None


def test_without_gradients_y_wants_none(backend):
    layer = make_layer(output_range=NARROW)
    with torch.no_grad():
        assert not layer(inputs(3, 70).requires_grad_()).requires_grad
    layer.requires_grad_(False)
    assert not layer(inputs(3, 70)).requires_grad


@pytest.mark.parametrize("shape", [(70,), (2, 3, 70), (0, 70)])
def test_leading_dimensions(backend, shape):
    layer = make_layer(precision=8, bias=True, output_range=NARROW).eval()
    x, grad_y = inputs(*shape), inputs(*shape[:-1], 37, seed=4)
    gradients = gradients_of(layer, x, grad_y)
    layer.zero_grad(set_to_none=True)
    rows = gradients_of(layer, x.reshape(-1, 70), grad_y.reshape(-1, 37))
    assert torch.equal(gradients[0].reshape(-1, 70), rows[0])
    assert_close(gradients[1], rows[1], 1e-6)
    assert_close(gradients[2], rows[2], 1e-6)


def test_gradients_by_y_of_any_layout(backend):
    layer = make_layer(precision=8, bias=True, output_range=NARROW).eval()
    x, grad_y = inputs(8, 70), inputs(8, 37, seed=4)
    layouts = (
        grad_y.t().contiguous().t(),
        grad_y[:1].expand(8, 37),
        torch.ones(()).expand(8, 37),
        torch.complex(grad_y, grad_y).conj().imag,  # the sign is put off
    )
    for other in layouts:
        layer.zero_grad(set_to_none=True)
        gradients = gradients_of(layer, x, other)
        layer.zero_grad(set_to_none=True)
        expected = gradients_of(layer, x, other.clone(memory_format=torch.contiguous_format))
        for gradient, value in zip(gradients, expected):
            assert_close(gradient, value, 1e-6)


def test_use_the_weights_of_the_forward_pass(backend):
    layer = make_layer(precision=8, output_range=WIDE).eval()
    x, grad_y = inputs(8, 70), inputs(8, 37, seed=4)
    expected = gradients_of(layer, x, grad_y)[0]
    x.requires_grad_()
    y = layer(x)
    with torch.no_grad():
        layer.weight.mul_(-3)
    layer(inputs(8, 70))
    y.backward(grad_y)
    assert torch.equal(x.grad, expected)


def test_a_changed_input_is_noticed(backend):
    layer = make_layer(output_range=WIDE)
    x = inputs(8, 70)
    y = layer(x)
    x.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


def test_shared_weights_add_up(backend):
    layer = make_layer(precision=8, output_range=WIDE).eval()
    other = make_layer(precision=8, output_range=WIDE).eval()
    other.weight = layer.weight
    x = inputs(8, 70)
    layer(x).sum().backward()
    once = layer.weight.grad.clone()
    other(x).sum().backward()
    assert_close(layer.weight.grad, 2 * once, 1e-6)


def test_no_second_derivatives(backend):
    layer = make_layer(output_range=WIDE).eval()
    x = inputs(3, 70).requires_grad_()
    grad_y = torch.ones(3, 37, requires_grad=True)
    (gradient,) = torch.autograd.grad(layer(x), x, grad_y, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_training_lowers_the_loss(backend):
    torch.manual_seed(0)
    x = inputs(256, 16, lo=0.0, hi=1.0)
    target = (x[:, :1] - x[:, 1:2] > 0).float()
    model = torch.nn.Sequential(
        make_layer(16, 32, "lumina_micro_v1", precision=6, bias=True),
        torch.nn.Sigmoid(),
        make_layer(32, 1, "lumina_micro_v1", precision=6, bias=True),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_backward_frees_the_graph_unless_it_is_retained(backend):
    layer = make_layer(output_range=WIDE)
    y = layer(inputs(8, 70))
    y.sum().backward(retain_graph=True)
    once = layer.weight.grad.clone()
    y.sum().backward()
    assert_close(layer.weight.grad, 2 * once, 1e-6)
    with pytest.raises(RuntimeError, match="second time"):
        y.sum().backward()


def test_autocast_changes_nothing(backend):
    layer = make_layer(precision=8, bias=True, output_range=NARROW).eval()
    x, grad_y = inputs(20, 70), inputs(20, 37, seed=4)
    y, expected = layer(x), gradients_of(layer, x, grad_y)
    layer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x), y)
        gradients = gradients_of(layer, x, grad_y)
    for gradient, value in zip(gradients, expected):
        assert torch.equal(gradient, value)
