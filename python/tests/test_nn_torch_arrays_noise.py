"""Noise of nn.torch_arrays while arrays are read."""

import math

import pytest
from nn_support import torch

from lumina_kernel.hardware.mapping import Mapping
from lumina_kernel.nn import torch_arrays
from lumina_kernel.array_settings import ArraySettings, Encoding, Kernel

ROWS = 100_000
W = torch.tensor([[1.0, -1.0, 0.5, 0.0], [0.25, 0.5, -0.75, 1.0], [0.0, 0.0, 0.0, 1.0]])
X = torch.tensor([1.0, 1.0, -0.5, 0.25])  # the first output's ŷ is near 0
FLOATS = Encoding(Mapping(weight_bits=None))


def outputs(x=X, w=W, rows=ROWS, bound=None, mapping=FLOATS.mapping, **settings):
    """[rows, tiles, out] of the same inputs again and again."""
    weights = torch_arrays.encode(w, Encoding(mapping))
    own = ArraySettings(**{"dac_bits": None, "dac_range": 1.0, "key": 1, **settings})
    return torch_arrays.outputs(x.expand(rows, -1), weights, bound, own)


def assert_normal(sample, mean, deviation):
    """Mean, variance and fourth moment, each within 4 standard errors."""
    z = (sample.double() - mean) / deviation
    count = z.numel()
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (4, 3, 96)):
        error = math.sqrt(variance / count)
        assert abs(z.pow(power).mean().item() - expected) <= 4 * error


@pytest.mark.parametrize("out_noise", [0.0, 0.04])
@pytest.mark.parametrize(
    "kind, variances",
    [
        ("pcm", lambda w, x: w.abs() @ x**2),
        ("proportional", lambda w, x: w**2 @ x**2),
        ("constant", lambda w, x: (x**2).sum().expand(len(w))),
        ("shot", lambda w, x: w.abs() @ x.abs()),
    ],
)
@pytest.mark.parametrize("bits", [None, 8])
def test_noise_of_reading(kind, variances, out_noise, bits):
    w, x = W.double(), X.double()
    if bits:
        w, x = (w * 127).round() / 127, (x * 127).round() / 127
    sample = outputs(
        dac_bits=bits, read_noise=0.1, read_noise_kind=kind, out_noise=out_noise,
        mapping=Mapping(weight_bits=bits),
    )
    sigma = (0.01 * variances(w, x) + out_noise**2).sqrt()
    for output in range(3):
        assert_normal(sample[:, 0, output], (w @ x)[output].item(), sigma[output].item())
    pairs = torch.corrcoef(sample[:, 0].t())
    assert (pairs - torch.eye(3)).abs().max() <= 5 / math.sqrt(ROWS)


def test_arrays_have_noise_of_their_own():
    sample = outputs(mapping=Mapping(tile=(2, 512), weight_bits=None), out_noise=0.3)
    assert sample.shape == (ROWS, 2, 3)
    assert abs(torch.corrcoef(sample[:, :, 0].t())[0, 1]) <= 4 / math.sqrt(ROWS)
    weights = torch_arrays.encode(W, Encoding(Mapping(tile=(2, 512), weight_bits=None)))
    settings = ArraySettings(8, 2.0, out_noise=0.3, key=2)
    y, _ = torch_arrays.forward(X.expand(ROWS, -1), weights, None, None, settings, False)
    exact, _ = torch_arrays.forward(
        X[None], weights, None, None, settings._replace(key=None), False
    )
    # In units of w·x: r times the scales of both arrays, the first output's 1 and 0.5.
    for output, scales in enumerate(((1.0, 0.5), (0.5, 1.0), (0.0, 1.0))):
        assert_normal(y[:, output], exact[0, output].item(), 2.0 * 0.3 * math.hypot(*scales))


def test_noise_is_a_function_of_the_key():
    some = {"out_noise": 0.1, "read_noise": 0.1, "dac_noise": 0.1, "rows": 50}
    assert torch.equal(outputs(**some), outputs(**some))
    assert not torch.equal(outputs(**some), outputs(**some, key=2))
    quiet = outputs(**some, key=None)
    assert torch.equal(quiet, outputs(rows=50))
    rounding = {"dac_bits": 3, "dac_stochastic": True, "adc_bits": 3, "adc_stochastic": True}
    bound = torch.tensor([[3.0]])
    nearest = outputs(rows=50, dac_bits=3, adc_bits=3, bound=bound)
    assert torch.equal(outputs(rows=50, bound=bound, **rounding, key=None), nearest)
    assert not torch.equal(outputs(rows=50, bound=bound, **rounding), nearest)


def test_forward_and_outputs_have_the_same_noise():
    weights = torch_arrays.encode(W, FLOATS)
    settings = ArraySettings(8, 1.0, out_noise=0.1, dac_noise=0.1, adc_bits=8, key=5)
    x, bound = X.expand(20, -1), torch.full((1, 3), 2.0)
    y, _ = torch_arrays.forward(x, weights, None, bound, settings, False)
    sums = torch_arrays.outputs(x, weights, bound, settings)
    torch.testing.assert_close(y, (sums * weights.matrices[0].scales).sum(1))


@pytest.mark.parametrize("bound", [[[2.0]], [[2.0, 1.5, 3.0]]])
def test_rounding_at_random_is_right_on_average(bound):
    bound = torch.tensor(bound)
    sample = outputs(adc_bits=4, adc_stochastic=True, bound=bound)[:, 0].double()
    for output, (value, limit) in enumerate(zip((W @ X).tolist(), bound.expand(1, 3)[0])):
        step = limit.item() / 7
        value /= W[output].abs().max().item()
        share = value / step - math.floor(value / step)
        error = step * math.sqrt(share * (1 - share) / ROWS)
        assert abs(sample[:, output].mean().item() - value) <= 4 * error + 1e-6
        assert len(sample[:, output].unique()) <= 2
    beyond = outputs(w=4 * torch.eye(4), adc_bits=4, adc_stochastic=True, bound=bound[:, :1] / 4)
    assert beyond[:, 0, 0].unique().tolist() == [0.5]


def test_dac_rounds_at_random():
    x = torch.tensor([0.3, -0.8, 1.0, 0.0])
    sample = outputs(x, torch.eye(4), dac_bits=3, dac_stochastic=True)[:, 0].double()
    for value, own in zip(x.tolist(), sample.t()):
        share = 3 * value - math.floor(3 * value)
        error = math.sqrt(share * (1 - share) / ROWS) / 3
        assert abs(own.mean().item() - value) <= 4 * error + 1e-6
        assert set((own * 3).round().unique().tolist()) <= {
            math.floor(3 * value), math.floor(3 * value) + 1
        }


@pytest.mark.parametrize("bits", [None, 8])
def test_inputs_have_noise(bits):
    """The same for all outputs, and no part of what noise of reading goes with."""
    sample = outputs(dac_bits=bits, dac_noise=0.05)[:, 0]
    x = X if bits is None else (X * 127).round() / 127
    held = W / W.abs().amax(1, keepdim=True)
    for output in range(3):
        row = held[output]
        assert_normal(sample[:, output], (row @ x).item(), 0.05 * row.norm().item())
    expected = (held[0] @ held[1]) / held[0].norm() / held[1].norm()
    correlation = torch.corrcoef(sample.t())[0, 1]
    assert abs(correlation - expected) <= 4 / math.sqrt(ROWS)


def test_zeros_are_noise_and_bias():
    weights = torch_arrays.encode(W, FLOATS)
    bias = torch.tensor([1.0, 2.0, 3.0])
    settings = ArraySettings(8, 1.0, row_ranges=True, adc_bits=8, read_noise=0.1, key=3)
    x = torch.zeros(5, 4)
    y, _ = torch_arrays.forward(x, weights, bias, torch.ones(1, 1), settings, False)
    assert torch.equal(y, bias.expand(5, -1))


def test_gradients_have_no_noise():
    weights = torch_arrays.encode(W, FLOATS)
    settings = ArraySettings(
        8, 1.0, out_noise=0.1, dac_noise=0.1, dac_stochastic=True, read_noise=0.1, key=3
    )
    x, grad_y = X.expand(6, -1), torch.ones(6, 3)
    gradients = []
    for own in (settings, settings._replace(key=None)):
        _, kept = torch_arrays.forward(x, weights, None, None, own, True)
        gradients.append(torch_arrays.backward(kept, grad_y, x, None, own, [True] * 3))
    assert all(torch.equal(*pair) for pair in zip(*gradients))


def test_repeated_rows_have_other_noise():
    """A row is repeated until no ADC clips: what comes out is never a clipped value."""
    weights = torch_arrays.encode(torch.eye(1), FLOATS)
    bound, x = torch.tensor([[1.0]]), torch.full((20_000, 1), 0.95)
    settings = ArraySettings(8, 1.0, out_noise=0.1, adc_bits=8, bound_iterations=8, key=3)
    y, kept = torch_arrays.forward(x, weights, None, bound, settings, True)
    assert not torch_arrays.record(kept, y).any()
    share = 0.5 * math.erfc(-0.5 / math.sqrt(2))  # of rows that were good at once
    good = (outputs(x[0], torch.eye(1), 20_000, bound, adc_bits=8, dac_bits=8, out_noise=0.1) < 1)
    assert abs(good.double().mean().item() - share) < 0.05
    repeated = y[(y[:, 0] - 0.95).abs() > 0]
    assert repeated.numel() and y.std() > 0.1


def test_patches_of_a_convolution_have_noise_of_their_own(monkeypatch):
    kernel = Kernel(1, 1, (1, 1, 2), (1, 1, 1), (0, 0, 0), (1, 1, 1), 1)
    weights = torch_arrays.encode(torch.ones(1, 1, 1, 1, 2), FLOATS, kernel)
    settings = ArraySettings(8, 1.0, out_noise=0.1, key=3)
    x = torch.full((1000, 1, 1, 1, 101), 0.5)
    for piece in (1 << 22, 1000):
        monkeypatch.setattr(torch_arrays, "_PIECE", piece)
        y, _ = torch_arrays.forward(x, weights, None, None, settings, False)
        assert_normal(y, 2 * 64 / 127, 0.1)
        by_pixel = y.flatten(0, 3).t()[:4]
        assert (torch.corrcoef(by_pixel) - torch.eye(4)).abs().max() <= 5 / math.sqrt(1000)
