"""What OpticalLinear computes without noise."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from nn_support import (
    Float64Model,
    assert_close,
    assert_same_outputs,
    backend,
    copies_on,
    inputs,
    make_layer,
    torch,
)

from lumina_kernel.nn import OpticalLinear

RANGE = (-1.5, 2.0)


@pytest.mark.parametrize("input_range", [(0.0, 1.0), (-0.5, 0.75)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("precision", [2, 4, 5, 8, 9, 12, 16])
def test_is_the_float64_model(backend, precision, bias, input_range):
    layer = make_layer(
        bias=bias, precision=precision, input_range=input_range, output_range=RANGE, temp_drift=0.3
    ).eval()
    x = inputs(50, 70)
    expected = Float64Model(layer, RANGE).forward(x)
    y = layer(x).detach()
    assert y.dtype == torch.float32 and y.shape == (50, 37)
    # Float32's rounding of a sum is as large as 1 / 30 of the steps of 16 bits.
    flips = 1e-3 if precision <= 9 else 2e-2
    assert_same_outputs(y, expected, RANGE, precision, flips)
    assert np.ptp(y.numpy()) > 1


@pytest.mark.parametrize("precision", [2, 4, 8])
def test_backends_agree_bit_for_bit_in_codes(monkeypatch, precision):
    layer = make_layer(200, 130, precision=precision, output_range=RANGE, bias=True).eval()
    x = inputs(40, 200)
    with torch.no_grad():
        y, other = (copy(x) for copy in copies_on(monkeypatch, layer))
    # The last bit of the ADC's levels may differ.
    assert_close(y, other, 1e-6)


def test_one_row_does_not_depend_on_the_others(backend):
    layer = make_layer(precision=8, output_range=RANGE).eval()
    x = inputs(33, 70)
    whole = layer(x)
    for row in (0, 7, 32):
        assert torch.equal(layer(x[row : row + 1]), whole[row : row + 1])
    assert torch.equal(layer(x[5:20]), whole[5:20])


@pytest.mark.parametrize(
    "shape",
    [(70,), (1, 70), (3, 5, 70), (2, 1, 3, 70), (0, 70), (2, 0, 70), (2, *[1] * 38, 3, 70)],
    ids=str,
)
@pytest.mark.parametrize("grad", [False, True])
def test_any_leading_dimensions(backend, shape, grad):
    layer = make_layer(output_range=RANGE, bias=True).eval()
    x = inputs(*shape).requires_grad_(grad)
    with torch.set_grad_enabled(grad):
        y = layer(x)
    rows = layer(x.detach().reshape(-1, 70))
    assert torch.equal(y, rows.reshape(*shape[:-1], 37))
    assert y.requires_grad == grad
    if grad:
        torch.nn.functional.relu(y, inplace=True).sum().backward()  # y is no view
        assert x.grad.shape == x.shape


@pytest.mark.parametrize(
    "layout",
    [
        lambda x: x.t().contiguous().t(),
        lambda x: torch.cat([x, x], 1)[:, :70],
        lambda x: torch.stack([x, x], 2)[:, :, 0],
        lambda x: x[::2],
        lambda x: x[:1].expand(9, 70),
        lambda x: x.reshape(2, 5, 70).transpose(0, 1),
        lambda x: torch.complex(x, x).conj().imag,  # the sign is put off
    ],
    ids=[
        "transposed",
        "strided rows",
        "strided",
        "every other row",
        "expanded",
        "transposed 3-D",
        "negated",
    ],
)
def test_any_layout(backend, layout):
    layer = make_layer(output_range=RANGE).eval()
    x = layout(inputs(10, 70)).detach().requires_grad_()
    packed = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    y, expected = layer(x), layer(packed)
    assert torch.equal(y, expected)
    y.sum().backward()
    expected.sum().backward()
    assert torch.equal(x.grad, packed.grad)


@pytest.mark.parametrize("flush_denormals", [False, True])
def test_rows_of_zero_weights_give_zero(backend, flush_denormals):
    layer = make_layer(precision=8, output_range=(-1.0, 255.0 / 256)).eval()
    with torch.no_grad():
        layer.weight[3] = 0
    torch.set_flush_denormal(flush_denormals)
    try:
        y = layer(inputs(6, 70))
    finally:
        torch.set_flush_denormal(False)
    assert torch.equal(y[:, 3], torch.full((6,), y[0, 3].item()))
    assert abs(y[0, 3]) <= 0.5 / 128
    assert y.isfinite().all()


@pytest.mark.parametrize("precision", [4, 12])
def test_weights_are_never_stale(backend, precision):
    layer = make_layer(precision=precision, output_range=RANGE).eval()
    x = inputs(4, 70)

    def follows():
        fresh = make_layer(precision=precision, output_range=RANGE).eval()
        with torch.no_grad():
            fresh.weight.copy_(layer.weight)
        same = torch.equal(layer(x), fresh(x))
        changed = not torch.equal(layer(x), follows.last)
        follows.last = layer(x)
        return same and changed

    follows.last = layer(x)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.01)
    layer(x).sum().backward()
    optimizer.step()
    assert follows()
    with torch.no_grad():
        layer.weight[:, 0] += 1
    assert follows()
    layer.load_state_dict(make_layer(precision=precision, output_range=RANGE).state_dict())
    assert follows()
    for _ in range(3):  # memory that is freed is used again, perhaps at the same address
        layer.weight.data = layer.weight.detach() * 1.5
        assert follows()
    layer.weight = torch.nn.Parameter(layer.weight.detach().flip(0))
    assert follows()
    with torch.no_grad():
        layer.weight.mul_(-1.1)
        assert follows()
        other = torch.nn.Parameter(layer.weight.data)  # the same memory, but its own counter
        other.mul_(-1.1)
    assert other._version == layer.weight._version
    layer.weight = other
    assert follows()
    layer.weight.data.mul_(2)  # not seen by the version counter
    assert follows()


def test_works_in_inference_mode(backend):
    layer = make_layer(output_range=RANGE).eval()
    expected = layer(inputs(4, 70))
    with torch.inference_mode():
        assert torch.equal(layer(inputs(4, 70)), expected)
        made_here = make_layer(output_range=RANGE).eval()
        assert torch.equal(made_here(inputs(4, 70)), expected)


def test_trains_after_inference_mode(backend):
    layer = make_layer(precision=4, output_range=RANGE).eval()
    x = inputs(4, 70)
    with torch.inference_mode():
        before = layer(x)
    layer(x.requires_grad_()).sum().backward()
    assert x.grad.any() and layer.weight.grad.any()
    with torch.inference_mode():
        layer.weight.neg_()
        assert not torch.equal(layer(x), before)


def test_initialisation_is_that_of_linear():
    torch.manual_seed(5)
    linear = torch.nn.Linear(20, 30)
    torch.manual_seed(5)
    layer = OpticalLinear(20, 30, bias=True)
    assert torch.equal(layer.weight, linear.weight)
    assert torch.equal(layer.bias, linear.bias)


def test_two_threads_share_a_layer(backend):
    layer = make_layer(precision=8, output_range=RANGE).eval()
    batches = [inputs(20, 70, seed=seed) for seed in range(2)]
    expected = [layer(x) for x in batches]

    def many(x):
        return [layer.eval()(x) for _ in range(50)]

    with ThreadPoolExecutor(2) as pool:
        for results, y in zip(pool.map(many, batches), expected):
            assert all(torch.equal(result, y) for result in results)
