"""Descriptions of analog hardware, in the units of docs/physics.md: frozen dataclasses, which are
checked, copied with changes (`with_`) and kept as JSON."""

from . import cells, presets
from .converters import Adc, Calibrated, Dac
from .energy import Energy
from .mapping import Mapping, ReadNoise, Slices, Wires
from .profile import Profile
from .training import HardwareAware

__all__ = [
    "Adc",
    "Calibrated",
    "Dac",
    "Energy",
    "HardwareAware",
    "Mapping",
    "Profile",
    "ReadNoise",
    "Slices",
    "Wires",
    "cells",
    "presets",
]
