"""Conductances of devices from Python."""
import numpy as np
import pytest
from helpers import assert_names, assert_same_bits

import lumina_kernel as lk
from lumina_kernel import cells

HOUR, DAY, YEAR = 3600.0, 86400.0, 365 * 86400.0


class Recorder:
    """In the place of the compiled part."""

    def conductances(self, *arguments):
        self.arguments = arguments
        return arguments[1]


@pytest.fixture
def recorder(monkeypatch):
    monkeypatch.setattr(lk, "_core", Recorder(), raising=False)
    return lk._core


@pytest.mark.parametrize("targets", [
    5, [1.0, 2.0], np.ones((2, 3, 0)), np.arange(12.0).reshape(3, 4).T, np.ones(3, np.float32)[::2],
    np.uint8(3)])
def test_what_the_engine_gets(recorder, targets):
    cell = cells.Pcm()
    held = cell.conductances(targets, 3, np.uint64(2**64 - 1), np.int32(7))
    given, array, seconds, seed, stream = recorder.arguments
    assert given == cell.numbers() and (seconds, seed, stream) == (3.0, 2**64 - 1, 7)
    assert array.dtype == np.float32 and array.ndim == 1
    assert type(seconds) is float and type(seed) is int and type(stream) is int
    np.testing.assert_array_equal(held, targets)
    assert held.shape == np.shape(targets)
    cell.conductances(targets)
    assert recorder.arguments[2:] == (None, 0, 0)


@pytest.mark.parametrize("error, arguments, words", [
    (TypeError, dict(targets_uS="5"), ["targets_uS"]),
    (TypeError, dict(targets_uS=[True]), ["targets_uS", "bool"]),
    (TypeError, dict(targets_uS=[1j]), ["targets_uS", "complex128"]),
    (ValueError, dict(targets_uS=[[1, -0.5]]), ["targets_uS", "-0.5", "25.0"]),
    (ValueError, dict(targets_uS=25.1), ["targets_uS", "25.0"]),
    (ValueError, dict(targets_uS=[np.nan]), ["targets_uS", "nan"]),
    (ValueError, dict(targets_uS=[1e300]), ["targets_uS"]),
    (ValueError, dict(seconds=-1), ["seconds", "-1.0"]),
    (ValueError, dict(seconds=float("nan")), ["seconds"]),
    (ValueError, dict(seconds=2e20), ["seconds", "1e20"]),
    (TypeError, dict(seconds="1"), ["seconds", "str"]),
    (ValueError, dict(seed=-1), ["seed", "-1"]),
    (ValueError, dict(seed=2**64), ["seed"]),
    (TypeError, dict(seed=1.0), ["seed", "float"]),
    (TypeError, dict(seed=True), ["seed", "bool"]),
    (ValueError, dict(stream=2**64), ["stream"]),
    (TypeError, dict(stream=None), ["stream", "NoneType"]),
])
def test_errors(recorder, error, arguments, words):
    with pytest.raises(error) as raised:
        cells.Pcm().conductances(**{"targets_uS": [1.0], **arguments})
    assert_names(str(raised.value), *words)
    assert not hasattr(recorder, "arguments")


@pytest.fixture
def compiled():
    core = pytest.importorskip("lumina_kernel._core", reason="needs the compiled part")
    if not hasattr(core, "conductances"):
        pytest.skip("the compiled part has no conductances()")


def within_4_errors(values, mean, deviation, rounding=5.1e-4):
    """The table's mean and standard deviation, which are rounded to so much. The deviation's
    standard error is that of a normal, times what targets of 0, cut off at 0, may have more."""
    error = deviation / values.size**0.5
    assert abs(values.mean() - mean) < 4 * error + rounding
    assert abs(values.std() - deviation) < 4 * error * 1.5 + rounding


@pytest.mark.parametrize("target, table", [
    (0, {None: (0.105, 0.154), 1: (0.107, 0.186), HOUR: (0.066, 0.122), YEAR: (0.032, 0.074)}),
    (5, {None: (5.000, 0.610), 1: (4.988, 0.802), DAY: (3.332, 0.713), YEAR: (2.523, 0.706)}),
    (25, {None: (24.999, 1.055), 1: (24.939, 1.397), HOUR: (19.394, 1.409), DAY: (16.623, 1.513),
          YEAR: (12.503, 1.651)}),
])
def test_phase_change_memory_over_a_year(compiled, target, table):
    """Means and standard deviations in µS of NumPy's oracles, 10^6 devices: those have errors too."""
    targets = np.full((100, 1000), target, np.float32)
    for seconds, (mean, deviation) in table.items():
        made = cells.Pcm().conductances(targets, seconds, seed=3)
        assert made.shape == targets.shape and made.dtype == np.float32
        within_4_errors(made, mean, deviation)


@pytest.mark.parametrize("cell, deviation", [
    (cells.PcmJoshi2020(), -0.00178767 * 400 + 0.07585724 * 20 + 0.28638599),
    (cells.ReRamMilo2021(), 4.782321 - 0.009107 * 20),
    (cells.ReRamWan2022(), 1.536e-4 * 8000 - 1.167e-2 * 400 + 0.2374 * 20 + 1.053),
    (cells.PolynomialCell((1, 0.1, -0.001)), 1 + 2 - 0.4),
], ids=lambda value: type(value).__name__)
def test_programmed_deviations(compiled, cell, deviation):
    within_4_errors(cell.conductances(np.full(100_000, 20.0), seed=1), 20.0, deviation)


def test_stuck_devices(compiled):
    cell = cells.StuckAt(cells.Pcm(), 0.1, 0.2, g_min=0.5, g_max=24.0)
    made = cell.conductances(np.full(100_000, 12.0), HOUR, seed=1)
    assert abs((made == 0.5).mean() - 0.1) < 4 * (0.1 * 0.9 / made.size) ** 0.5
    assert abs((made == 24.0).mean() - 0.2) < 4 * (0.2 * 0.8 / made.size) ** 0.5


def test_a_chip_is_a_key(compiled):
    cell, targets = cells.Pcm(), np.linspace(0, 25, 1001)
    year = cell.conductances(targets, YEAR, seed=4, stream=5)
    cell.conductances(targets, seed=4, stream=5)
    assert_same_bits(cell.conductances(targets, YEAR, seed=4, stream=5), year)
    assert_same_bits(cell.conductances(targets[:10], YEAR, seed=4, stream=5), year[:10])
    for other in (dict(seed=5, stream=5), dict(seed=4, stream=6)):
        assert (cell.conductances(targets, YEAR, **other) != year).mean() > 0.9
