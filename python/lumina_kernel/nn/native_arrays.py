"""Layers on arrays on the library's kernels (array_interface.py)."""

from __future__ import annotations

import math
from typing import List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from .. import _core
from ..array_layout import products
from ..array_settings import (
    ArraySettings,
    Encoding,
    Kernel,
    adc_stages,
    call_numbers,
    encoding_numbers,
    noise_stages,
)
from .array_interface import KeptPass
from .interface import not_finite

NAME = "native"

# Memory that every layer's backward pass uses again.
_workspace = _core.Workspace()


class Weights(NamedTuple):
    held: _core.ArrayWeights
    encoding: Encoding
    kernel: Optional[Kernel]
    shape: torch.Size  #: as they were given


def encode(weight: Tensor, encoding: Encoding, kernel: Optional[Kernel] = None) -> Weights:
    rows = weight.resolve_neg().reshape(weight.shape[0], -1)
    held = _core.ArrayWeights(rows, encoding_numbers(encoding), kernel)
    return Weights(held, encoding, kernel, weight.shape)


def tiles(weights: Weights) -> int:
    return weights.held.tiles


def devices(weights: Weights) -> List[Tensor]:
    return [each.mul_(weights.held.code_value) for each in codes(weights)]


def codes(weights: Weights) -> List[Tensor]:
    """As floats, as devices() are."""
    codes = torch.from_numpy(weights.held.codes()).float()
    if weights.kernel is None:
        return [codes.reshape(weights.shape)]
    own = products(weights.kernel)
    sizes = [each.outputs * each.channels * math.prod(weights.kernel.size) for each in own]
    return [part.reshape(each.outputs, -1) for part, each in zip(codes.split(sizes), own)]


def scales(weights: Weights) -> Tensor:
    return torch.from_numpy(weights.held.scales())


def compensate(weights: Weights, factors: Tensor) -> Weights:
    weights.held.multiply_scales(factors.expand(scales(weights).shape).reshape(-1))
    return weights


def _stages(weights: Weights, bound: Optional[Tensor], settings: ArraySettings) -> List:
    stages = noise_stages(settings)
    if bound is not None and settings.adc_bits is not None:
        outputs = weights.shape[0]
        stages += adc_stages(settings.adc_bits, bound.numpy(), weights.held.tiles, outputs)
    return stages


def _output_like(x: Tensor, weights: Weights) -> Tensor:
    kernel = weights.kernel
    if kernel is None:
        return x.new_empty((x.shape[0], weights.shape[0]))
    y = x.new_empty((x.shape[0], kernel.outputs, *kernel.output_size(x.shape[2:])))
    return y.contiguous(memory_format=torch.channels_last_3d) if _channels_last(x) else y


def _channels_last(x: Tensor) -> bool:
    if x.dim() != 5 or x.is_contiguous():
        return False
    return x.is_contiguous(memory_format=torch.channels_last_3d)


def _images(x: Tensor, channels_last: bool) -> Tensor:
    """[N, C, D, H, W] as it lies, or [N, D, H, W, C]."""
    if not channels_last:
        return x.contiguous()
    return x.contiguous(memory_format=torch.channels_last_3d).permute(0, 2, 3, 4, 1)


def _run(
    x: Tensor,
    weights: Weights,
    bias: Optional[Tensor],
    bound: Optional[Tensor],
    settings: ArraySettings,
    record: Optional[_core.ForwardRecord],
    outputs: Optional[Tensor],
) -> Tensor:
    x = x.resolve_neg()
    convolves, last = weights.kernel is not None, _channels_last(x)
    images = _images(x, last) if convolves else x
    if not _core.all_finite(images.flatten(1)):
        raise not_finite("input", x)
    y = _output_like(x, weights)
    call, stages = call_numbers(settings), _stages(weights, bound, settings)
    threads = torch.get_num_threads()
    if not convolves:
        _core.forward_arrays(x, weights.held, y, bias, call, stages, record, outputs, threads)
    else:
        _core.forward_convolution(
            images,
            weights.held,
            _images(y, last),
            bias,
            weights.kernel,
            last,
            call,
            stages,
            record,
            outputs,
            threads,
        )
    return y


def forward(
    x: Tensor,
    weights: Weights,
    bias: Optional[Tensor],
    bound: Optional[Tensor],
    settings: ArraySettings,
    keep: bool,
) -> Tuple[Tensor, Optional[KeptPass]]:
    record = _core.ForwardRecord() if keep else None
    y = _run(x, weights, bias, bound, settings, record, None)
    return y, KeptPass((), (record, weights)) if keep else None


def outputs(
    x: Tensor, weights: Weights, bound: Optional[Tensor], settings: ArraySettings
) -> Tensor:
    kernel = weights.kernel
    rows = x.shape[0]
    if kernel is not None:
        for size in kernel.output_size(x.shape[2:]):
            rows *= size
    seen = x.new_empty((rows, weights.held.tiles, weights.shape[0]))
    # (A convolution of several products may have fewer arrays in one of them.)
    seen.zero_()
    _run(x, weights, None, bound, settings._replace(bound_iterations=0), None, seen)
    return seen


def backward(
    kept: KeptPass,
    grad_y: Tensor,
    x: Tensor,
    bound: Optional[Tensor],
    settings: ArraySettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    record, weights = kept.rest
    need_x, need_weight, need_bias = needed
    x = x.resolve_neg()
    rows = weights.shape[0]
    grad_x = torch.empty_like(x) if need_x else None
    grad_weight = x.new_empty((rows, weights.shape[1:].numel())) if need_weight else None
    grad_bias = x.new_empty(rows) if need_bias else None
    # Noise has no part in it; a convolution's backward pass refuses that of products.
    stages = _stages(weights, bound, settings._replace(key=None))
    call = call_numbers(settings)
    rest = (_workspace, torch.get_num_threads())
    if weights.kernel is None:
        grad_x = None if grad_x is None else grad_x.contiguous()
        _core.backward_arrays(
            record,
            grad_y.resolve_neg(),
            x,
            weights.held,
            call,
            stages,
            settings.gradient_products,
            grad_x,
            grad_weight,
            grad_bias,
            *rest,
        )
    else:
        last = _channels_last(x)
        if grad_x is not None and not last:
            grad_x = grad_x.contiguous()
        _core.backward_convolution(
            record,
            _images(grad_y.resolve_neg(), last),
            _images(x, last),
            weights.held,
            weights.kernel,
            last,
            call,
            stages,
            settings.gradient_products,
            None if grad_x is None else _images(grad_x, last),
            grad_weight,
            grad_bias,
            *rest,
        )
    if grad_weight is not None:
        noise = weights.encoding.noise
        if noise is not None and (noise.kind == "multiplicative" or noise.drop_connect):
            _core.perturb_gradient(
                grad_weight, encoding_numbers(weights.encoding), weights.kernel, *grad_weight.shape
            )
        grad_weight = grad_weight.reshape(weights.shape)
    return [grad_x, grad_weight, grad_bias]


def record_like(y: Tensor, gates: int) -> Tensor:
    """[rows, bytes of a row]: a bit for each output and array."""
    out = y.shape[1]
    rows = y.numel() // max(out, 1)
    row = -(-out // 8) if gates == 1 else gates * -(-out // 128) * 16
    return y.new_empty((rows, row), dtype=torch.uint8)


def record(kept: KeptPass, y: Tensor) -> Tensor:
    filled, weights = kept.rest
    bits = record_like(y, filled.gates)
    if bits.numel() != 0:
        filled.save(bits)
    return bits


def kept_from(record: Tensor, x: Tensor, weights: Weights, settings: ArraySettings) -> KeptPass:
    filled = _core.ForwardRecord()
    gates = weights.held.tiles if settings.adc_bits is not None else 0
    _core.restore_array_record(filled, weights.held, record.contiguous(), gates)
    return KeptPass((), (filled, weights))
