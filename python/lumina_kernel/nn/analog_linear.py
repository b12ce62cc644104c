"""`AnalogLinear`: a torch.nn.Linear on arrays."""

from __future__ import annotations

import math
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from ..checks import checked_int
from ..hardware.profile import Profile
from ..profiles import HardwareProfile
from .analog_module import AnalogModule, AnyProfile, profile_of
from .kinds import check_linear, checked_options
from .noise_keys import NoiseKeys


class AnalogLinear(AnalogModule):
    """y = Σ_t r·s_t·ADC(Σ ŵ·DAC(x/r) + noise) + bias, over the arrays t along the inputs.

    x [..., in_features] -> y [..., out_features] on one device. Arguments are torch.nn.Linear's, and

    profile         of the hardware: a Profile or a preset's name; with a HardwareProfile (the
                    lumina_* presets) the result is an OpticalLinear
    noise_in_eval   whether noise is drawn in eval() mode too, as hardware does
    generator, seed, stream, process_group   of the noise, as OpticalLinear has them

    Gradients are straight-through: rounding counts as the identity, what a converter clips gets 0.
    x and parameters may be float32, float64, float16 or bfloat16: everything is computed in
    float32, and y has x's type.

    Errors: TypeError or ValueError, which name the argument; RuntimeError, a range is not
    calibrated, or a programmed layer is trained.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        profile = profile_of(_given_profile(args, kwargs))
        if cls is AnalogLinear and isinstance(profile, HardwareProfile):
            from .optical_linear import OpticalLinear

            return _optical(OpticalLinear, profile, *args, **kwargs)
        return super().__new__(cls)

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        profile: AnyProfile = "pcm_hwa",
        *,
        device: Union[None, str, torch.device] = None,
        dtype: Optional[torch.dtype] = None,
        noise_in_eval: bool = True,
        generator: Optional[torch.Generator] = None,
        seed: Optional[int] = None,
        stream: Optional[int] = None,
        process_group: Optional[Any] = None,
    ) -> None:
        super().__init__()
        self.in_features = checked_int("in_features", in_features)
        self.out_features = checked_int("out_features", out_features)
        if self.in_features < 1 or self.out_features < 1:
            raise ValueError(
                f"in_features and out_features must be positive, not {in_features}, {out_features}"
            )
        profile = profile_of(profile)
        if not isinstance(profile, Profile):
            raise TypeError(f"profile must be a Profile, not {profile.name!r}, a HardwareProfile")
        kind = checked_options(device, dtype)
        self.weight = nn.Parameter(torch.empty((self.out_features, self.in_features), **kind))
        values = nn.Parameter(torch.empty(self.out_features, **kind)) if bias else None
        self.register_parameter("bias", values)
        self._begin(
            profile,
            None,
            self.in_features,
            self.out_features,
            noise_in_eval,
            NoiseKeys(generator, seed, stream),
            process_group,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn.Linear does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            limit = 1 / math.sqrt(self.in_features)
            nn.init.uniform_(self.bias, -limit, limit)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias  # once: a parametrization computes them anew
        ins, outs = self.in_features, self.out_features
        check_linear(input, weight, bias, ins, outs)
        rows = input if input.dim() == 2 else input.reshape(-1, ins)
        y = self._run(rows, weight, bias).to(input.dtype)
        return y if input.dim() == 2 else y.reshape(*input.shape[:-1], outs)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}, {self._repr_of_hardware()}"
        )


def _given_profile(args: Any, kwargs: Any) -> AnyProfile:
    if len(args) > 3:
        return args[3]
    return kwargs.get("profile", "pcm_hwa")


def _optical(
    cls: Any,
    hardware: HardwareProfile,
    in_features: int,
    out_features: int,
    bias: bool = True,
    profile: Any = None,
    **options: Any,
) -> Any:
    """`profile`: the argument that `hardware` was, by place or name."""
    return cls(in_features, out_features, hardware, bias=bias, **options)
