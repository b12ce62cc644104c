"""`AnalogConv1d`, `AnalogConv2d`, `AnalogConv3d`: torch.nn's convolutions on arrays."""

from __future__ import annotations

import math
from typing import Any, Optional, Tuple, Union

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..array_settings import Kernel
from ..checks import checked_int
from ..hardware.profile import Profile
from .analog_module import AnalogModule, AnyProfile, profile_of
from .kinds import check_operands, checked_options, float32
from .noise_keys import NoiseKeys

Sizes = Union[int, Tuple[int, ...]]

_PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _AnalogConv(AnalogModule):
    """Patches are rows of a product; pixels are the inputs of arrays, filters their columns.

    x [N, C, …] or [C, …] -> y, as torch.nn's convolutions. The weights of several groups share
    arrays, with devices that are off between them. Arguments are torch.nn's, and those of
    AnalogLinear, as are the rest.
    """

    _dimensions: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Union[str, Sizes] = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
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
        numbers = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        for name, number in numbers.items():
            setattr(self, name, checked_int(name, number))
            if number < 1:
                raise ValueError(f"{name} must be positive, not {number}")
        for name in ("in_channels", "out_channels"):
            if numbers[name] % groups:
                raise ValueError(f"{name} must be a multiple of groups, {groups}, not {numbers[name]}")
        if padding_mode not in _PADDING_MODES:
            raise ValueError(f"padding_mode must be one of {_PADDING_MODES}, not {padding_mode!r}")
        profile = profile_of(profile)
        if not isinstance(profile, Profile):
            raise TypeError(f"profile must be a Profile, not {profile.name!r}, a HardwareProfile")
        self.kernel_size = self._sizes("kernel_size", kernel_size, 1)
        self.stride = self._sizes("stride", stride, 1)
        self.dilation = self._sizes("dilation", dilation, 1)
        self.padding_mode = padding_mode
        self.padding = padding if isinstance(padding, str) else self._sizes("padding", padding, 0)
        self._ends = self._padded_ends()
        kind = checked_options(device, dtype)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, **kind))
        values = nn.Parameter(torch.empty(out_channels, **kind)) if bias else None
        self.register_parameter("bias", values)
        kernel = self._kernel_of()
        taps = math.prod(kernel.size)
        self._begin(
            profile,
            kernel,
            taps * in_channels,
            out_channels,
            noise_in_eval,
            NoiseKeys(generator, seed, stream),
            process_group,
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """As torch.nn's convolutions do."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            inputs = self.weight[0].numel()
            limit = 1 / math.sqrt(inputs) if inputs else 0.0
            nn.init.uniform_(self.bias, -limit, limit)

    def forward(self, input: Tensor) -> Tensor:
        weight, bias = self.weight, self.bias
        check_operands(input, weight, bias)
        dimensions = self._dimensions
        batched = input.dim() == dimensions + 2
        channels = -dimensions - 1
        if input.dim() not in (-channels, 1 - channels) or input.shape[channels] != self.in_channels:
            raise ValueError(
                f"input is {list(input.shape)}, but must be [N, {self.in_channels}"
                f"{', size' * dimensions}] or [{self.in_channels}{', size' * dimensions}] for a "
                f"weight {list(weight.shape)}"
            )
        images = input if batched else input.unsqueeze(0)
        images = self._pad(images)
        for _ in range(3 - dimensions):
            images = images.unsqueeze(2)
        kernel = self._spec.kernel
        size = kernel.output_size(images.shape[2:])
        if 0 in size:
            raise ValueError(
                f"input is {list(input.shape)}; its images, padded, are smaller than the kernel "
                f"{list(self.kernel_size)} with dilation {list(self.dilation)}"
            )
        y = self._run(images, weight, bias).to(input.dtype)
        y = y.reshape(y.shape[0], y.shape[1], *y.shape[5 - dimensions :])
        return y if batched else y.squeeze(0)

    def _filters(self, weight: Tensor) -> Tensor:
        return float32(weight).reshape(*weight.shape[:2], *self._spec.kernel.size)

    def _sizes(self, name: str, given: Sizes, least: int) -> Tuple[int, ...]:
        if isinstance(given, (tuple, list)):
            sizes = tuple(checked_int(name, each) for each in given)
            if len(sizes) != self._dimensions:
                raise ValueError(f"{name} must have {self._dimensions} numbers, not {given}")
        else:
            sizes = (checked_int(name, given),) * self._dimensions
        if min(sizes) < least:
            raise ValueError(f"{name} must be at least {least}, not {given}")
        return sizes

    def _padded_ends(self) -> Tuple[Tuple[int, int], ...]:
        """Of each dimension: in front and behind. Error: ValueError."""
        if not isinstance(self.padding, str):
            return tuple((each, each) for each in self.padding)
        if self.padding == "valid":
            return ((0, 0),) * self._dimensions
        if self.padding != "same":
            raise ValueError(f"padding must be numbers, 'valid' or 'same', not {self.padding!r}")
        if set(self.stride) != {1}:
            raise ValueError(f"padding 'same' needs strides of 1, not {self.stride}")
        both = [(size - 1) * step for size, step in zip(self.kernel_size, self.dilation)]
        return tuple((all // 2, all - all // 2) for all in both)

    @property
    def _pads_zeros_alike(self) -> bool:
        return self.padding_mode == "zeros" and all(a == b for a, b in self._ends)

    def _pad(self, images: Tensor) -> Tensor:
        """What the kernel itself does not pad."""
        if self._pads_zeros_alike:
            return images
        ends = [end for pair in reversed(self._ends) for end in pair]
        mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
        return F.pad(images, ends, mode=mode)

    def _kernel_of(self) -> Kernel:
        def three(sizes: Tuple[int, ...], missing: int) -> Tuple[int, int, int]:
            return (*(missing,) * (3 - self._dimensions), *sizes)

        padding = [front for front, _ in self._ends] if self._pads_zeros_alike else ()
        return Kernel(
            self.in_channels,
            self.out_channels,
            three(self.kernel_size, 1),
            three(self.stride, 1),
            three(tuple(padding) or (0,) * self._dimensions, 0),
            three(self.dilation, 1),
            self.groups,
        )

    def extra_repr(self) -> str:
        optional = {
            "padding": (self.padding, (0,) * self._dimensions),
            "dilation": (self.dilation, (1,) * self._dimensions),
            "groups": (self.groups, 1),
            "bias": (self.bias is not None, True),
            "padding_mode": (self.padding_mode, "zeros"),
        }
        given = "".join(f"{k}={v!r}, " for k, (v, usual) in optional.items() if v != usual)
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, {given}{self._repr_of_hardware()}"
        )


class AnalogConv1d(_AnalogConv):
    __doc__ = _AnalogConv.__doc__
    _dimensions = 1


class AnalogConv2d(_AnalogConv):
    __doc__ = _AnalogConv.__doc__
    _dimensions = 2


class AnalogConv3d(_AnalogConv):
    __doc__ = _AnalogConv.__doc__
    _dimensions = 3
