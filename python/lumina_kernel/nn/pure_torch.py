"""The layer in plain PyTorch, for where the kernels are missing (interface.py), on any device.

Without noise the outputs are those of the kernels as long as sums of codes stay below 2^24, where
float32 is exact; beyond that, with more than 8 bits, and with a DAC whose range does not begin at
0, sums are rounded differently, which can move a value that lies between two codes. Noise is
PyTorch's: that of a key differs from the kernels', and between kinds of devices.
"""

from __future__ import annotations

import functools
import math
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..profiles import Readout
from .converters import AnyConverter, Converter, LimitConverter
from .interface import Kept, LayerSettings, not_finite

NAME = "torch"

#: With more bits the decoded values are multiplied: sums of products of codes would not be exact.
_MOST_CODED_BITS = 8
_SMALLEST_SCALE = 2.0**-149


class Weights(NamedTuple):
    """W [out, in] = matrix·scales, or the matrix itself."""

    matrix: Tensor  # [out, in]
    scales: Optional[Tensor]  # [out]


def in_float32(function: Callable) -> Callable:
    """Autocast would multiply codes with too few digits."""

    @functools.wraps(function)
    def without_autocast(*given):
        tensor = next(each for each in given if isinstance(each, Tensor))
        with torch.autocast("cuda" if tensor.is_cuda else "cpu", enabled=False):
            return function(*given)

    return without_autocast


def all_finite(x: Tensor) -> bool:
    """True also where nobody would wait for the answer."""
    # A sum is one quick pass, but can overflow.
    return not x.is_cpu or math.isfinite(x.sum().item()) or bool(x.isfinite().all())


def generator_on(device: torch.device, key: int) -> Optional[torch.Generator]:
    """Of what is drawn there; None where tensors have no values."""
    return None if device.type == "meta" else torch.Generator(device).manual_seed(key)


def gradient_products(bits: int, wish: Optional[str]) -> str:
    return "float32"


def encode(weight: Tensor, bits: int) -> Weights:
    max_code = (1 << (bits - 1)) - 1
    largest = torch.maximum(weight.amax(1), -weight.amin(1))
    if not all_finite(largest):
        raise not_finite("weight", weight)
    scales = (largest / max_code).clamp_(min=_SMALLEST_SCALE)
    divisors = scales.masked_fill(largest == 0, 1.0)[:, None]  # a row of zeros has codes 0
    codes = (weight / divisors).round_().clamp_(-max_code, max_code)
    if bits <= _MOST_CODED_BITS:
        return Weights(codes, scales)
    return Weights(codes.mul_(scales[:, None]), None)


def on_levels(weight: Tensor, bits: int) -> Tensor:
    """What encoded weights stand for, [out, in]."""
    matrix, scales = encode(weight, bits)
    return matrix if scales is None else matrix.mul_(scales[:, None])


def _codes(values: Tensor, converter: AnyConverter) -> Tensor:
    codes = values.clamp(converter.lo, converter.hi)
    if isinstance(converter, LimitConverter) or converter.origin != 0.0:
        codes.sub_(converter.origin)
    return codes.div_(converter.step).round_()


def _decode(codes: Tensor, converter: AnyConverter) -> Tensor:
    """In place of the codes."""
    if isinstance(converter, LimitConverter):
        return codes.mul_(converter.step).add_(converter.origin)
    origin = codes.new_full((), converter.origin)
    return torch.add(origin, codes, alpha=converter.step, out=codes)


def convert(values: Tensor, converter: AnyConverter) -> Tensor:
    return _decode(_codes(values, converter), converter)


def _gate(gradient: Tensor, values: Tensor, converter: AnyConverter) -> Tensor:
    """`gradient` where lo ≤ values ≤ hi, else 0."""
    if isinstance(converter, LimitConverter):
        return gradient.masked_fill(values.abs() > converter.limit, 0.0)
    # One pass, many times as fast as comparing and selecting; it shuts at the ends it is given.
    below = float(np.nextafter(np.float32(converter.lo), np.float32(-np.inf)))
    above = float(np.nextafter(np.float32(converter.hi), np.float32(np.inf)))
    return torch.ops.aten.hardtanh_backward(gradient, values, below, above)


def _dot_products(codes: Tensor, weights: Weights, dac: Converter) -> Tensor:
    sums = F.linear(codes, weights.matrix)
    factors = weights.scales * dac.step
    if dac.origin == 0.0:
        return sums.mul_(factors)
    offsets = (weights.scales * dac.origin).mul_(weights.matrix.sum(1))
    return torch.addcmul(offsets, sums, factors)


@in_float32
def product(x: Tensor, weights: Weights, dac: Optional[Converter]) -> Tensor:
    """DAC(x)·Wᵀ"""
    if dac is None:
        return F.linear(x, weights.matrix)
    if weights.scales is None:
        return F.linear(convert(x, dac), weights.matrix)
    return _dot_products(_codes(x, dac), weights, dac)


def read_out(s: Tensor, readout: Readout, key: Optional[int]) -> Tensor:
    """In place of the dot products."""
    gain, shot_noise, noise, attenuation = readout
    if key is None:
        return s.mul_(gain).mul_(attenuation)
    normals = torch.empty_like(s)
    normals.normal_(generator=generator_on(s.device, key))
    if shot_noise == 0.0:
        return s.mul_(gain).add_(normals, alpha=noise).mul_(attenuation)
    # Shot noise and additive noise are independent: their sum is one normal of summed variances.
    deviations = s.abs().mul_(shot_noise**2).add_(noise**2).sqrt_()
    return s.mul_(gain).addcmul_(deviations, normals).mul_(attenuation)


def _largest_magnitude(v: Tensor) -> Union[float, Tensor]:
    least, most = v.aminmax()
    return max(abs(least.item()), abs(most.item())) if v.is_cpu else torch.maximum(-least, most)


@in_float32
def forward(
    x: Tensor,
    weights: Weights,
    bias: Optional[Tensor],
    settings: LayerSettings,
) -> Tuple[Tensor, Union[float, Tensor], Optional[Kept]]:
    if not all_finite(x):
        raise not_finite("input", x)
    dac, keep = settings.dac, settings.keep
    x_values = _codes(x, dac)
    if weights.scales is not None:
        s = _dot_products(x_values, weights, dac)
        if keep:
            _decode(x_values, dac)
    else:
        s = F.linear(_decode(x_values, dac), weights.matrix)
    v = read_out(s, settings.readout, settings.key)
    largest = _largest_magnitude(v) if settings.track and v.numel() != 0 else 0.0
    y = convert(v, settings.adc)
    if bias is not None:
        y.add_(bias)
    return y, largest, Kept((x_values, v, *weights)) if keep else None


@in_float32
def backward(
    kept: Kept,
    grad_y: Tensor,
    x: Tensor,
    settings: LayerSettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    x_values, v, matrix, scales = kept.tensors
    readout = settings.readout
    need_x, need_weight, need_bias = needed
    out_features, in_features = matrix.shape
    grad_x = grad_weight = grad_bias = None
    if need_bias:
        grad_bias = grad_y.reshape(-1, out_features).sum(0)
    if need_x or need_weight:
        grad_s = _gate(grad_y, v, settings.adc).mul_(readout.attenuation * readout.gain)
    if need_weight:
        rows = grad_s.reshape(-1, out_features)
        grad_weight = rows.t() @ x_values.reshape(-1, in_features)
    if need_x:
        scaled = grad_s if scales is None else grad_s.mul_(scales)
        grad_x = _gate(scaled @ matrix, x, settings.dac)
    return [grad_x, grad_weight, grad_bias]


@in_float32
def backward_by_gate(
    grad_y: Tensor,
    passed: Tensor,
    x: Tensor,
    matrix: Tensor,
    settings: LayerSettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    """backward() for a computation that knows W [out, in] and which outputs its ADC let through, as
    grad_y is."""
    need_x, need_weight, need_bias = needed
    gradients: List[Optional[Tensor]] = [None, None, None]
    readout, dac = settings.readout, settings.dac
    grad_s = grad_y.masked_fill(~passed, 0.0).mul_(readout.attenuation * readout.gain)
    if need_x:
        gradients[0] = _gate(grad_s @ matrix, x, dac)
    if need_weight:
        x_values = convert(x, dac).flatten(0, -2)
        gradients[1] = grad_s.flatten(0, -2).t() @ x_values
    if need_bias:
        gradients[2] = grad_y.flatten(0, -2).sum(0)
    return gradients


def record_like(y: Tensor) -> Tensor:
    return torch.empty_like(y)


def record(kept: Kept, y: Tensor) -> Tensor:
    return kept.tensors[1]


def kept_from(record: Tensor, x: Tensor, weights: Weights, settings: LayerSettings) -> Kept:
    return Kept((convert(x, settings.dac), record, *weights))
