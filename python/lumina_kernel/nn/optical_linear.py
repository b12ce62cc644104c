"""`OpticalLinear`: a torch.nn.Linear on simulated analog hardware."""

from __future__ import annotations

import math
from typing import Optional, Tuple, Union

import torch
from torch import Tensor, nn

from ..checks import checked_int
from ..profiles import HardwareProfile, hardware_profile as preset
from . import selection
from .converters import Converter, checked_range
from .function import LayerPass, run
from .noise_keys import NoiseKeys
from .selection import LayerSettings
from .weight_cache import WeightCache

# A tracked range is kept within what an ADC can have.
_SMALLEST_LIMIT = 2.0**-60
_LARGEST_LIMIT = torch.finfo(torch.float32).max / 4


class OpticalLinear(nn.Module):
    """y = ADC(v) + bias,  v = a·((1 − 0.8·t)·s + noise_level·√|s|·N1 + 0.005·N2),  s = DAC(x)·Wᵀ

    x [..., in_features] -> y [..., out_features], float32 on the CPU; N1, N2 ~ N(0, 1) independent.
    The weights have a scale for each output. Gradients are straight-through: rounding counts as
    the identity, what a converter clips gets 0. Noise is drawn in training, and in eval() only
    with `noise_in_eval`.

    hardware_profile  a preset's name or a HardwareProfile: attenuation a and what is None here
    precision         bits of DAC, weights and ADC, 2 … 16
    noise_level       strength of the shot noise, 0 or more
    temp_drift        t, 0 … 1
    input_range       (lo, hi) of the DAC
    output_range      (lo, hi) of the ADC. None: ± the largest |v| of all training batches so far,
                      kept in the buffer `adc_limit` (0: not known yet); a batch is converted with
                      the range that those before it have left, the very first one with its own
    generator, seed   of the noise; without either it follows torch.manual_seed()

    Weights are encoded when they have changed. What autograd's version counter does not see, a
    change through `weight.data` or a NumPy array, is noticed at the next train() or eval().

    The constructor raises TypeError or ValueError, and names the argument. forward() raises
    TypeError for an x that is no float32 tensor; ValueError if it is not dense, not on the CPU, has
    another number of columns, NaN or Inf, or if a weight is NaN or Inf; RuntimeError in eval()
    while the tracked range is not known.
    """

    in_features: int
    out_features: int
    hardware_profile: HardwareProfile
    weight: Tensor
    bias: Optional[Tensor]
    adc_limit: Optional[Tensor]

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hardware_profile: Union[str, HardwareProfile] = "lumina_nano_v1",
        precision: Optional[int] = None,
        noise_level: Optional[float] = None,
        bias: bool = False,
        temp_drift: Optional[float] = None,
        *,
        input_range: Tuple[float, float] = (0.0, 1.0),
        output_range: Optional[Tuple[float, float]] = None,
        noise_in_eval: bool = False,
        generator: Optional[torch.Generator] = None,
        seed: Optional[int] = None,
        device: Union[None, str, torch.device] = None,
        dtype: Optional[torch.dtype] = None,
    ) -> None:
        super().__init__()
        _check_kind(device, dtype)
        in_features = checked_int("in_features", in_features)
        out_features = checked_int("out_features", out_features)
        if in_features < 1 or out_features < 1:
            raise ValueError(
                f"in_features and out_features must be positive, not {in_features}, {out_features}"
            )
        if isinstance(hardware_profile, str):
            hardware_profile = preset(hardware_profile)
        elif not isinstance(hardware_profile, HardwareProfile):
            raise TypeError(
                "hardware_profile must be a preset's name or a HardwareProfile, not "
                f"{type(hardware_profile).__name__}"
            )
        profile = hardware_profile.replaced(precision, noise_level, temp_drift)
        self.in_features = in_features
        self.out_features = out_features
        self.hardware_profile = profile
        self.noise_in_eval = noise_in_eval
        self.input_range = checked_range("input_range", input_range, profile.bits)
        self.output_range = None
        if output_range is not None:
            self.output_range = checked_range("output_range", output_range, profile.bits)
        self._dac = Converter(profile.bits, *self.input_range)
        self._readout = profile.readout
        self._noise_keys = NoiseKeys(generator, seed)
        self._weight_cache = WeightCache()

        kind = {"dtype": torch.float32, "device": "cpu"}
        self.weight = nn.Parameter(torch.empty((out_features, in_features), **kind))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, **kind))
        else:
            self.register_parameter("bias", None)
        self.register_buffer("adc_limit", torch.zeros((), **kind) if output_range is None else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn.Linear does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor) -> Tensor:
        self._check(input)
        if self.output_range is not None:
            return self._run(input, self.output_range, self._draw_key())[0]
        limit = self.adc_limit.item()
        if limit != 0.0 and not _SMALLEST_LIMIT <= limit <= _LARGEST_LIMIT:
            raise RuntimeError(f"OpticalLinear: adc_limit is {limit}, which no batch leaves there")
        if self.training and input.numel() > 0:
            return self._run_tracking(input, limit)
        if limit == 0.0 and not self.training:
            raise RuntimeError(
                "OpticalLinear: the ADC's range is tracked and not known yet; run a batch in "
                "train() mode, load a trained state_dict, or give an output_range"
            )
        # A first batch without rows takes any range.
        return self._run(input, _symmetric(limit or 1.0), self._draw_key())[0]

    def _run_tracking(self, input: Tensor, limit: float) -> Tensor:
        key = self._draw_key()
        first = limit == 0.0
        if first:
            with torch.no_grad():
                largest = self._run(input, _symmetric(1.0), key, track=True)[1]
            self.adc_limit.fill_(_limit_for(largest))
            limit = self.adc_limit.item()
        y, largest = self._run(input, _symmetric(limit), key, track=not first)
        if largest > limit:
            self.adc_limit.fill_(_limit_for(largest))
        return y

    def _draw_key(self) -> Optional[int]:
        return self._noise_keys.draw() if self.training or self.noise_in_eval else None

    def _run(
        self,
        input: Tensor,
        adc_range: Tuple[float, float],
        key: Optional[int],
        track: bool = False,
    ) -> Tuple[Tensor, float]:
        bits = self.hardware_profile.bits
        weight = self.weight
        weights = self._weight_cache.encoded(weight, bits)
        settings = LayerSettings(self._dac, self._readout, Converter(bits, *adc_range))
        return run(input, weight, self.bias, LayerPass(weights, settings, key, track))

    def _check(self, input: Tensor) -> None:
        """What every computation relies on; NaN and Inf it refuses itself."""
        if not isinstance(input, Tensor):
            raise TypeError(f"input must be a torch.Tensor, not {type(input).__name__}")
        if input.dtype != torch.float32:
            raise TypeError(f"input {list(input.shape)} must be float32, not {input.dtype}")
        if input.is_nested:
            raise ValueError("input must be one tensor, not a nested one")
        if input.layout != torch.strided:
            raise ValueError(f"input {list(input.shape)} must be dense, not {input.layout}")
        if not input.is_cpu:
            raise ValueError(f"input {list(input.shape)} must be on the CPU, not {input.device}")
        if input.dim() == 0 or input.shape[-1] != self.in_features:
            raise ValueError(
                f"input is {list(input.shape)}, but must be [..., {self.in_features}] for a weight "
                f"{list(self.weight.shape)}"
            )

    def train(self, mode: bool = True) -> OpticalLinear:
        self._weight_cache.clear()
        return super().train(mode)

    def extra_repr(self) -> str:
        profile = self.hardware_profile
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, hardware_profile={profile.name!r}, "
            f"precision={profile.bits}, noise_level={profile.noise_level:g}, "
            f"temp_drift={profile.temp_drift:g}, input_range={self.input_range}, "
            f"output_range={self.output_range or 'tracked'}, backend={selection.backend()}"
        )


def _check_kind(device: Union[None, str, torch.device], dtype: Optional[torch.dtype]) -> None:
    if dtype not in (None, torch.float32):
        raise TypeError(f"dtype must be torch.float32, not {dtype}")
    if device is not None and torch.device(device).type != "cpu":
        raise ValueError(f"device must be the CPU, not {device}")


def _symmetric(limit: float) -> Tuple[float, float]:
    return -limit, limit


def _limit_for(largest: float) -> float:
    return min(max(largest, _SMALLEST_LIMIT), _LARGEST_LIMIT)
