"""Hardware of the examples: arrays with converters and noise alone, and arrays of PCM; and networks
on them."""

from __future__ import annotations

import copy
from typing import Iterable

import lumina_kernel as lk
from lumina_kernel import nn as analog
from torch import nn

Tile = tuple[int, int]  # inputs, outputs


def converters(tile: Tile, bits: int = 8, weight_bits: int = 8, noise: float = 0.0) -> lk.Profile:
    """DACs and ADCs of `bits`, weights of `weight_bits`, noise of the outputs; devices have what
    they should have."""
    preset = lk.presets.converters_8bit
    return preset.with_(
        name=f"{bits} bits, weights {weight_bits}, noise {noise:g}", out_noise=noise,
        dac=preset.dac.with_(bits=bits), adc=preset.adc.with_(bits=bits),
        mapping=lk.Mapping(tile=tile, weight_bits=weight_bits))


def pcm(tile: Tile, compensation: str | None = "tile") -> lk.Profile:
    """Phase-change memory that drifts and is noisy to read; the preset's ADCs with ranges from
    data."""
    preset = lk.presets.pcm_hwa
    return preset.with_(
        name=f"PCM, {'compensated' if compensation else 'not compensated'}",
        adc=lk.presets.converters_8bit.adc, mapping=preset.mapping.with_(tile=tile),
        compensation=compensation)


def put_on(network: nn.Module, profile: lk.Profile, calibration: Iterable) -> nn.Module:
    """A copy of a network, in evaluation, on such hardware, with ranges from batches of inputs."""
    converted = analog.convert_to_analog(copy.deepcopy(network), profile)
    return analog.calibrate(converted, calibration).eval()
