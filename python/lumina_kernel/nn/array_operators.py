"""Layers on arrays as operators of PyTorch's dispatcher (operators.py): lumina_kernel::analog_layer.

Within it runs what runs without it: a graph encodes its weights and draws its noise in each call; of
a programmed layer it takes the weights that the layer holds.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..array_layout import tiles_of
from ..array_settings import settings_of
from .array_function import refuse_programmed
from .array_passes import ArrayPasses
from .array_spec import ArraySpec, Ranges
from .chips import Chip
from .operators import (
    AVAILABLE,
    draw,
    function_of,
    needed,
    one_by_one,
    operator_of,
    refuse_onnx,
    stored,
)

__all__ = ["AVAILABLE", "call", "needed", "shape_of"]


def call(
    spec: str,
    passes: ArrayPasses,
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    ranges: Ranges,
    training: bool,
    draws: bool,
) -> Tensor:
    """y; `spec` is an ArraySpec's text. Error: RuntimeError, the graph could not say what the layer
    does."""
    refuse_onnx("a layer on arrays")
    if stored() and draws and passes.keys.own:
        raise RuntimeError(
            "a layer on arrays: a graph that is stored can't draw from the layer's own generator; make "
            "it of a layer without seed and generator, or in eval() without noise_in_eval"
        )
    number = draw() if draws else None
    operator = operator_of(_Forward, torch.ops.lumina_kernel.analog_layer)
    own = 0 if stored() else passes.id
    return operator(x, weight, bias, number, *ranges, spec, training, own)[0]


def shape_of(spec: str, x: Tensor, weight: Tensor, training: bool) -> Tensor:
    """y of a meta tensor x."""
    return _forward_shapes(x, weight, *(None,) * 6, spec, training, 0)[0]


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    number: Optional[Tensor],
    input_range: Optional[Tensor],
    adc_bound: Optional[Tensor],
    chip: Tensor,
    reference: Optional[Tensor],
    text: str,
    training: bool,
    passes: int,
) -> Tuple[Tensor, Tensor, Tensor]:
    """(y, the record, the key or −1)."""
    spec = ArraySpec.of_text(text)
    detached = None if bias is None else bias.detach()
    y, kept, settings, _, computation, _ = ArrayPasses.of_arrays(passes).run_on_arrays(
        spec,
        x.detach(),
        weight.detach(),
        detached,
        Ranges(input_range, adc_bound, chip, reference),
        training,
        None if number is None else number.item(),
        keep=True,
    )
    key = torch.tensor(-1 if settings.key is None else settings.key, device="cpu")
    return y.contiguous(), computation.record(kept, y), key


def _forward_shapes(
    x: Tensor, weight: Tensor, bias: Any, number: Any, input_range: Any, *rest: Any
) -> Tuple[Tensor, Tensor, Tensor]:
    text, training = rest[-3:-1]
    spec = ArraySpec.of_text(text)
    refuse_onnx(spec.name)
    kernel = spec.kernel
    if kernel is None:
        y = x.new_empty((x.shape[0], weight.shape[0]))
    else:
        y = x.new_empty((x.shape[0], kernel.outputs, *kernel.output_size(x.shape[2:])))
    tiles = tiles_of(kernel, spec.units, spec.profile.mapping)
    settings = settings_of(spec.profile, 1.0)  # which computation it is does not depend on it
    computation = spec.kind(spec.encoding(training), settings, y.device).computation
    record = computation.record_like(y, tiles if settings.adc_bits is not None else 0)
    key = torch.empty((), dtype=torch.int64, device="meta" if x.is_meta else "cpu")
    return y, record, key


def _backward(
    grad_y: Tensor,
    x: Tensor,
    weight: Tensor,
    record: Tensor,
    key: Tensor,
    input_range: Optional[Tensor],
    adc_bound: Optional[Tensor],
    chip: Tensor,
    reference: Optional[Tensor],
    text: str,
    training: bool,
    passes: int,
    needed: Sequence[bool],
) -> Tuple[Tensor, Tensor, Tensor]:
    spec = ArraySpec.of_text(text)
    ranges = Ranges(input_range, adc_bound, chip, reference)
    drawn = key.item()
    weights, kind, settings = ArrayPasses.of_arrays(passes).weights_of_pass(
        spec, weight.detach(), ranges, training, None if drawn < 0 else drawn
    )
    if Chip.of(chip) is not None and (needed[1] or needed[2]):
        raise refuse_programmed(spec)
    x = x.detach()
    kept = kind.computation.kept_from(record, x, weights, settings)
    gradients = kind.computation.backward(
        kept, grad_y.detach().contiguous(), x, spec.bound(adc_bound), settings, needed
    )
    return tuple(x.new_empty(0) if each is None else each.contiguous() for each in gradients)


def _backward_shapes(
    grad_y: Tensor, x: Tensor, weight: Tensor, *rest: Any
) -> Tuple[Tensor, Tensor, Tensor]:
    shapes = (x.shape, weight.shape, weight.shape[:1])
    return tuple(x.new_empty(shape if need else 0) for shape, need in zip(shapes, rest[-1]))


def _set_up(ctx: Any, inputs: Tuple, output: Tuple) -> None:
    x, weight, _, _, *ranges, ctx.text, ctx.training, ctx.passes = inputs
    _, record, key = output
    ctx.mark_non_differentiable(record, key)
    ctx.save_for_backward(x, weight, record, key, *ranges)


def _gradients(ctx: Any, grad_y: Tensor, *_: Any) -> Tuple[Optional[Tensor], ...]:
    wanted = list(ctx.needs_input_grad[:3])
    backward = operator_of(_Backward, torch.ops.lumina_kernel.analog_layer_backward)
    gradients = backward(
        grad_y, *ctx.saved_tensors, ctx.text, ctx.training, ctx.passes, wanted
    )
    return (*(each if need else None for each, need in zip(gradients, wanted)), *(None,) * 8)


_Forward = function_of("analog_layer", _set_up, _gradients)
_Backward = function_of("analog_layer_backward")


def _forward_batched(info: Any, in_dims: Tuple, *arguments: Any) -> Tuple[Tuple, Tuple]:
    number, name = arguments[3], ArraySpec.of_text(arguments[-3]).name
    if number is not None:
        keys = ArrayPasses.of_arrays(arguments[-1]).keys
        if info.randomness != "same" or keys.own:
            raise RuntimeError(
                f"{name}: torch.vmap of a layer with noise needs randomness='same', without seed "
                "and generator; or call eval() without noise_in_eval"
            )
    return one_by_one(torch.ops.lumina_kernel.analog_layer, info, in_dims, arguments)


def _backward_batched(info: Any, in_dims: Tuple, *arguments: Any) -> Tuple[Tuple, Tuple]:
    return one_by_one(torch.ops.lumina_kernel.analog_layer_backward, info, in_dims, arguments)


def _register() -> List[Any]:
    """The operators, which live as long as the result."""
    ranges = "Tensor? input_range, Tensor? adc_bound, Tensor chip, Tensor? reference"
    layer = f"{ranges}, str spec, bool training, int passes"
    forward = torch.library.custom_op(
        "lumina_kernel::analog_layer",
        _forward,
        mutates_args=(),
        schema=f"(Tensor x, Tensor weight, Tensor? bias, Tensor? number, {layer}) -> "
        "(Tensor, Tensor, Tensor)",
    )
    forward.register_fake(_forward_shapes)
    forward.register_autograd(_gradients, setup_context=_set_up)
    forward.register_vmap(_forward_batched)
    backward = torch.library.custom_op(
        "lumina_kernel::analog_layer_backward",
        _backward,
        mutates_args=(),
        schema=f"(Tensor grad_y, Tensor x, Tensor weight, Tensor record, Tensor key, {layer}, "
        "bool[] needed) -> (Tensor, Tensor, Tensor)",
    )
    backward.register_fake(_backward_shapes)
    backward.register_vmap(_backward_batched)
    return [forward, backward]


_operators = _register() if AVAILABLE else []
