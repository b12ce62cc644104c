"""What a layer on arrays is, but for its tensors: how its passes come from them."""

from __future__ import annotations

import functools
import json
from types import ModuleType
from typing import Any, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from ..array_settings import (
    ArraySettings,
    Encoding,
    Kernel,
    WeightNoise,
    mapping_of,
    missing_in_compiled_part,
    settings_of,
)
from ..hardware.numbers import PROGRAMMING
from ..hardware.profile import Profile
from ..mixing import mixed
from . import selection, torch_arrays
from .chips import Chip, Held, version_of
from .compensation import factors, read_out
from .on_host import ask


class Ranges(NamedTuple):
    """A layer's buffers (analog_module.py)."""

    input_range: Optional[Tensor]
    adc_bound: Optional[Tensor]
    chip: Tensor
    reference: Optional[Tensor]


class ArrayKind(NamedTuple):
    """What passes have in common."""

    encoding: Encoding  #: a noise's key is a pass's
    kernel: Optional[Kernel]
    settings: ArraySettings  #: the key is a pass's
    device: torch.device = torch.device("cpu")  #: of all tensors

    @property
    def computation(self) -> ModuleType:
        """An ArrayComputation: the native one where it is selected and has what this needs."""
        if selection.backend(self.device) == "native":
            if missing_in_compiled_part(self.encoding, self.settings) is None:
                from . import native_arrays

                return native_arrays
        return torch_arrays

    def encode_on_chip(self, weight: Tensor) -> Any:
        """What the devices of the encoding's chip hold, wherever the layer is: what they do on the CPU,
        which computes it then and is waited for."""
        here = self._replace(device=torch.device("cpu")).computation
        if here is self.computation or here.NAME != "native":
            return self.computation.encode(weight, self.encoding, self.kernel)
        held = here.encode(weight.cpu(), self.encoding, self.kernel)
        codes = [each.to(self.device) for each in here.codes(held)]
        scales = here.scales(held).to(self.device)
        return torch_arrays.held_elsewhere(
            codes, held.held.code_value, scales, self.encoding, self.kernel
        )

    def at(self, key: Optional[int]) -> Tuple[Encoding, ArraySettings]:
        """Those of a pass; without a key, one without noise."""
        noise = self.encoding.noise
        if noise is not None:
            noise = noise._replace(key=mixed(key, 1)) if key is not None else None
        return self.encoding._replace(noise=noise), self.settings._replace(key=key)


class ArraySpec(NamedTuple):
    profile: Profile
    kernel: Optional[Kernel]
    units: int  #: inputs, of a convolution taps·channels
    name: str  #: of the layer, for errors

    def to_text(self) -> str:
        """By which a graph of tensors knows it."""
        return json.dumps([self.profile.to_dict(), self.kernel, self.units, self.name])

    @staticmethod
    @functools.lru_cache(maxsize=4096)
    def of_text(text: str) -> ArraySpec:
        profile, kernel, units, name = json.loads(text)
        if kernel is not None:
            kernel = Kernel(*(tuple(each) if isinstance(each, list) else each for each in kernel))
        return ArraySpec(Profile.from_dict(profile), kernel, units, name)

    def draws(self, training: bool) -> bool:
        """Whether passes draw noise where that is wanted."""
        dac, adc = self.profile.dac, self.profile.adc
        return bool(
            self.profile.out_noise
            or (self.profile.read_noise and self.profile.read_noise.strength)
            or (dac and (dac.noise or dac.stochastic))
            or (adc and adc.stochastic)
            or (training and _training_noise(self.profile))
        )

    def settings(self, input_range: Optional[Tensor], converts: bool = True) -> ArraySettings:
        """Error: RuntimeError, the range is not calibrated."""
        limit = 1.0 if input_range is None else ask(input_range, Tensor.item)
        if limit == 0.0 and self.profile.noise_management == "none":
            raise self.uncalibrated("the DAC's input_range")
        return settings_of(self.profile, limit or 1.0, converts)

    def bound(self, adc_bound: Optional[Tensor]) -> Optional[Tensor]:
        """Error: RuntimeError, it is not calibrated."""
        if adc_bound is not None and not ask(adc_bound, _is_calibrated):
            raise self.uncalibrated("the ADCs' adc_bound")
        return None if adc_bound is None else adc_bound.float()

    def uncalibrated(self, what: str) -> RuntimeError:
        return RuntimeError(
            f"{self.name}: {what} is not calibrated: call lumina_kernel.nn.calibrate(model, batches)"
            " first, or give a profile that has a number there"
        )

    def encoding(self, training: bool) -> Encoding:
        """Without a chip: weights are what they should be, but for the noise of training."""
        noise = _training_noise(self.profile) if training else None
        return Encoding(mapping_of(self.profile), noise=noise)

    def encoding_on(self, chip: Chip) -> Encoding:
        return Encoding.on_chip(self.profile, *chip)

    def kind(
        self, encoding: Encoding, settings: ArraySettings, device: torch.device
    ) -> ArrayKind:
        return ArrayKind(encoding, self.kernel, settings, device)

    def read_out(self, weight: Tensor, ranges: Ranges, chip: Chip) -> Tensor:
        """Of the chip: what drift is compensated with."""
        settings = self.settings(ranges.input_range)
        kind = self.kind(self.encoding_on(chip), settings, weight.device)
        held = kind.encode_on_chip(weight)
        return self._read_out(kind, held, ranges, chip)

    def _read_out(self, kind: ArrayKind, held: Any, ranges: Ranges, chip: Chip) -> Tensor:
        per_column = self.profile.compensation == "column"
        bound = self.bound(ranges.adc_bound)
        return read_out(kind, held, self.units, bound, per_column, chip)

    def held(self, weight: Tensor, ranges: Ranges, chip: Chip, source: Tensor) -> Held:
        """What the chip holds of a weight [out, in] or of filters, in float32, compensated where
        the profile says so. `source`: the parameter that it is. (Nothing of what inference mode
        makes could be kept.)"""
        settings = self.settings(ranges.input_range)
        kind = self.kind(self.encoding_on(chip), settings, weight.device)
        with torch.inference_mode(False), torch.no_grad():
            weights = kind.encode_on_chip(weight.detach())
            if ranges.reference is not None and chip.seconds is not None:
                now = self._read_out(kind, weights, ranges, chip)
                weights = kind.computation.compensate(weights, factors(ranges.reference, now))
        source = source.detach()
        return Held(weights, kind.encoding, chip, kind.computation, source, version_of(source))


def _is_calibrated(adc_bound: Tensor) -> bool:
    return bool((adc_bound > 0).all())


def _training_noise(profile: Profile) -> Optional[WeightNoise]:
    training = profile.training
    if not training.weight_noise and not training.drop_connect:
        return None
    kind = training.weight_noise_kind if training.weight_noise else "none"
    coefficients = training.coefficients or ()
    if kind == "programming" and not coefficients:
        coefficients = PROGRAMMING
    g_max = profile.cell.g_max if profile.cell else 25.0
    return WeightNoise(kind, training.weight_noise, coefficients, g_max, training.drop_connect, 0)
