"""The peer: noisy analog hardware as a chain of ordinary torch operations, float32, each a pass
over memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from lumina_kernel.nn import HardwareProfile
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Converter:
    """A DAC or ADC of `bits` over [lo, hi]: clamp(round((v - lo) / step), 0, 2^bits - 1)."""

    bits: int
    lo: float
    hi: float

    @property
    def max_code(self) -> int:
        return 2**self.bits - 1

    @property
    def step(self) -> float:
        return float(np.float32((self.hi - self.lo) / self.max_code))

    def __call__(self, values: Tensor) -> Tensor:
        codes = torch.clamp(torch.round((values - self.lo) / self.step), 0, self.max_code)
        return codes * self.step + self.lo

    def convert_(self, values: Tensor) -> Tensor:
        """The same in place."""
        step, lo = self.step, self.lo
        return values.sub_(lo).div_(step).round_().clamp_(0, self.max_code).mul_(step).add_(lo)


@dataclass(frozen=True)
class Hardware:
    adc: Converter
    dac: Converter | None = None
    noise_std: float = 0.0

    def run(self, x: Tensor, weight: Tensor) -> Tensor:
        """ADC(DAC(x)·Wᵀ + noise), every intermediate a new tensor; [batch, in] -> [batch, out]."""
        y = (x if self.dac is None else self.dac(x)) @ weight.t()
        if self.noise_std > 0.0:
            y = y + self.noise_std * torch.randn(y.shape)
        return self.adc(y)


class PreallocatedChain:
    """The same, as fast as ordinary torch operations do it: all in place, in memory kept from call
    to call."""

    def __init__(self, hardware: Hardware, weight: Tensor, out: Tensor) -> None:
        self._hardware = hardware
        self._weight = weight.t()
        self._out = out
        self._noise = torch.empty_like(out)
        self._x: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        hardware, out = self._hardware, self._out
        if hardware.dac is not None:
            if self._x is None:
                self._x = torch.empty_like(x)
            x = hardware.dac.convert_(self._x.copy_(x))
        torch.mm(x, self._weight, out=out)
        if hardware.noise_std > 0.0:
            torch.randn(out.shape, out=self._noise)
            out.add_(self._noise, alpha=hardware.noise_std)
        return hardware.adc.convert_(out)


class StraightThroughLayer(nn.Module):
    """A noise-aware layer as one writes it by hand: what `lumina_kernel.nn.OpticalLinear` computes
    under the profile, rounding and noise hidden from the gradient by detach()."""

    def __init__(self, weight: Tensor, bias: Tensor, profile: HardwareProfile,
                 output_limit: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.clone())
        self.bias = nn.Parameter(bias.clone())
        self._max_code = 2 ** (profile.bits - 1) - 1
        self._dac = Converter(profile.bits, 0.0, 1.0)
        self._adc = Converter(profile.bits, -output_limit, output_limit)
        self._readout = profile.readout

    def forward(self, x: Tensor) -> Tensor:
        gain, shot_noise, thermal_noise, attenuation = self._readout
        s = functional.linear(self._converted(x, self._dac), self._quantized_weight())
        with torch.no_grad():
            noise = shot_noise * s.abs().sqrt() * torch.randn_like(s)
            noise += thermal_noise * torch.randn_like(s)
        v = attenuation * (gain * s + noise)
        return self._converted(v, self._adc) + self.bias

    @staticmethod
    def _converted(values: Tensor, converter: Converter) -> Tensor:
        inside = values.clamp(converter.lo, converter.hi)
        return inside + (converter(values) - inside).detach()

    def _quantized_weight(self) -> Tensor:
        with torch.no_grad():
            scale = self.weight.abs().amax(dim=1, keepdim=True) / self._max_code
            scale.clamp_(min=math.ldexp(1.0, -126))  # a row of zeros
            quantized = torch.round(self.weight / scale) * scale
        return self.weight + (quantized - self.weight).detach()
