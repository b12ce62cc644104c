"""What kinds of analog hardware do to a layer, as numbers; the presets of the C++ library.

With s the dot product of a DAC's values and the weights, and independent N1, N2 ~ N(0, 1), a layer
under a profile computes

    v = attenuation·((1 − 0.8·temp_drift)·s + noise_level·√|s|·N1 + 0.005·N2),   y = ADC(v) + bias
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import NamedTuple, Optional

import numpy as np

from .checks import checked_float, checked_int

#: Standard deviation of the additive noise that every profile has.
THERMAL_NOISE = 0.005


class Readout(NamedTuple):
    """What stands between the dot product s and the ADC; all numbers are exact in float32."""

    gain: float  #: of the signal, before the noise
    shot_noise: float  #: σ of σ·√|s|·N1
    noise: float  #: σ of the additive noise σ·N2
    attenuation: float  #: of signal and noise


@dataclass(frozen=True)
class HardwareProfile:
    """Errors: TypeError for what is no number (bits: no int); ValueError outside of its range."""

    name: str
    bits: int  #: of DAC, weights and ADC, 2 … 16
    noise_level: float  #: strength of the shot noise, 0 or more
    attenuation: float  #: optical loss, a factor above 0
    temp_drift: float  #: 0 … 1: how far the temperature has moved the gain

    def __post_init__(self) -> None:
        numbers = {"bits": checked_int("bits", self.bits)}
        for name in ("noise_level", "attenuation", "temp_drift"):
            numbers[name] = checked_float(name, getattr(self, name))
        for name, number in numbers.items():
            object.__setattr__(self, name, number)  # frozen
        if not 2 <= self.bits <= 16:
            raise ValueError(f"bits must be in 2..16, not {self.bits}")
        if self.noise_level < 0:
            raise ValueError(f"noise_level must not be negative, not {self.noise_level}")
        if not np.float32(self.attenuation) > 0:
            raise ValueError(f"attenuation must be positive, not {self.attenuation}")
        if not 0 <= self.temp_drift <= 1:
            raise ValueError(f"temp_drift must be in 0..1, not {self.temp_drift}")

    @property
    def readout(self) -> Readout:
        """In float32, operation by operation as in C++, so that both compute with the same bits."""
        gain = np.float32(1) - np.float32(0.8) * np.float32(self.temp_drift)
        numbers = (gain, self.noise_level, THERMAL_NOISE, self.attenuation)
        return Readout(*(float(np.float32(number)) for number in numbers))

    def replaced(
        self,
        bits: Optional[int] = None,
        noise_level: Optional[float] = None,
        temp_drift: Optional[float] = None,
    ) -> HardwareProfile:
        """This profile with what is not None in the place of its own."""
        given = {"bits": bits, "noise_level": noise_level, "temp_drift": temp_drift}
        return dataclasses.replace(self, **{k: v for k, v in given.items() if v is not None})


lumina_nano_v1 = HardwareProfile("lumina_nano_v1", 4, 0.15, 0.85, 0.05)
lumina_micro_v1 = HardwareProfile("lumina_micro_v1", 8, 0.10, 0.90, 0.03)
edge_ultra_low_power = HardwareProfile("edge_ultra_low_power", 2, 0.20, 0.75, 0.10)
datacenter_high_precision = HardwareProfile("datacenter_high_precision", 12, 0.05, 0.95, 0.01)
custom = HardwareProfile("custom", 8, 0.10, 1.0, 0.0)

PRESETS = (
    lumina_nano_v1,
    lumina_micro_v1,
    edge_ultra_low_power,
    datacenter_high_precision,
    custom,
)


def hardware_profile(name: str) -> HardwareProfile:
    """The preset of that name. Error: ValueError, there is none."""
    for profile in PRESETS:
        if profile.name == name:
            return profile
    names = ", ".join(profile.name for profile in PRESETS)
    raise ValueError(f"unknown hardware profile {name!r}; there are {names}")
