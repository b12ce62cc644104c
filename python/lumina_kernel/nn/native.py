"""The layer on the library's kernels: one pass over memory (interface.py)."""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple, Union

import torch
from torch import Tensor

from .. import CodedWeights, PackedWeights, _core
from .interface import Kept, LayerSettings, not_finite

NAME = "native"

#: With more bits the decoded values are multiplied in float32.
_MOST_CODED_BITS = 8

Weights = Union[CodedWeights, PackedWeights]

# Memory that every layer's backward pass uses again.
_workspace = _core.Workspace()


def _rows(t: Tensor) -> Tensor:
    """`t` [..., columns] as a matrix, in place where the strides allow it."""
    t = t.resolve_neg()  # a sign that PyTorch has put off
    return t if t.dim() == 2 else t.reshape(-1, t.shape[-1])


def gradient_products(bits: int, wish: Optional[str]) -> str:
    if bits > _MOST_CODED_BITS:
        return "float32"
    return wish or _core.gradient_products_in_use()


def encode(weight: Tensor, bits: int) -> Weights:
    kind = CodedWeights if bits <= _MOST_CODED_BITS else PackedWeights
    return kind(_rows(weight), bits)


def forward(
    x: Tensor,
    weights: Weights,
    bias: Optional[Tensor],
    settings: LayerSettings,
) -> Tuple[Tensor, float, Optional[Kept]]:
    rows = _rows(x)
    if not _core.all_finite(rows):
        raise not_finite("input", x)
    y = x.new_empty((*x.shape[:-1], weights.shape[0]))
    record = _core.ForwardRecord() if settings.keep else None
    threads = torch.get_num_threads()
    largest = _core.forward(rows, weights, _rows(y), bias, settings, record, threads)
    return y, largest, Kept((), (record, weights)) if settings.keep else None


def backward(
    kept: Kept,
    grad_y: Tensor,
    x: Tensor,
    settings: LayerSettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    record, weights = kept.rest
    shapes = (x.shape, weights.shape, weights.shape[:1])
    gradients = [x.new_empty(shape) if need else None for shape, need in zip(shapes, needed)]
    grad_x, grad_w, grad_bias = gradients
    _core.backward(
        record,
        _rows(grad_y),
        _rows(x),
        weights,
        settings,
        None if grad_x is None else _rows(grad_x),
        grad_w,
        grad_bias,
        _workspace,
        torch.get_num_threads(),
    )
    return gradients


def record_like(y: Tensor) -> Tensor:
    return y.new_empty((*y.shape[:-1], -(-y.shape[-1] // 8)), dtype=torch.uint8)


def record(kept: Kept, y: Tensor) -> Tensor:
    bits = record_like(y)
    kept.rest[0].save(_rows(bits))
    return bits


def kept_from(record: Tensor, x: Tensor, weights: Weights, settings: LayerSettings) -> Kept:
    filled = _core.ForwardRecord()
    filled.restore(weights, _rows(record).contiguous())
    return Kept((), (filled, weights))
