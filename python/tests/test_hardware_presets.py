import copy
import pickle

import pytest

import lumina_kernel as lk
from lumina_kernel import presets, profiles

PROFILES = [profile for profile in presets.all().values() if isinstance(profile, lk.Profile)]
names = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)


def test_names():
    for name, profile in presets.all().items():
        assert profile.name == name and presets.named(name) is profile
        assert getattr(presets, name) is profile and name in presets.__all__
    assert set(presets.__all__) == {*presets.all(), "all", "named"}
    assert set(profiles.PRESETS) < set(presets.all().values())
    with pytest.raises(ValueError, match="'nobody'.* pcm_hwa, .*lumina_nano_v1"):
        presets.named("nobody")


def test_all_is_a_copy():
    presets.all().clear()
    assert presets.all()


@names
def test_equality_and_copies(profile):
    for other in (pickle.loads(pickle.dumps(profile)), copy.deepcopy(profile),
                  lk.Profile.from_json(profile.to_json()), profile.with_()):
        assert other == profile and hash(other) == hash(profile)
    assert [profile] == [other for other in PROFILES if other == profile]


@names
def test_ranges_follow_data_unless_a_source_says_otherwise(profile):
    if profile.name != "ideal":
        assert profile.noise_management == "abs_max"
        assert profile.dac.range == lk.Calibrated(1.0, "layer")
        if profile.name != "pcm_hwa":
            assert profile.adc.bound == lk.Calibrated(1.0, "column")


def test_ideal():
    ideal = lk.Profile.ideal()
    assert ideal == presets.ideal
    assert (ideal.dac, ideal.adc, ideal.cell, ideal.read_noise) == (None,) * 4
    assert ideal.mapping.weight_bits is None and ideal.out_noise == 0


def test_published_numbers():
    pcm = presets.pcm_hwa
    assert (pcm.out_noise, pcm.adc, pcm.read_noise, pcm.mapping.tile, pcm.cell) == (
        0.04, lk.Adc(8, 10.0), lk.ReadNoise(0.0175), (512, 512), lk.cells.Pcm(25.0))
    assert pcm.compensation == presets.pcm_joshi2020.compensation == "tile"
    assert (presets.reram_wan2022.mapping.g_min, presets.reram_wan2022.cell.g_max) == (1, 40)
    assert (presets.reram_milo2021.mapping.g_min, presets.reram_milo2021.cell.g_max) == (50, 225)
