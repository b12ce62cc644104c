"""Descriptions of hardware: what their fields take, and that errors name them."""
import copy
import dataclasses
import pickle
from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_names, run_python

import lumina_kernel as lk
from lumina_kernel import cells
from lumina_kernel.hardware.description import Description

NOT_INTS = [None, True, 8.0, "8", np.float32(8), [8]]
NOT_NUMBERS = [None, False, np.True_, "1", 1j, [1.0], lk.Dac()]
NOT_FINITE = [float("inf"), float("nan"), 1e39, -1e300, 10**400]
POSITIVE = dict(low=[0.0, -1.0, 1e-60], good=[1e-30, 3, 7.5, np.float64(2)])
NOT_NEGATIVE = dict(low=[-1.0, -1e-30], good=[0, 0.5, np.float32(1), Fraction(1, 2)])
SHARE = dict(low=[-1e-9], high=[1.001, 1 + 1e-12], good=[0, 1, 0.25])

# (the class, its other fields, the field, what it does not take and what it does)
NUMBERS = [
    (lk.Calibrated, {}, "quantile", dict(low=[0.0], high=[1.0001], good=[1e-9, 1])),
    (lk.Dac, {}, "range", POSITIVE),
    (lk.Dac, {}, "noise", NOT_NEGATIVE),
    (lk.Adc, {}, "bound", POSITIVE),
    (lk.ReadNoise, {}, "strength", NOT_NEGATIVE),
    (lk.Wires, {}, "row_ohm", NOT_NEGATIVE),
    (lk.Wires, {}, "column_ohm", NOT_NEGATIVE),
    (lk.Mapping, {}, "g_min", NOT_NEGATIVE),
    (cells.Pcm, {}, "g_max", POSITIVE),
    (cells.PcmJoshi2020, {}, "g_max", POSITIVE),
    (cells.ReRamMilo2021, {}, "g_max", POSITIVE),
    (cells.ReRamWan2022, {}, "g_max", POSITIVE),
    (cells.PolynomialCell, dict(coefficients=(1,)), "g_max", POSITIVE),
    (cells.StuckAt, dict(cell=cells.Pcm()), "p_off", SHARE),
    (cells.StuckAt, dict(cell=cells.Pcm()), "p_on", SHARE),
    (cells.StuckAt, dict(cell=cells.Pcm()), "g_min", dict(low=[-1.0], good=[0, 24.9])),
    (cells.StuckAt, dict(cell=cells.Pcm()), "g_max", dict(low=[0.0], high=[25.1], good=[25, 1])),
    (lk.HardwareAware, {}, "weight_noise", NOT_NEGATIVE),
    (lk.HardwareAware, {}, "drop_connect",
     dict(low=[-1e-9], high=[1.0, 1 - 1e-12], good=[0, 0.99])),
    (lk.HardwareAware, {}, "clip", POSITIVE),
    (lk.Energy, {}, "read_volts", NOT_NEGATIVE),
    (lk.Energy, {}, "read_seconds", NOT_NEGATIVE),
    (lk.Energy, {}, "dac_joules", NOT_NEGATIVE),
    (lk.Energy, {}, "adc_joules", NOT_NEGATIVE),
    (lk.Energy, {}, "on_siemens", POSITIVE),
    (lk.Profile, {}, "out_noise", NOT_NEGATIVE),
    (lk.Profile, {}, "read_noise", NOT_NEGATIVE),
]
INTS = [
    (lk.Dac, "bits", 2, 16), (lk.Adc, "bits", 2, 16), (lk.Slices, "cell_bits", 1, 7),
    (lk.Slices, "input_bits", 0, 8), (lk.Mapping, "weight_bits", 2, 8),
    (lk.Profile, "bound_management", 0, 1000),
]
CHOICES = [
    (lk.Calibrated, {}, "per", ["column", "tile", "layer"]),
    (lk.ReadNoise, dict(strength=1), "kind", ["pcm", "proportional", "constant", "shot"]),
    (lk.Slices, {}, "signs", ["pulses", "two_passes"]),
    (lk.Mapping, {}, "scale", ["column", "tile"]),
    (lk.Mapping, {}, "split", ["maximal", "equal"]),
    (lk.Mapping, {}, "cells", ["differential", "two_sided", "offset"]),
    (lk.HardwareAware, {}, "weight_noise_kind", ["additive", "multiplicative", "programming"]),
    (lk.HardwareAware, {}, "clip_kind", ["fixed", "gaussian", "average_channel_max"]),
    (lk.Profile, {}, "noise_management", ["none", "abs_max"]),
    (lk.Profile, dict(cell=cells.Pcm()), "compensation", ["tile", "column"]),
]
BOOLS = [(lk.Dac, "stochastic"), (lk.Adc, "stochastic")]
PARTS = [
    (lk.Profile, {}, "dac"), (lk.Profile, {}, "adc"), (lk.Profile, {}, "mapping"),
    (lk.Profile, {}, "cell"), (lk.Profile, {}, "wires"), (lk.Profile, {}, "training"),
    (lk.Profile, {}, "energy"), (lk.Mapping, {}, "slices"), (cells.StuckAt, {}, "cell"),
]


def refused(error, cls, field, **fields):
    """Whether making one fails and names the field."""
    with pytest.raises(error) as raised:
        cls(**fields)
    assert_names(str(raised.value), field)
    return str(raised.value)


def name(value):
    return getattr(value, "__name__", None) or (value if isinstance(value, str) else "")


@pytest.mark.parametrize("cls, others, field, values", NUMBERS, ids=name)
def test_numbers(cls, others, field, values):
    for value in values["good"]:
        number = getattr(cls(**others, **{field: value}), field)
        number = getattr(number, "strength", number)
        assert type(number) is float and number == float(value)
    for value in values["low"] + values.get("high", []) + NOT_FINITE:
        refused(ValueError, cls, field, **others, **{field: value})
    optional = getattr(cls, field, 0) is None
    for value in NOT_NUMBERS[1:] if optional else NOT_NUMBERS:
        message = refused(TypeError, cls, field, **others, **{field: value})
        assert_names(message, "number", type(value).__name__)


@pytest.mark.parametrize("cls, field, least, most", INTS, ids=name)
def test_ints(cls, field, least, most):
    for value in (least, most, np.int64(least), np.uint8(least)):
        number = getattr(cls(**{field: value}), field)
        assert type(number) is int and number == value
    for value in (least - 1, most + 1, -(10**30), 10**400):
        assert_names(refused(ValueError, cls, field, **{field: value}), f"{least}..{most}", value)
    for value in NOT_INTS[1:] if field == "weight_bits" else NOT_INTS:
        assert_names(refused(TypeError, cls, field, **{field: value}), type(value).__name__)


@pytest.mark.parametrize("cls, others, field, choices", CHOICES, ids=name)
def test_choices(cls, others, field, choices):
    for choice in choices:
        assert getattr(cls(**others, **{field: choice}), field) == choice
        made = getattr(cls(**others, **{field: np.str_(choice)}), field)
        assert type(made) is str and made == choice
    for wrong in ("", "Column", choices[0] + " "):
        assert_names(refused(ValueError, cls, field, **others, **{field: wrong}), *choices)
    for wrong in (1, True, b"tile", np.zeros(3), ["tile"]):
        refused(TypeError, cls, field, **others, **{field: wrong})


@pytest.mark.parametrize("cls, field", BOOLS, ids=name)
def test_bools(cls, field):
    for value in (True, False, np.True_, np.False_):
        made = getattr(cls(**{field: value}), field)
        assert type(made) is bool and made == value
    for wrong in (0, 1, None, "true", 1.0):
        refused(TypeError, cls, field, **{field: wrong})


@pytest.mark.parametrize("cls, others, field", PARTS, ids=name)
def test_parts(cls, others, field):
    for wrong in (3, "x", {"bits": 8}, lk.Calibrated, lk.Calibrated(), np.zeros(2)):
        assert_names(refused(TypeError, cls, field, **others, **{field: wrong}), "must")


def test_every_field_is_tested():
    tested = {(cls, field) for cls, *_, field, _ in NUMBERS + CHOICES}
    tested |= {(cls, field) for cls, field, *_ in INTS + BOOLS}
    tested |= {(cls, field) for cls, _, field in PARTS}
    tested |= {(lk.Mapping, "tile"), (lk.Profile, "name"), (lk.HardwareAware, "coefficients"),
               (cells.PolynomialCell, "coefficients")}
    classes = [lk.Calibrated, lk.Dac, lk.Adc, lk.ReadNoise, lk.Wires, lk.Slices, lk.Mapping,
               lk.HardwareAware, lk.Energy, lk.Profile, *cells.Cell.__subclasses__()]
    assert tested == {(cls, f.name) for cls in classes for f in dataclasses.fields(cls)}


def test_tiles():
    for tile in ((3, 4), [3, 4], (np.int32(3), 4)):
        assert lk.Mapping(tile=tile).tile == (3, 4)
    for wrong, words in {(0, 4): ["tile[0]", 0], (3, 2**31): ["tile[1]"], (3,): ["tile", 2, 1],
                         (1, 2, 3): ["tile", 2, 3]}.items():
        assert_names(refused(ValueError, lk.Mapping, "tile", tile=wrong), *map(str, words))
    for wrong in (512, None, "12", (3, 4.0), (True, 4), np.zeros(2)):
        refused(TypeError, lk.Mapping, "tile", tile=wrong)


def test_names():
    assert lk.Profile(name="chip 7").name == "chip 7"
    refused(TypeError, lk.Profile, "name", name=7)


@pytest.mark.parametrize("cls, others", [
    (cells.PolynomialCell, {}), (lk.HardwareAware, dict(weight_noise_kind="polynomial"))], ids=name)
def test_coefficients(cls, others):
    made = cls(coefficients=[1, np.float32(0.5)], **others)
    assert made.coefficients == (1.0, 0.5) and hash(made) == hash(copy.deepcopy(made))
    for wrong in ((), range(0), (1,) * 6, (1, float("nan"))):
        refused((ValueError, TypeError), cls, "coefficients", coefficients=wrong, **others)
    for wrong in (1.0, "123", (1, "2"), (1, None), (True,)):
        refused(TypeError, cls, "coefficients", coefficients=wrong, **others)


def test_coefficients_belong_to_some_kinds_of_noise():
    assert lk.HardwareAware(weight_noise_kind="programming").coefficients is None
    assert lk.HardwareAware(weight_noise_kind="programming", coefficients=(1,)).coefficients
    refused(ValueError, lk.HardwareAware, "coefficients", weight_noise_kind="polynomial")
    for kind in ("additive", "multiplicative"):
        message = refused(ValueError, lk.HardwareAware, "coefficients",
                          weight_noise_kind=kind, coefficients=(1,))
        assert_names(message, kind)


def test_ranges_that_are_calibrated():
    assert lk.Dac(range=lk.Calibrated()).range == lk.Calibrated(1.0, "layer")
    assert lk.Adc(bound=lk.Calibrated(0.999)).bound == lk.Calibrated(0.999, "column")
    assert lk.Adc(bound=lk.Calibrated(per="layer")).bound.per == "layer"
    for per in ("column", "tile"):
        assert_names(refused(ValueError, lk.Dac, "range.per", range=lk.Calibrated(per=per)), per)


def test_a_number_is_read_noise():
    assert lk.Profile(read_noise=0.5).read_noise == lk.ReadNoise(0.5, "pcm")
    assert lk.Profile(read_noise=np.float64(0.5)) == lk.Profile().with_(read_noise=0.5)
    message = refused(ValueError, lk.Profile, "read_noise", read_noise=-1)
    assert_names(message, "-1.0")


@pytest.mark.parametrize("fields, words", [
    (dict(dac=None, noise_management="abs_max"), ["noise_management", "dac"]),
    (dict(dac=None, bound_management=1), ["bound_management", "dac"]),
    (dict(adc=None, bound_management=1), ["bound_management", "adc"]),
    (dict(dac=None, read_noise=0.1), ["read_noise", "dac"]),
    (dict(dac=None, read_noise=lk.ReadNoise(0.1, "shot")), ["read_noise", "dac"]),
    (dict(mapping=lk.Mapping(slices=lk.Slices()), dac=None), ["slices", "dac"]),
    (dict(mapping=lk.Mapping(slices=lk.Slices()), cell=cells.Pcm()), ["slices", "cell"]),
    (dict(mapping=lk.Mapping(slices=lk.Slices()), dac=lk.Dac(noise=0.1)), ["slices", "dac.noise"]),
    (dict(mapping=lk.Mapping(slices=lk.Slices()), training=lk.HardwareAware(0.1)),
     ["slices", "training"]),
    (dict(mapping=lk.Mapping(slices=lk.Slices()), training=lk.HardwareAware(drop_connect=0.1)),
     ["slices", "training"]),
    (dict(wires=lk.Wires(row_ohm=1)), ["wires", "cell"]),
    (dict(wires=lk.Wires(column_ohm=1)), ["wires", "cell"]),
    (dict(cell=cells.Pcm(), mapping=lk.Mapping(g_min=25)), ["mapping.g_min", "25.0"]),
    (dict(cell=cells.StuckAt(cells.Pcm(), g_max=20), mapping=lk.Mapping(g_min=22)),
     ["mapping.g_min", "20.0"]),
])
def test_parts_that_do_not_go_together(fields, words):
    with pytest.raises(ValueError) as error:
        lk.Profile(**fields)
    assert_names(str(error.value), *words)
    with pytest.raises(ValueError, match=words[0]):
        lk.Profile.ideal().with_(**{"dac": lk.Dac(), "adc": lk.Adc(), **fields})


def test_parts_that_go_together():
    lk.Profile(dac=None, read_noise=0)
    lk.Profile(dac=None, adc=None)
    lk.Profile(cell=cells.Pcm(), wires=lk.Wires(1, 1), compensation="column")
    lk.Profile(mapping=lk.Mapping(g_min=25))
    lk.Profile(mapping=lk.Mapping(slices=lk.Slices(), weight_bits=6))


def test_slices_need_bits():
    message = refused(ValueError, lk.Mapping, "slices", slices=lk.Slices(), weight_bits=None)
    assert_names(message, "weight_bits")


def test_stuck_cells():
    stuck = cells.StuckAt(cells.Pcm(20.0), 0.1, 0.2)
    assert (stuck.g_min, stuck.g_max) == (0, 20)
    refused(ValueError, cells.StuckAt, "cell", cell=stuck)
    assert_names(refused(ValueError, cells.StuckAt, "p_off", cell=cells.Pcm(), p_off=0.6, p_on=0.5),
                 "p_on", "1.1")
    refused(ValueError, cells.StuckAt, "g_min", cell=cells.Pcm(), g_min=9, g_max=9)


def test_unknown_fields_and_base_classes():
    with pytest.raises(TypeError, match="bist"):
        lk.Dac(bist=8)
    with pytest.raises(TypeError, match="bist"):
        lk.Dac().with_(bist=8)
    with pytest.raises(TypeError, match="Cell"):
        cells.Cell()


def test_frozen_equal_hashable_and_repeatable():
    profile = lk.Profile(cell=cells.StuckAt(cells.PolynomialCell((1, 2))), read_noise=0.1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        profile.name = "other"
    for other in (pickle.loads(pickle.dumps(profile)), copy.deepcopy(profile), profile.with_(),
                  eval(repr(profile), {**vars(lk.hardware), **vars(cells)})):
        assert other == profile and hash(other) == hash(profile)
    assert cells.Pcm() != cells.PcmJoshi2020()
    assert profile.with_(out_noise=0.5).out_noise == 0.5 and profile.out_noise == 0


def test_siemens_of_a_device_that_is_on():
    assert lk.Profile().on_siemens == 25e-6
    assert lk.Profile(cell=cells.Pcm(20.0)).on_siemens == 20.0 * 1e-6
    assert lk.Profile(energy=lk.Energy(on_siemens=3e-6)).on_siemens == 3e-6


def test_ideal_wires():
    assert lk.Wires().ideal and not lk.Wires(row_ohm=1).ideal and not lk.Wires(column_ohm=1).ideal


def test_needs_neither_torch_nor_the_compiled_part():
    result = run_python("""
import sys
sys.modules["lumina_kernel._core"] = None
import lumina_kernel as lk
assert "numpy" not in sys.modules and "lumina_kernel.hardware" not in sys.modules
assert lk.presets.named("pcm_hwa").cell == lk.cells.Pcm()
assert {"Dac", "presets", "FastRng"} <= set(dir(lk))
assert "torch" not in sys.modules
try:
    lk.cells.Pcm().conductances([1.0])
except ImportError as error:
    assert "compiled part" in str(error), error
else:
    raise AssertionError
""")
    assert result.returncode == 0, result.stderr


def test_public_names():
    for public in lk.hardware.__all__:
        assert public in lk.__all__ and getattr(lk, public) is getattr(lk.hardware, public)
        assert getattr(lk, public).__doc__
    assert issubclass(lk.Profile, Description)
