"""Hardware that was published, and the five profiles of the C++ library.

Each number has its source in a comment, or "est."; sources by name are listed in docs/physics.md.
"""

from __future__ import annotations

from typing import Dict, Union

from .. import profiles
from ..profiles import (
    HardwareProfile,
    custom,
    datacenter_high_precision,
    edge_ultra_low_power,
    lumina_micro_v1,
    lumina_nano_v1,
)
from .cells import Pcm, PcmJoshi2020, ReRamMilo2021, ReRamWan2022
from .converters import Adc, Calibrated, Dac
from .energy import Energy
from .mapping import Mapping, ReadNoise
from .profile import Profile
from .training import HardwareAware

__all__ = [
    "all",
    "converters_8bit",
    "custom",
    "datacenter_high_precision",
    "edge_ultra_low_power",
    "ideal",
    "lumina_micro_v1",
    "lumina_nano_v1",
    "named",
    "pcm_hwa",
    "pcm_joshi2020",
    "photonic_mzi_8bit",
    "reram_milo2021",
    "reram_wan2022",
]

ideal = Profile.ideal()

# 8-bit converters, whose ranges follow the row and the output, and 8-bit weights; nothing else.
converters_8bit = Profile(
    "converters_8bit",
    dac=Dac(8, Calibrated()),
    adc=Adc(8, Calibrated()),
    noise_management="abs_max",
)

# Of an array in CMOS.
_ENERGY = Energy(
    read_volts=0.2,  # est.
    read_seconds=100e-9,  # Shafiee 2016
    dac_joules=0.5e-12,  # est.
    adc_joules=1.6e-12,  # Shafiee 2016: 8 ADCs of 8 bits, 1.28 GS/s, 16 mW
)

_ON_DEVICES = converters_8bit.with_(energy=_ENERGY)

# Rasch 2023, as aihwkit's StandardHWATrainingPreset has it.
pcm_hwa = _ON_DEVICES.with_(
    name="pcm_hwa",
    adc=Adc(8, 10.0),  # out_bound, out_res 254; DAC: inp_res 254
    mapping=Mapping(tile=(512, 512), weight_bits=None),  # max_input_size; outputs est.
    cell=Pcm(25.0),  # PCMLikeNoiseModel
    out_noise=0.04,
    read_noise=ReadNoise(0.0175, "pcm"),  # w_noise
    # noise_management "abs_max": est., it learns a range for each layer there
    training=HardwareAware(1.0, "programming"),  # est.: once the σ of devices
    compensation="tile",  # GlobalDriftCompensation
)

pcm_joshi2020 = _ON_DEVICES.with_(  # converters: est.
    name="pcm_joshi2020",
    mapping=Mapping(tile=(512, 512), weight_bits=None),  # tile: est.; any conductance is a target
    cell=PcmJoshi2020(25.0),
    training=HardwareAware(
        0.038,  # Joshi 2020: of the largest weight, as their devices deviate
        clip=2.5,  # est., as in aihwkit's examples: standard deviations of the layer
        clip_kind="gaussian",
    ),
    compensation="tile",  # Joshi 2020: one factor for all devices
)

reram_wan2022 = _ON_DEVICES.with_(  # converters: est.
    name="reram_wan2022",
    # Wan 2022: cores of 256 × 256, a weight on two rows; 1 … 40 µS; any conductance is programmed
    mapping=Mapping(tile=(128, 256), weight_bits=None, g_min=1.0),
    cell=ReRamWan2022(40.0),
    read_noise=ReadNoise(0.01, "constant"),  # aihwkit's ReRamWan2022NoiseModel: about 1 %
    training=HardwareAware(0.2),  # NeuRRAM's code for ResNets: of the largest weight
)

reram_milo2021 = _ON_DEVICES.with_(  # converters: est.
    name="reram_milo2021",
    mapping=Mapping(tile=(512, 512), weight_bits=None, g_min=50.0),  # Milo 2021; tile: est.
    cell=ReRamMilo2021(225.0),
    # est.: largest σ, 4.33 µS, of a device over the 175 µS of ŵ = 1
    training=HardwareAware(0.025),
)

photonic_mzi_8bit = converters_8bit.with_(
    name="photonic_mzi_8bit",
    # 64 × 64: C. Ramey, "Silicon photonics for artificial intelligence acceleration", Hot Chips
    # 2020. A mesh's full scale is its block's: Shen 2017. Bits: est.
    mapping=Mapping(tile=(64, 64), scale="tile"),
    out_noise=0.005,  # est., as the lumina_* profiles' thermal noise
    read_noise=ReadNoise(0.01, "shot"),  # est.
)

_ALL = {
    profile.name: profile
    for profile in (
        ideal,
        converters_8bit,
        pcm_hwa,
        pcm_joshi2020,
        reram_wan2022,
        reram_milo2021,
        photonic_mzi_8bit,
        *profiles.PRESETS,
    )
}


def all() -> Dict[str, Union[Profile, HardwareProfile]]:
    """Name -> preset."""
    return dict(_ALL)


def named(name: str) -> Union[Profile, HardwareProfile]:
    """The preset of that name. Error: ValueError, there is none."""
    if name not in _ALL:
        raise ValueError(f"unknown hardware profile {name!r}; there are {', '.join(_ALL)}")
    return _ALL[name]
