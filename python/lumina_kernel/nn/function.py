"""The layer's place in autograd."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

from . import recomputation, selection
from .interface import Kept
from .limits import Limit
from .passes import Passes, PassKind


def run(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    weights: Any,
    frozen: bool,
    passes: Passes,
    kind: PassKind,
    number: Optional[int],
    limit: Limit,
) -> Tuple[Tensor, Limit]:
    """(y, the limit that Passes.run() gives); y has gradients by x, weight and bias, where they
    want them. `weights`: `weight` in encoded form. A backward pass by a weight or bias that is
    `frozen` raises RuntimeError."""
    if (
        torch.is_grad_enabled()
        and (x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad))
    ) or forward_ad._current_level >= 0:  # tangents must not be lost silently
        # Recorded as it is, it is not run again; unless a hook drops what it keeps.
        remember = recomputation.hooked()
        return _LayerFunction.apply(
            x, weight, bias, weights, frozen, passes, kind, number, limit, remember
        )
    result = passes.run(_detached(x), weights, _detached(bias), kind, number, limit, keep=False)
    return result.y, result.limit


def refuse_forward_mode(ctx: Any, *_: Any) -> None:
    raise RuntimeError(
        "lumina_kernel.nn has no forward-mode derivatives (jvp, jacfwd, hessian): take gradients "
        "backward (grad, vjp, jacrev)"
    )


_NO_GRADIENTS = (None,) * 7


def _detached(tensor: Optional[Tensor]) -> Optional[Tensor]:
    return tensor.detach() if tensor is not None and tensor.requires_grad else tensor


class _LayerFunction(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Optional[Tensor],
        weights: Any,
        frozen: bool,
        passes: Passes,
        kind: PassKind,
        number: Optional[int],
        limit: Limit,
        remember: bool,
    ) -> Tuple[Tensor, Limit]:
        y, ctx.settings, _, limit, kept = passes.run(
            _detached(x), weights, _detached(bias), kind, number, limit, True, remember
        )
        ctx.save_for_backward(x, *kept.tensors)
        ctx.kept_rest = kept.rest
        ctx.frozen = frozen
        if isinstance(limit, Tensor):
            ctx.mark_non_differentiable(limit)
        return y, limit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor, _: None) -> Tuple[Optional[Tensor], ...]:
        needed = ctx.needs_input_grad[:3]
        if ctx.frozen and (needed[1] or needed[2]):
            raise RuntimeError(
                "OpticalLinear: a frozen layer can't be trained: call lumina_kernel.nn.unfreeze() "
                "first; or, for gradients by its input alone, requires_grad_(False) on the layer"
            )
        x, *tensors = ctx.saved_tensors
        kept = Kept(tuple(tensors), ctx.kept_rest)
        gradients = selection.computation(x.device).backward(
            kept, grad_y.detach(), x.detach(), ctx.settings, needed
        )
        return (*gradients, *_NO_GRADIENTS)

    jvp = staticmethod(refuse_forward_mode)
