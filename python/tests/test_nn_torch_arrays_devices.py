"""Devices of nn.torch_arrays: what many of them have in common, which chip they are of, wires."""

import math

import numpy as np
import pytest
from nn_support import held_on_arrays, torch

from lumina_kernel.hardware.cells import (
    Pcm,
    PcmJoshi2020,
    PolynomialCell,
    ReRamMilo2021,
    ReRamWan2022,
    StuckAt,
)
from lumina_kernel.hardware.mapping import Mapping, Wires
from lumina_kernel.hardware.numbers import PROGRAMMING
from lumina_kernel.nn import torch_arrays, torch_wires
from lumina_kernel.array_settings import ArraySettings, Encoding, Kernel, WeightNoise
from lumina_kernel.nn.torch_devices import DeviceDraws, conductances
from lumina_kernel.nn.torch_wires import effective_conductances

MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86400.0, 365 * 86400.0


def assert_moments(sample, mean, deviation, rounding):
    """Within 4 standard errors, and what `mean` and `deviation` have been rounded by."""
    sample = sample.double()
    own_mean, own_deviation = sample.mean().item(), sample.std().item()
    count = sample.numel()
    fourth = (sample - own_mean).pow(4).mean().item()
    error = math.sqrt(max(fourth / own_deviation**4 - 1, 0) / (4 * count)) * own_deviation
    assert abs(own_mean - mean) <= 4 * own_deviation / math.sqrt(count) + rounding
    assert abs(own_deviation - deviation) <= 4 * error + rounding


# Means and standard deviations in µS of 10^6 devices, to three digits (docs/physics.md's sources).
PCM = {
    0.0: [(0.105, 0.154), (0.107, 0.186), (0.066, 0.122), (0.051, 0.100), (0.032, 0.074)],
    5.0: [(5.000, 0.610), (4.988, 0.802), (3.879, 0.723), (3.332, 0.713), (2.523, 0.706)],
    25.0: [(24.999, 1.055), (24.939, 1.397), (19.394, 1.409), (16.623, 1.513), (12.503, 1.651)],
}


@pytest.mark.parametrize("target", PCM)
def test_pcm_is_as_published(target):
    targets = torch.full((500_000,), target)
    for seconds, (mean, deviation) in zip((None, 1.0, HOUR, DAY, YEAR), PCM[target]):
        devices = conductances(Pcm(), targets, seconds, DeviceDraws(1, int(target)))
        # The table is of other 10^6 devices, and has its errors too.
        assert_moments(devices, mean, deviation, 5e-4 + 4 * deviation / 1000)


def test_pcm_of_another_g_max_is_scaled():
    targets = torch.linspace(0.0, 25.0, 1000)
    for seconds in (None, HOUR):
        usual = conductances(Pcm(), targets, seconds, DeviceDraws(1))
        larger = conductances(Pcm(50.0), 2 * targets, seconds, DeviceDraws(1))
        torch.testing.assert_close(larger, 2 * usual, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "cell, coefficients",
    [
        (PcmJoshi2020(), (0.28638599, 0.07585724, -0.00178767)),
        (ReRamMilo2021(), (4.782321, -0.009107)),
        (ReRamWan2022(), (1.053, 0.2374, -1.167e-2, 1.536e-4)),
        (PolynomialCell((0.5, 0.0, 1e-3), 30.0), (0.5, 0.0, 1e-3)),
    ],
)
def test_cells_deviate_as_published(cell, coefficients):
    for share in (0.5, 0.9):  # far enough from 0, which nothing is below
        target = share * cell.g_max
        sigma = sum(c * target**i for i, c in enumerate(coefficients))
        devices = conductances(cell, torch.full((200_000,), target), None, DeviceDraws(2))
        assert_moments(devices, target, sigma, 1e-4)
    if not isinstance(cell, PcmJoshi2020):
        later = conductances(cell, torch.full((200_000,), target), YEAR, DeviceDraws(2))
        assert torch.equal(later, devices)


def test_no_conductance_is_negative():
    cell = PolynomialCell((3.0, -1.0), 10.0)
    devices = conductances(cell, torch.linspace(0.0, 10.0, 10_001), None, DeviceDraws(3))
    assert devices.min() == 0.0
    beyond = slice(3001, None)  # σ would be negative there
    assert torch.equal(devices[beyond], torch.linspace(0.0, 10.0, 10_001)[beyond])


def test_some_devices_are_stuck():
    cell = StuckAt(Pcm(), p_off=0.1, p_on=0.05, g_min=0.5, g_max=20.0)
    targets = torch.full((300_000,), 10.0)
    for seconds in (None, DAY):
        devices = conductances(cell, targets, seconds, DeviceDraws(4))
        for value, probability in ((0.5, 0.1), (20.0, 0.05)):
            share = (devices == value).double().mean().item()
            error = math.sqrt(probability * (1 - probability) / targets.numel())
            assert abs(share - probability) <= 4 * error
        free = (devices != 0.5) & (devices != 20.0)
        others = conductances(Pcm(), targets, seconds, DeviceDraws(4))
        assert torch.equal(devices[free], others[free])


W = torch.randn(30, 50, generator=torch.Generator().manual_seed(5))


def decoded(**encoding):
    w = encoding.pop("w", W)
    encoding = {"mapping": Mapping(tile=(20, 16)), "cell": Pcm(), "chip": 3, **encoding}
    return held_on_arrays(torch_arrays.encode(w, Encoding(**encoding)))


def test_any_order_of_times_shows_the_same_devices():
    times = [None, 0.0, MINUTE, DAY, YEAR]
    first = [decoded(seconds=seconds) for seconds in times]
    again = [decoded(seconds=seconds) for seconds in reversed(times)]
    for one, other in zip(first, reversed(again)):
        assert torch.equal(one, other)
    assert all(not torch.equal(*pair) for pair in zip(first, first[1:]))
    assert torch.equal(decoded(seconds=-0.0), first[1])
    # The noise of reading is of the time, what has been programmed and how it drifts is not.
    earlier, later = decoded(seconds=DAY), decoded(seconds=DAY + 1)
    assert 0.9 < torch.corrcoef(torch.stack([earlier.flatten(), later.flatten()]))[0, 1]
    assert not torch.equal(earlier, later)


def test_chips_and_layers_differ():
    chips = [decoded(chip=chip, stream=stream) for chip in (0, 1, 2**64 - 1) for stream in (0, 1)]
    for i, one in enumerate(chips):
        assert sum(torch.equal(one, other) for other in chips) == 1
        errors = (one - decoded(cell=None)) / W.abs().max()
        others = (chips[i - 1] - decoded(cell=None)) / W.abs().max()
        correlation = torch.corrcoef(torch.stack([errors.flatten(), others.flatten()]))[0, 1]
        assert abs(correlation) < 4 / math.sqrt(W.numel())


def test_products_of_a_convolution_have_devices_of_their_own():
    kernel = Kernel(256, 256, (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1), 2)
    encoding = Encoding(Mapping(), cell=Pcm(), chip=1)
    first, second = torch_arrays.encode(torch.ones(256, 128, 1, 1, 1), encoding, kernel).matrices
    assert not torch.equal(first.codes, second.codes)


@pytest.mark.parametrize("cells", ["differential", "two_sided", "offset"])
@pytest.mark.parametrize("g_min", [0.0, 5.0])
@pytest.mark.parametrize("bits", [None, 4])
def test_weights_deviate_as_their_devices(cells, g_min, bits):
    cell = PolynomialCell((1.0,), 25.0)
    mapping = Mapping(weight_bits=bits, cells=cells, g_min=g_min, scale="tile")
    w = torch.full((300, 300), 3 / 7)
    w[0] = 1.0
    held = decoded(w=w, mapping=mapping, cell=cell)
    unit = (25.0 - g_min) / (2 if cells == "offset" else 1)
    # Of a differential pair the device that is off is at g_min; of those at 0 half would be below.
    is_cut = cells == "differential" and g_min == 0.0
    variances = {"offset": 1.0, "two_sided": 2.0, "differential": 2.0}[cells]
    shift = 0.0
    if is_cut:
        variances, shift = 1.5 - 1 / (2 * math.pi), -1 / math.sqrt(2 * math.pi) / unit
    step = (1 + 4 * (math.sqrt(2) if cells == "two_sided" else 1.0) / unit) / 127
    expected = math.sqrt(variances / unit**2 + step**2 / 12)
    assert_moments(held[1:], 3 / 7 + shift, expected, 3e-4)
    codes = (held / step).double()
    assert (codes - codes.round()).abs().max() < 1e-3 and codes.abs().max() < 127.01


@pytest.mark.parametrize("cells", ["differential", "two_sided", "offset"])
def test_weights_without_noise_come_back(cells):
    mapping = Mapping(tile=(16, 8), weight_bits=None, cells=cells, g_min=2.0)
    held = decoded(mapping=mapping, cell=PolynomialCell((0.0,), 25.0))
    largest = W.abs().max()
    assert 0 < (held - W).abs().max() <= largest / 127 / 2 * 1.001
    by_levels = decoded(mapping=mapping.with_(weight_bits=8), cell=PolynomialCell((0.0,), 25.0))
    levels = decoded(mapping=mapping.with_(weight_bits=8), cell=None)
    torch.testing.assert_close(by_levels, levels, rtol=1e-5, atol=1e-6)


def test_drift_is_compensated_as_published():
    """Pairs of weights N(0, 1) clipped at 2.5 σ, global compensation."""
    w = torch.randn(768, 512, generator=torch.Generator().manual_seed(8)).clamp_(-2.5, 2.5)
    mapping = Mapping(tile=(512, 768), scale="tile", weight_bits=None)

    def at(seconds):
        """(weights, what unit vectors read out)"""
        weights = torch_arrays.encode(w, Encoding(mapping, Pcm(), chip=9, seconds=seconds))
        return weights, torch_arrays.devices(weights)[0].abs().mean()

    _, reference = at(None)
    published = {
        1.0: (1.0024, 0.0391, 0.0391),
        HOUR: (1.2914, 0.0974, 0.0448),
        DAY: (1.5074, 0.1386, 0.0513),
        YEAR: (2.0049, 0.2017, 0.0669),
    }
    for seconds, (alpha, raw, compensated) in published.items():
        weights, now = at(seconds)
        factor = reference / now
        assert abs(factor.item() - alpha) < 0.003 * alpha
        for held, expected in (
            (weights, raw),
            (torch_arrays.compensate(weights, factor.reshape(1, 1)), compensated),
        ):
            error = (held_on_arrays(held) - w).square().mean().sqrt() / w.abs().max()
            # Held in 8 bits, of steps of 0.0092.
            assert abs(error.item() - math.hypot(expected, 0.0027)) < 4e-4


@pytest.mark.parametrize("cells", ["differential", "two_sided", "offset"])
def test_gradients_are_0_where_devices_are_stuck(cells):
    cell = StuckAt(PolynomialCell((0.0,), 25.0), p_off=0.2, p_on=0.1)
    w = torch.randn(300, 300, generator=torch.Generator().manual_seed(2))
    w[:100] = 0.0
    weights = torch_arrays.encode(w, Encoding(Mapping(cells=cells, weight_bits=None), cell))
    settings = ArraySettings(None, 1.0)
    x, grad_y = torch.ones(1, 300), torch.ones(1, 300)
    _, kept = torch_arrays.forward(x, weights, None, None, settings, True)
    needed = [False, True, False]
    _, gradient, _ = torch_arrays.backward(kept, grad_y, x, None, settings, needed)
    assert set(gradient.unique().tolist()) == {0.0, 1.0}
    both, one = 0.3 * 0.3, 0.3
    expected = {"differential": (both, one), "two_sided": (both, both), "offset": (one, one)}
    for rows, share in zip((slice(None, 100), slice(100, None)), expected[cells]):
        own = gradient[rows]
        error = math.sqrt(share * (1 - share) / own.numel())
        assert abs((own == 0.0).double().mean().item() - share) <= 4 * error
    # Where the gradient passes, the weight is what it should be, or one of its devices is stuck.
    if cells == "offset":
        held = held_on_arrays(weights)
        largest = w.abs().amax(1, keepdim=True)
        assert ((held - w).abs() <= largest / 127)[100:][gradient[100:] == 1.0].all()


# --- noise of training --------------------------------------------------------------------------


def noisy(kind, strength=0.1, coefficients=(), drop=0.0, bits=None, w=None, key=4):
    noise = WeightNoise(kind, strength, coefficients, 25.0, drop, key)
    w = torch.full((500, 400), 0.5) if w is None else w
    w[:, 0] = 1.0  # the largest
    mapping = Mapping(weight_bits=bits)
    weights = torch_arrays.encode(w, Encoding(mapping, noise=noise))
    return held_on_arrays(weights), weights.matrices[0].gradient_factors


@pytest.mark.parametrize(
    "kind, coefficients, deviation",
    [
        ("additive", (), 0.1),
        ("multiplicative", (), 0.05),
        ("programming", PROGRAMMING, 0.1 * (0.26348 + 0.5 * 1.9650 - 0.25 * 1.1731) / 25),
        ("programming", (2.0, 1.0), 0.1 * 2.5 / 25),
        ("polynomial", (0.5, 0.0, 1.0), 0.1 * 0.75),
    ],
)
def test_noise_of_training(kind, coefficients, deviation):
    held, factors = noisy(kind, coefficients=coefficients)
    assert_moments(held[:, 1:], 0.5, deviation, 1e-6)
    assert (factors is not None) == (kind == "multiplicative")
    if factors is not None:
        torch.testing.assert_close(held[:, 1:], 0.5 * factors[:, 1:])
    other, _ = noisy(kind, coefficients=coefficients, key=5)
    again, _ = noisy(kind, coefficients=coefficients)
    assert torch.equal(held, again) and not torch.equal(held, other)


@pytest.mark.parametrize("bits", [2, 4, 6, 8])
def test_noise_comes_behind_levels(bits):
    """σ of 0.038 of the largest weight is 0.0381 at every number of bits, grid included."""
    level = 1.0 if bits == 2 else round(0.5 * (2 ** (bits - 1) - 1)) / (2 ** (bits - 1) - 1)
    held, _ = noisy("additive", 0.038, bits=bits, w=torch.full((500, 400), 0.501))
    grid = (1 + 4 * 0.038) / 127
    assert_moments(held[:, 1:], level, math.hypot(0.038, grid / math.sqrt(12)), 2e-5)
    codes = (held / grid).double()
    assert (codes - codes.round()).abs().max() < 1e-3


def test_programming_noise_keeps_signs():
    w = torch.randn(50, 50, generator=torch.Generator().manual_seed(1)) * 0.1
    held, _ = noisy("programming", 20.0, PROGRAMMING, w=w)
    assert ((held >= 0) | (w < 0)).all() and ((held <= 0) | (w >= 0)).all()


@pytest.mark.parametrize("bits", [None, 4])
@pytest.mark.parametrize("kind", ["none", "multiplicative"])
def test_connections_are_dropped(kind, bits):
    w = torch.full((500, 400), 0.55)
    held, factors = noisy(kind, 0.01, drop=0.25, bits=bits, w=w)
    dropped = held == 0.0
    error = math.sqrt(0.25 * 0.75 / held.numel())
    assert abs(dropped.double().mean().item() - 0.25) <= 4 * error
    assert torch.equal(dropped, factors == 0.0)
    if kind == "none":
        expected = 0.55 if bits is None else 4 / 7
        assert held[~dropped].min().item() == pytest.approx(expected)


# --- wires --------------------------------------------------------------------------------------


def solved(g, row_ohm, column_ohm):
    """By Kirchhoff's current law at every node, in NumPy: input after input at 1 V."""
    outputs, inputs = g.shape
    count = outputs * inputs
    matrix, driven = np.zeros((2 * count, 2 * count)), np.zeros((2 * count, inputs))
    row, column = 1e6 / row_ohm, 1e6 / column_ohm

    def connect(a, b, conductance):
        for node, other in ((a, b), (b, a)):
            if node is not None:
                matrix[node, node] += conductance
                if other is not None:
                    matrix[node, other] -= conductance

    for o, i in np.ndindex(outputs, inputs):
        node = o * inputs + i
        connect(node, count + node, g[o, i])
        connect(node, node - inputs if o else None, row)
        connect(count + node, count + node - 1 if i else None, column)
        if o == 0:
            driven[node, i] = row
    voltages = np.linalg.solve(matrix, driven)
    return np.stack([voltages[count + o * inputs] * column for o in range(outputs)])


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (5, 1), (4, 7), (9, 3)])
@pytest.mark.parametrize("wires", [(10.0, 3.0), (500.0, 1000.0), (1e-6, 5.0), (5.0, 1e-6)])
def test_wires_are_a_resistor_network(shape, wires):
    g = torch.rand(*shape, generator=torch.Generator().manual_seed(4)) * 100
    expected = solved(g.double().numpy(), *wires)
    effective = effective_conductances(g.double(), Wires(*wires)).numpy()
    np.testing.assert_allclose(effective, expected, rtol=1e-7)
    near_0 = Wires(*(ohm if ohm > 1e-3 else 0.0 for ohm in wires))
    ideal = effective_conductances(g.double(), near_0).numpy()
    np.testing.assert_allclose(ideal, effective, rtol=1e-5)
    assert effective_conductances(g, Wires(*wires)).dtype == torch.float32


def test_wires_cost_what_is_known():
    """Of uniform devices of 25 µS behind segments of 1 Ω (docs/physics.md)."""
    g = torch.rand(64, 64, generator=torch.Generator().manual_seed(1)) * 25
    effective = effective_conductances(g, Wires(1.0, 1.0))
    assert abs(1 - (effective.sum() / g.sum()).item() - 0.034) < 0.002
    assert torch.equal(effective_conductances(g, Wires()), g)


def test_chips_have_wires():
    mapping = Mapping(tile=(20, 16), weight_bits=None)
    cell = PolynomialCell((0.0,), 25.0)
    held = decoded(mapping=mapping, cell=cell, wires=Wires(2.0, 3.0))
    for begin in range(0, 50, 20):
        for first in range(0, 30, 16):
            where = slice(first, min(first + 16, 30)), slice(begin, min(begin + 20, 50))
            scales = W[:, where[1]].abs().amax(1)[where[0], None]
            plus = effective_conductances((W[where] / scales).clamp(min=0) * 25, Wires(2.0, 3.0))
            minus = effective_conductances((-W[where] / scales).clamp(min=0) * 25, Wires(2.0, 3.0))
            expected = scales * (plus - minus) / 25
            assert ((held[where] - expected).abs() <= scales / 127 * 0.501).all()


def test_refuses_arrays_too_large_for_wires(monkeypatch):
    monkeypatch.setattr(torch_wires, "_LARGEST", 1000)
    effective_conductances(torch.ones(10, 10), Wires(1.0))
    with pytest.raises(ValueError, match="11 inputs and 10 outputs"):
        effective_conductances(torch.ones(10, 11), Wires(1.0))
