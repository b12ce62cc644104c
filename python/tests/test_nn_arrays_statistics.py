"""Devices and what networks make of them, within four standard errors of what the field's models
say: numbers of NumPy oracles with 10^6 devices, as docs/physics.md has them."""

import numpy as np
import pytest
from nn_support import backend, computation, torch

from lumina_kernel import Dac, Mapping, Profile, cells, nn as ln
from lumina_kernel.array_settings import ArraySettings, Encoding, WeightNoise
from lumina_kernel.nn import torch_arrays
from lumina_kernel.nn.array_spec import ArrayKind

HOUR, DAY, YEAR = 3600.0, 86400.0, 365 * 86400.0
TIMES = (None, 1.0, HOUR, DAY, YEAR)
COUNT = 10**6


def conductances(cell, targets, *arguments, **words):
    computation("native")  # or skips
    return cell.conductances(targets, *arguments, **words)


def errors_of(values):
    """Standard errors of the mean and of the standard deviation, whatever the distribution."""
    centred = values - values.mean()
    variance, n = np.mean(centred**2), len(values)
    fourth = np.mean(centred**4)
    return (variance / n) ** 0.5, ((fourth - variance**2) / n) ** 0.5 / (2 * variance**0.5)


def within(value, expected, error, rounded=0.0):
    """Four standard errors of the difference: the oracle's numbers are of as many devices."""
    assert abs(value - expected) <= 4 * error * 2**0.5 + rounded / 2, (value, expected, error)


TABLE = {  # target: mean and deviation, programmed, at 1 s, 1 h, 1 d, 1 y
    0: ((0.105, 0.154), (0.107, 0.186), (0.066, 0.122), (0.051, 0.100), (0.032, 0.074)),
    5: ((5.000, 0.610), (4.988, 0.802), (3.879, 0.723), (3.332, 0.713), (2.523, 0.706)),
    25: ((24.999, 1.055), (24.939, 1.397), (19.394, 1.409), (16.623, 1.513), (12.503, 1.651)),
}


@pytest.mark.parametrize("at", range(len(TIMES)))
@pytest.mark.parametrize("target", TABLE)
def test_pcm(target, at):
    held = conductances(cells.Pcm(), np.full(COUNT, target), TIMES[at], seed=3).astype(float)
    mean_error, deviation_error = errors_of(held)
    mean, deviation = TABLE[target][at]
    within(held.mean(), mean, mean_error, rounded=1e-3)
    within(held.std(), deviation, deviation_error, rounded=1e-3)


@pytest.mark.parametrize("g_max", [10.0, 50.0])
@pytest.mark.parametrize("target", [5, 25])
def test_pcm_of_another_range_deviates_in_proportion(target, g_max):
    scale = g_max / 25
    targets = np.full(COUNT, target * scale)
    held = conductances(cells.Pcm(g_max), targets, HOUR, seed=3) / scale
    mean_error, deviation_error = errors_of(held.astype(float))
    mean, deviation = TABLE[target][2]
    within(held.mean(), mean, mean_error, rounded=1e-3)
    within(held.std(), deviation, deviation_error, rounded=1e-3)


PROGRAMMING = [  # cell, target, σ by the published polynomial
    (cells.PcmJoshi2020(), 15.0, -0.00178767 * 15**2 + 0.07585724 * 15 + 0.28638599),
    (cells.ReRamMilo2021(), 100.0, 4.782321 - 0.009107 * 100),
    (cells.ReRamMilo2021(), 225.0, 4.782321 - 0.009107 * 225),
    (cells.ReRamWan2022(), 20.0, 1.536e-4 * 20**3 - 1.167e-2 * 20**2 + 0.2374 * 20 + 1.053),
    (cells.ReRamWan2022(), 40.0, 1.536e-4 * 40**3 - 1.167e-2 * 40**2 + 0.2374 * 40 + 1.053),
    (cells.PolynomialCell((0.2, 0.0, 0.0, 0.0, 1e-6)), 20.0, 0.2 + 1e-6 * 20**4),
]


@pytest.mark.parametrize("cell, target, deviation", PROGRAMMING)
def test_programming(cell, target, deviation):
    held = conductances(cell, np.full(COUNT, target), seed=4).astype(float)
    within(held.mean(), target, deviation / COUNT**0.5)
    within(held.std(), deviation, deviation / (2 * COUNT) ** 0.5)
    # Of a normal, and of devices that know nothing of each other.
    standard = (held - target) / deviation
    assert abs(np.mean(standard**3)) < 4 * (15 / COUNT) ** 0.5
    assert abs(np.mean(standard**4) - 3) < 4 * (96 / COUNT) ** 0.5
    assert abs(np.mean(standard[1:] * standard[:-1])) < 4 / COUNT**0.5


@pytest.mark.parametrize("p_off, p_on", [(0.02, 0.0), (0.0, 0.01), (0.1, 0.3)])
def test_stuck_devices(p_off, p_on):
    cell = cells.StuckAt(cells.PolynomialCell((0.5,)), p_off, p_on, g_min=1.0)
    held = conductances(cell, np.full(COUNT, 12.0), DAY, seed=5)
    for share, value in ((p_off, 1.0), (p_on, 25.0)):
        error = (share * (1 - share) / COUNT) ** 0.5
        assert abs(np.mean(held == value) - share) <= 4 * error
    others = held[(held != 1.0) & (held != 25.0)].astype(float)
    within(others.std(), 0.5, 0.5 / (2 * len(others)) ** 0.5)
    again = conductances(cell, np.full(COUNT, 3.0), None, seed=5)
    assert np.array_equal(again == 1.0, held == 1.0)  # once and for all


def test_devices_are_functions_of_their_words():
    targets = np.full(1000, 12.0)
    words = [(None, 1, 0), (9.0, 1, 0), (9.5, 1, 0), (9.0, 2, 0), (9.0, 1, 1)]
    held = [conductances(cells.Pcm(), targets, *each) for each in words]
    again = [conductances(cells.Pcm(), targets, *each) for each in words[::-1]][::-1]
    for i, own in enumerate(held):
        assert np.array_equal(own, again[i])
        assert all((own != other).mean() > 0.9 for other in held[:i])
    part = conductances(cells.Pcm(), targets[:100], 9.0, 1)
    assert np.array_equal(part, held[1][:100])


# --- Networks -------------------------------------------------------------------------------------

#: α and rms errors over the largest weight, raw and compensated: N(0, 1) clipped at 2.5 σ.
ALPHA = {1.0: 1.0024, HOUR: 1.2914, DAY: 1.5074, YEAR: 2.0049}
RMS = {1.0: (0.0391, 0.0391), HOUR: (0.0974, 0.0448), DAY: (0.1386, 0.0513), YEAR: (0.2017, 0.0669)}
GRID = (1 + 4 * 1.05538 / 25) / 127  # of 8 bits, with room for four σ of a device that is on


def pcm_layer(compensation, size=512):
    profile = Profile(
        dac=Dac(8, 1.0),
        adc=None,
        mapping=Mapping((size, size), "tile", weight_bits=None),
        cell=cells.Pcm(),
        compensation=compensation,
    )
    layer = ln.AnalogLinear(size, size, False, profile).eval().requires_grad_(False)
    rng = np.random.default_rng(1)
    layer.weight.copy_(torch.from_numpy(rng.standard_normal((size, size))).clamp(-2.5, 2.5) / 2.5)
    layer.weight[0, 0] = 1.0
    return ln.program(layer, 7)


def held_by(layer, seconds):
    """ŵ, [out, in]: the answers to unit vectors, of exact codes."""
    return ln.drift(layer, seconds)(torch.eye(layer.in_features)).t().double().numpy()


def alpha_error(reference, now):
    """Of the quotient of two means of the same devices."""
    return np.std(reference - reference.mean() / now.mean() * now) / now.mean() / now.size**0.5


@pytest.mark.parametrize("seconds", ALPHA)
def test_compensation(backend, seconds):
    raw, compensated = pcm_layer(None), pcm_layer("tile")
    now, target = held_by(raw, seconds), raw.weight.double().numpy()
    own = held_by(compensated, seconds)
    factors = own[np.abs(now) > 0.1] / now[np.abs(now) > 0.1]
    alpha = np.median(factors)
    np.testing.assert_allclose(factors, alpha, rtol=1e-4)  # one of the whole array
    error = alpha_error(np.abs(held_by(raw, None)), np.abs(now))
    within(alpha, ALPHA[seconds], error, rounded=1e-4)
    for values, factor, expected in zip((now, own), (1.0, alpha), RMS[seconds]):
        squares = (values - target).ravel() ** 2
        rms = (squares.mean() - (factor * GRID) ** 2 / 12) ** 0.5
        within(rms, expected, squares.std() / squares.size**0.5 / (2 * rms), rounded=1e-4)


def test_compensation_of_columns(backend):
    """Each one's factor is its own."""
    raw, compensated = pcm_layer(None), pcm_layer("column")
    reference, now = held_by(raw, 0.0), held_by(raw, DAY)
    factors = np.nanmedian(held_by(compensated, DAY) / np.where(now == 0, np.nan, now), axis=1)
    expected = np.abs(reference).mean(1) / np.abs(now).mean(1)
    np.testing.assert_allclose(factors, expected, rtol=1e-3)
    assert factors.std() > 0.005


# Levels, then noise, then grid: σ = 0.038 of the largest weight stays that at any number of bits.


@pytest.mark.parametrize("bits", range(2, 9))
def test_noise_on_levels(backend, bits):
    noise = WeightNoise("additive", 0.038, (), 25.0, 0.0, 3)
    encoding = Encoding(Mapping((512, 512), weight_bits=bits), noise=noise)
    arrays = ArrayKind(encoding, None, ArraySettings(8, 1.0)).computation
    assert (arrays is torch_arrays) == (backend == "torch")
    w = torch.randn(300, 300, generator=torch.Generator().manual_seed(1))
    [levels] = arrays.devices(arrays.encode(w, encoding._replace(noise=None)))
    [held] = arrays.devices(arrays.encode(w, encoding))
    deviations = (held - levels).double()
    grid = (1 + 4 * 0.038) / 127
    expected = (0.038**2 + grid**2 / 12) ** 0.5
    assert abs(expected - 0.0381) < 1e-4
    assert abs(deviations.std() - expected) <= 4 * expected / (2 * w.numel()) ** 0.5
    assert deviations.mean().abs() <= 4 * expected / w.numel() ** 0.5
