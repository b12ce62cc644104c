"""Descriptions of hardware as dicts and JSON: exactly the same again, and errors with paths."""
import json

import pytest
from helpers import assert_names
from hypothesis import given
from hypothesis import strategies as st

import lumina_kernel as lk
from lumina_kernel import cells

# What float32 has room for, double's digits and numbers that are tiny there included.
positive = st.floats(1e-37, 3e38)
not_negative = st.just(0.0) | positive
probability = st.floats(0, 1)
bits = st.integers(2, 16)
coefficients = st.lists(st.floats(-3e38, 3e38), min_size=1, max_size=5).map(tuple)


def one_of(*values):
    return st.sampled_from(values)


def calibrated(*per):
    return st.builds(lk.Calibrated, st.floats(1e-3, 1), one_of(None, *per))


dacs = st.builds(lk.Dac, bits, positive | calibrated("layer"), not_negative, st.booleans())
adcs = st.builds(
    lk.Adc, bits, positive | calibrated("column", "tile", "layer"), st.booleans())
read_noises = st.builds(
    lk.ReadNoise, not_negative, one_of("pcm", "proportional", "constant", "shot"))
wires = st.builds(lk.Wires, not_negative, not_negative)
slices = st.builds(
    lk.Slices, st.integers(1, 7), st.integers(0, 8), one_of("pulses", "two_passes"))
sides = st.integers(1, 2**31 - 1)


@st.composite
def mappings(draw, sliced=st.none() | slices, g_min=not_negative):
    cut = draw(sliced)
    weight_bits = st.integers(2, 8)
    return lk.Mapping(
        (draw(sides), draw(sides)), draw(one_of("column", "tile")),
        draw(one_of("maximal", "equal")), draw(weight_bits if cut else st.none() | weight_bits),
        draw(one_of("differential", "two_sided", "offset")), draw(g_min), cut)


plain_cells = st.one_of(
    *(st.builds(kind, positive) for kind in
      (cells.Pcm, cells.PcmJoshi2020, cells.ReRamMilo2021, cells.ReRamWan2022)),
    st.builds(cells.PolynomialCell, coefficients, positive))


@st.composite
def stuck_cells(draw):
    cell = draw(plain_cells)
    g_max = draw(st.none() | st.floats(cell.g_max / 2, cell.g_max))
    g_min = draw(st.floats(0, cell.g_max / 4))
    return cells.StuckAt(cell, draw(st.floats(0, 0.5)), draw(st.floats(0, 0.5)), g_min, g_max)


all_cells = plain_cells | stuck_cells()


@st.composite
def trainings(draw):
    kind = draw(one_of("additive", "multiplicative", "programming", "polynomial"))
    needed = {"programming": st.none() | coefficients, "polynomial": coefficients}
    return lk.HardwareAware(
        draw(not_negative), kind, draw(needed.get(kind, st.none())), draw(st.floats(0, 0.999)),
        draw(st.none() | positive), draw(one_of("fixed", "gaussian", "average_channel_max")))


energies = st.builds(
    lk.Energy, not_negative, not_negative, not_negative, not_negative, st.none() | positive)


@st.composite
def profiles(draw):
    dac, adc, cell = draw(st.none() | dacs), draw(st.none() | adcs), draw(st.none() | all_cells)
    training = draw(trainings())
    noisy = training.weight_noise or training.drop_connect
    sliced = st.none() if dac is None or dac.noise or cell or noisy else st.none() | slices
    g_min = st.floats(0, cell.g_max / 2) if cell else not_negative
    return lk.Profile(
        draw(st.text()), dac, adc, draw(mappings(sliced, g_min)), cell, draw(not_negative),
        draw(st.none() | (read_noises if dac else st.just(0.0))),
        draw(wires) if cell else lk.Wires(),
        draw(one_of("none", "abs_max")) if dac else "none",
        draw(st.integers(0, 1000)) if dac and adc else 0,
        training, draw(one_of(None, "tile", "column")), draw(energies))


def assert_same_again(description, cls=None):
    again = (cls or type(description)).from_json(description.to_json())
    assert type(again) is type(description) and again == description
    assert hash(again) == hash(description) and repr(again) == repr(description)
    assert json.loads(description.to_json()) == description.to_dict()
    assert type(description).from_dict(description.to_dict()) == description


@given(profiles())
def test_profiles_are_the_same_again(profile):
    assert_same_again(profile)


@given(st.one_of(dacs, adcs, calibrated("tile"), read_noises, wires, slices, mappings(),
                 trainings(), energies))
def test_parts_are_the_same_again(part):
    assert_same_again(part)


@given(all_cells)
def test_cells_are_the_same_again(cell):
    assert_same_again(cell)
    assert_same_again(cell, cells.Cell)


def test_the_form():
    profile = lk.Profile(cell=cells.StuckAt(cells.Pcm(), 0.5), adc=None, read_noise=0.25)
    values = profile.to_dict()
    assert values["cell"] == {"kind": "StuckAt", "cell": {"kind": "Pcm", "g_max": 25.0},
                              "p_off": 0.5, "p_on": 0.0, "g_min": 0.0, "g_max": 25.0}
    assert values["adc"] is None and values["read_noise"] == {"strength": 0.25, "kind": "pcm"}
    assert values["mapping"]["tile"] == [512, 512]


def test_what_is_not_there_is_as_usual():
    assert lk.Profile.from_json("{}") == lk.Profile()
    assert lk.Profile.from_dict({"adc": {"bits": 6}}).adc == lk.Adc(6)
    assert lk.Profile.from_dict({"read_noise": 0.5}).read_noise == lk.ReadNoise(0.5)
    assert cells.Pcm.from_json('{"g_max": 5}') == cells.Pcm(5.0)


@pytest.mark.parametrize("values, path, words", [
    ({"adc": {"bits": 1}}, "adc.bits", ["2..16"]),
    ({"adc": {"bits": 8.0}}, "adc.bits", ["int", "float"]),
    ({"adc": {"bits": None}}, "adc.bits", ["NoneType"]),
    ({"adc": {"bist": 8}}, "adc.bist", ["Adc", "bits"]),
    ({"adc": {"bound": "10"}}, "adc.bound", ["number", "Calibrated", "str"]),
    ({"adc": {"bound": {"quantile": 0}}}, "adc.bound.quantile", []),
    ({"adc": {"bound": {"per": "row"}}}, "adc.bound.per", ["row"]),
    ({"adc": {"bound": {"kind": "Calibrated"}}}, "adc.bound.kind", ["quantile"]),
    ({"adc": 8}, "adc", ["Adc", "None", "int"]),
    ({"adc": [8]}, "adc", ["list"]),
    ({"dac": {"range": {"per": "tile"}}}, "dac.range.per", ["layer"]),
    ({"dac": {"range": float("nan")}}, "dac.range", ["nan"]),
    ({"dac": {"noise": False}}, "dac.noise", ["bool"]),
    ({"mapping": {"tile": 512}}, "mapping.tile", ["int"]),
    ({"mapping": {"tile": [512, 0]}}, "mapping.tile[1]", []),
    ({"mapping": {"slices": {"cell_bits": 9}}}, "mapping.slices.cell_bits", ["1..7"]),
    ({"mapping": None}, "mapping", ["Mapping", "NoneType"]),
    ({"training": {"coefficients": [1, "2"]}}, "training.coefficients[1]", ["str"]),
    ({"adc": {"stochastic": 1}}, "adc.stochastic", ["bool"]),
    ({"cell": {}}, "cell.kind", ["Pcm", "StuckAt"]),
    ({"cell": {"kind": "Pmc"}}, "cell.kind", ["Pmc", "Pcm"]),
    ({"cell": {"kind": ["Pcm"]}}, "cell.kind", ["Pcm"]),
    ({"cell": {"kind": "Pcm", "gmax": 3}}, "cell.gmax", ["g_max"]),
    ({"cell": {"kind": "StuckAt"}}, "cell.cell", ["missing"]),
    ({"cell": {"kind": "StuckAt", "cell": {"kind": "Pcm", "g_max": -1}}}, "cell.cell.g_max", []),
    ({"read_noise": {}}, "read_noise.strength", ["missing"]),
    ({"read_noise": -0.5}, "read_noise", ["-0.5"]),
    ({"read_noise": "0.5"}, "read_noise", ["str"]),
    ({"wires": {"row_ohm": 1}}, "wires", ["cell"]),
    ({"names": "x"}, "names", ["Profile", "name"]),
    ({"name": 7}, "name", ["int"]),
    ({1: 2}, "1", ["Profile"]),
])
def test_errors_name_the_path(values, path, words):
    with pytest.raises(ValueError) as error:
        lk.Profile.from_dict(values)
    assert str(error.value).startswith(path)
    assert_names(str(error.value), path, *words)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"Profile"', '{"adc": }'])
def test_what_is_no_description(text):
    for cls in (lk.Profile, lk.Adc, cells.Pcm, cells.Cell):
        with pytest.raises(ValueError):
            cls.from_json(text)


def test_a_cell_of_another_kind():
    with pytest.raises(ValueError, match="kind must be one of Pcm, not 'PcmJoshi2020'"):
        cells.Pcm.from_dict(cells.PcmJoshi2020().to_dict())
