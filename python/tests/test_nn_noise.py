"""The noise of OpticalLinear: its distribution, and where it comes from."""

import copy
import math

import numpy as np
import pytest
from nn_support import (
    Float64Model,
    assert_close,
    assert_same_outputs,
    backend,
    inputs,
    make_layer,
    near_floats,
    torch,
)

from lumina_kernel.nn.noise_keys import drawn

RANGE = (-1.0, 1.0)


def normals_of(backend, key, rows, columns):
    """The normals of the additive noise in a layer without shot noise."""
    if backend == "torch":
        return torch.randn(rows, columns, generator=torch.Generator().manual_seed(key)).numpy()
    from lumina_kernel import standard_normal_at

    return np.array([[standard_normal_at(key, r, c) for c in range(columns)] for r in range(rows)])


def test_outputs_and_gradients_have_the_noise_of_the_key(backend):
    narrow = (-0.3, 0.3)
    layer = make_layer(
        precision=8, noise_level=0.0, bias=True, output_range=narrow, **near_floats(8)
    )
    x, grad_y = inputs(40, 70).requires_grad_(), inputs(40, 37, seed=4, lo=-1)
    torch.manual_seed(11)
    normals = normals_of(backend, drawn().item(), 40, 37)
    torch.manual_seed(11)
    y = layer(x)
    y.backward(grad_y)
    model = Float64Model(layer, narrow, normals)
    assert_same_outputs(y.detach(), model.forward(x), narrow, 8)
    gradients = (x.grad, layer.weight.grad, layer.bias.grad)
    for gradient, expected in zip(gradients, model.gradients(grad_y)):
        assert_close(gradient, expected)


@pytest.mark.parametrize("precision", [8, 16])
def test_distribution(backend, precision):
    rows, columns = 20000, 6
    layer = make_layer(30, columns, precision=precision, noise_level=0.1, seed=5, stream=0)
    with torch.no_grad():
        layer.weight[0] = 0.0  # additive noise alone
    row = inputs(1, 30)
    model = Float64Model(layer, RANGE)
    model.forward(row)
    s = model.v[0] / (model.attenuation * model.gain)
    deviation = model.attenuation * np.sqrt(0.1**2 * np.abs(s) + 0.005**2)
    for column in range(columns):
        reach = 7 * deviation[column]  # narrow: small steps also with 8 bits
        layer.output_range = (model.v[0, column] - reach, model.v[0, column] + reach)
        y = layer(row.expand(rows, 30))[:, column].detach().numpy().astype(np.float64)
        step = 2 * reach / (2**precision - 1)
        z = (y - model.v[0, column]) / deviation[column]
        assert abs(z.mean()) < 4.5 / math.sqrt(rows)
        # Rounding to the ADC's levels adds the variance step² / 12.
        assert abs(z.var() - (step / deviation[column]) ** 2 / 12 - 1) < 5 * math.sqrt(2 / rows)
        # Kolmogorov–Smirnov at the borders between the levels; 1.95: p = 0.001.
        levels, counts = np.unique(z, return_counts=True)
        below = np.cumsum(counts) / rows
        borders = levels + step / deviation[column] / 2
        expected = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in borders])
        assert np.abs(below - expected).max() < 1.95 / math.sqrt(rows)


def test_elements_are_independent(backend):
    layer = make_layer(30, 8, precision=8, output_range=RANGE, seed=5, stream=0)
    y = layer(inputs(1, 30).expand(20000, 30)).detach().numpy()
    columns = np.corrcoef(y.T) - np.eye(8)
    rows = [np.corrcoef(y[1:, c], y[:-1, c])[0, 1] for c in range(8)]
    assert np.abs(columns).max() < 4.5 / math.sqrt(20000)
    assert np.abs(rows).max() < 4.5 / math.sqrt(20000)


@pytest.mark.parametrize("precision", [4, 12])
def test_follows_manual_seed(backend, precision):
    layer = make_layer(precision=precision, output_range=RANGE)
    x = inputs(20, 70)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    again = layer(x)
    torch.manual_seed(2)
    other = layer(x)
    assert torch.equal(first, again)
    assert not torch.equal(first, second) and not torch.equal(first, other)


def test_follows_a_generator_or_a_seed(backend):
    x = inputs(20, 70)
    of_seed = make_layer(output_range=RANGE, seed=2**63 + 9, stream=2)
    same_seed = make_layer(output_range=RANGE, seed=2**63 + 9, stream=2)
    generator = torch.Generator().manual_seed(9)
    of_generator = make_layer(output_range=RANGE, generator=generator)
    state = generator.get_state()
    torch.manual_seed(1)
    first = of_seed(x)
    torch.manual_seed(1)
    assert torch.equal(first, same_seed(x)) and not torch.equal(first, of_seed(x))
    first = of_generator(x)
    assert not torch.equal(first, of_generator(x))
    generator.set_state(state)
    assert torch.equal(first, of_generator(x))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(backend, threads):
    layer = make_layer(300, 200, precision=8, output_range=RANGE, bias=True)
    x, grad_y = inputs(64, 300), inputs(64, 200, seed=4)

    def step(count):
        torch.set_num_threads(count)
        torch.manual_seed(1)
        layer.zero_grad(set_to_none=True)
        own = x.clone().requires_grad_()
        y = layer(own)
        y.backward(grad_y)
        return y.detach(), own.grad, layer.weight.grad, layer.bias.grad

    before = torch.get_num_threads()
    try:
        y, *gradients = step(1)
        other, *others = step(threads)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(y, other)
    for gradient, same in zip(gradients, others):
        if backend == "native":
            assert torch.equal(gradient, same)
        assert_close(gradient, same, 1e-6)


def test_none_in_eval_unless_wanted(backend):
    x = inputs(20, 70)
    layer = make_layer(output_range=RANGE).eval()
    state = torch.get_rng_state()
    assert torch.equal(layer(x), layer(x))
    assert torch.equal(torch.get_rng_state(), state)  # nothing drawn
    noisy = make_layer(output_range=RANGE, noise_in_eval=True).eval()
    assert not torch.equal(noisy(x), noisy(x))
    torch.manual_seed(3)
    in_eval = noisy(x)
    torch.manual_seed(3)
    assert torch.equal(in_eval, layer.train()(x))


def test_noise_level_and_drift_replace_those_of_the_profile(backend):
    x = inputs(2000, 70)
    spread = []
    for level in (0.0, 0.3):
        layer = make_layer(precision=12, noise_level=level, output_range=(-4, 4), seed=1)
        spread.append((layer(x) - layer.eval()(x)).std().item())
    assert spread[0] == pytest.approx(0.005 * 0.85, rel=0.05)
    assert spread[1] > 10 * spread[0]
    plain = make_layer(precision=16, temp_drift=0.0, output_range=(-4, 4)).eval()
    drifted = make_layer(precision=16, temp_drift=0.5, output_range=(-4, 4)).eval()
    assert_close(drifted(x).detach(), 0.6 * plain(x).detach(), 1e-3)


def test_a_copy_goes_on_with_the_same_noise(backend):
    layer = make_layer(output_range=RANGE, seed=4)
    x = inputs(5, 70)
    layer(x)
    other = copy.deepcopy(layer)
    assert torch.equal(layer(x), other(x))
    layer(x)
    assert not torch.equal(layer(x), other(x))
