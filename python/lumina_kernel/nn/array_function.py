"""The place of layers on arrays in autograd."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.autograd.function import Function, once_differentiable

from . import recomputation
from .array_interface import KeptPass
from .array_passes import ArrayPasses
from .array_spec import ArraySpec, Ranges
from .function import refuse_forward_mode


def run(
    spec: ArraySpec,
    passes: ArrayPasses,
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    ranges: Ranges,
    training: bool,
    number: Optional[int],
    source: Tensor,
) -> Tensor:
    """y, with gradients by x, weight and bias where they want them."""
    wanted = x.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
    if (torch.is_grad_enabled() and wanted) or forward_ad._current_level >= 0:
        remember = recomputation.hooked()
        return _ArrayFunction.apply(
            x, weight, bias, spec, passes, ranges, training, number, remember, source
        )
    x, weight, bias = x.detach(), weight.detach(), _detached(bias)
    with torch.no_grad():
        return passes.run_on_arrays(
            spec, x, weight, bias, ranges, training, number, False, True, source
        ).y


def refuse_programmed(spec: ArraySpec) -> RuntimeError:
    return RuntimeError(
        f"{spec.name}: a programmed layer can't be trained: call lumina_kernel.nn.unprogram() "
        "first; or, for gradients by its input alone, requires_grad_(False) on the layer"
    )


def _detached(tensor: Optional[Tensor]) -> Optional[Tensor]:
    return None if tensor is None else tensor.detach()


class _ArrayFunction(Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Optional[Tensor],
        spec: ArraySpec,
        passes: ArrayPasses,
        ranges: Ranges,
        training: bool,
        number: Optional[int],
        remember: bool,
        source: Tensor,
    ) -> Tensor:
        tensors = x.detach(), weight.detach(), _detached(bias), ranges
        y, kept, ctx.settings, bound, ctx.computation, ctx.programmed = passes.run_on_arrays(
            spec, *tensors, training, number, True, remember, source
        )
        ctx.save_for_backward(x, bound, *kept.tensors)
        ctx.kept_rest, ctx.spec = kept.rest, spec
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_y: Tensor) -> Tuple[Optional[Tensor], ...]:
        needed = ctx.needs_input_grad[:3]
        if ctx.programmed and (needed[1] or needed[2]):
            raise refuse_programmed(ctx.spec)
        x, bound, *tensors = ctx.saved_tensors
        kept = KeptPass(tuple(tensors), ctx.kept_rest)
        gradients = ctx.computation.backward(
            kept, grad_y.detach(), x.detach(), bound, ctx.settings, needed
        )
        return (*gradients, *(None,) * 7)

    jvp = staticmethod(refuse_forward_mode)
