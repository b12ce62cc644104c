"""The layer's place in autograd."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd.function import Function, once_differentiable

from . import selection
from .selection import Kept, LayerSettings


class LayerPass(NamedTuple):
    """What one forward pass computes with, besides its tensors."""

    weights: Any  #: as the backend has encoded them
    settings: LayerSettings
    key: Optional[int]  #: of the noise, None for none
    track: bool  #: whether the largest |v| is asked for


def run(
    input: Tensor, weight: Tensor, bias: Optional[Tensor], layer_pass: LayerPass
) -> Tuple[Tensor, float]:
    """(y, the largest |v| or 0); y has gradients by the three tensors, where they want them."""
    if torch.is_grad_enabled() and (
        input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    ):
        return _LayerFunction.apply(input, weight, bias, layer_pass)
    y, largest, _ = _forward(input, bias, layer_pass, keep=False)
    return y, largest


def _forward(
    input: Tensor, bias: Optional[Tensor], layer_pass: LayerPass, keep: bool
) -> Tuple[Tensor, float, Optional[Kept]]:
    weights, settings, key, track = layer_pass
    if input.requires_grad:
        input = input.detach()
    if bias is not None:
        bias = bias.detach()
    return selection.active.forward(input, weights, bias, settings, key, keep, track)


class _LayerFunction(Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Optional[Tensor], layer_pass: LayerPass
    ) -> Tuple[Tensor, float]:
        y, largest, kept = _forward(input, bias, layer_pass, keep=True)
        ctx.save_for_backward(input, *kept.tensors)
        ctx.kept_rest = kept.rest
        ctx.settings = layer_pass.settings
        return y, largest

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, _: None) -> Tuple[Optional[Tensor], ...]:
        input, *tensors = ctx.saved_tensors
        kept = Kept(tuple(tensors), ctx.kept_rest)
        gradients = selection.active.backward(
            kept, grad_y.detach(), input.detach(), ctx.settings, ctx.needs_input_grad[:3]
        )
        return (*gradients, None)
