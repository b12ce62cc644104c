"""The layer as operators of PyTorch's dispatcher, for what runs a graph of tensors later.

torch.compile, torch.export, torch.jit.trace, torch.func and dispatch modes see
lumina_kernel::optical_linear, whose arguments and results are tensors and constants; within it runs
what runs without them. So a graph encodes its weights, draws its noise and moves its range in each
call. A graph belongs to the computation (selection.py) of its tensors when it was made.
"""

from __future__ import annotations

from typing import Any, List, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..profiles import Readout
from . import limits, selection
from .converters import Converter
from .function import refuse_forward_mode
from .interface import GRADIENT_PRODUCTS, LayerSettings
from .noise_keys import drawn
from .passes import Passes, PassKind

#: Otherwise graphs are refused.
AVAILABLE = hasattr(torch.library, "register_vmap")  # from torch 2.5 on

_CPU = torch.device("cpu")
_PLAIN = (Tensor, torch.nn.Parameter)
_is_tracing = torch._C._is_tracing
_is_exporting = getattr(getattr(torch, "compiler", None), "is_exporting", lambda: False)

if AVAILABLE:
    _is_compiling = torch.compiler.is_compiling
    _is_transformed = torch._C._are_functorch_transforms_active
    _mode_count = torch._C._len_torch_dispatch_stack

    def needed(x: Tensor, weight: Tensor) -> bool:
        """Whether somebody looks on, or the tensors are more than their values."""
        return (
            _is_compiling()
            or _is_tracing()
            or _is_transformed()
            or _mode_count() > 0
            or x.is_meta
            or _is_special(x)
            or _is_special(weight)
        )

else:

    def needed(x: Tensor, weight: Tensor) -> bool:
        wrapped = not (torch._C._has_storage(x) and torch._C._has_storage(weight))
        if wrapped or _is_tracing():
            raise RuntimeError(
                f"OpticalLinear: {'torch.func' if wrapped else 'torch.jit.trace'}, and what uses "
                f"it, needs torch 2.5 or newer, not {torch.__version__}"
            )
        return False


def _is_special(t: Tensor) -> bool:
    return (
        type(t) not in _PLAIN and type(t).__torch_dispatch__ is not Tensor.__torch_dispatch__
    )


def call(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    passes: Passes,
    kind: PassKind,
    limit: Optional[Tensor],
) -> Tensor:
    """y; the tracked `limit` is moved where the kind of pass says so.

    Error: RuntimeError, the graph could not say what the layer does.
    """
    is_stored = stored()
    refuse_onnx("OpticalLinear")
    if is_stored and kind.noisy and passes.keys.own:
        raise RuntimeError(
            "OpticalLinear: a graph that is stored can't draw from the layer's own generator; make "
            "it of a layer without seed and generator, or in eval()"
        )
    if is_stored and kind.learns and passes.group is not None:
        raise RuntimeError(
            "OpticalLinear: a graph that is stored does not know the layer's process group; make "
            "it in eval(), or give an output_range"
        )
    if kind.learns and _is_transformed():
        raise RuntimeError(
            "OpticalLinear: within torch.func the tracked range can't follow the batches; call "
            "eval(), or give an output_range"
        )
    number = draw() if kind.numbered else None
    y, _, follows, _ = operator_of(_Forward, torch.ops.lumina_kernel.optical_linear)(
        x,
        weight,
        bias,
        number,
        limit,
        numbers_of(kind.settings),
        [int(flag) for flag in kind[1:]],
        0 if is_stored else passes.id,
    )
    if kind.learns:
        limit.copy_(follows.detach())
    return y


def stored() -> bool:
    """Whether the graph may be run by another process."""
    return _is_tracing() or _is_exporting()


def draw() -> Tensor:
    """A number from torch's default generator, anew in each run of a graph."""
    # (torch.jit.trace does not know devices.)
    return drawn() if _is_tracing() else torch.ops.lumina_kernel.draw(device=_CPU)


def refuse_onnx(name: str) -> None:
    if torch.onnx.is_in_onnx_export():
        raise RuntimeError(
            f"{name}: torch.onnx.export is not possible, for ONNX has no such operator"
        )


def numbers_of(settings: LayerSettings) -> List[float]:
    """What all passes of a kind have in common."""
    products = settings.gradient_products
    numbers = [
        float(number)
        for part in (settings.dac, settings.readout, settings.adc)
        for number in part
    ]
    return [*numbers, -1.0 if products is None else float(GRADIENT_PRODUCTS.index(products))]


def _kind(settings: Sequence[float], flags: Sequence[int]) -> PassKind:
    dac, readout, adc, products = settings[:4], settings[4:8], settings[8:12], int(settings[12])
    dac, adc = (Converter(int(b), lo, hi, bool(sym)) for b, lo, hi, sym in (dac, adc))
    wish = None if products < 0 else GRADIENT_PRODUCTS[products]
    all_settings = LayerSettings(dac, Readout(*readout), adc, gradient_products=wish)
    return PassKind(all_settings, *map(bool, flags))


def _encoded(weight: Tensor, kind: PassKind) -> Any:
    computation = selection.computation(weight.device)
    return computation.encode(weight.detach(), kind.settings.adc.bits)


def _draw(device: torch.device) -> Tensor:
    return drawn()


def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Optional[Tensor],
    number: Optional[Tensor],
    limit: Optional[Tensor],
    settings: Sequence[float],
    flags: Sequence[int],
    passes: int,
) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    kind = _kind(settings, flags)
    before = limits.of_graph(limit) if kind.tracked else 0.0
    known = isinstance(before, Tensor) or before != 0.0
    if kind.tracked and not known and not kind.learns:
        raise RuntimeError(
            "OpticalLinear: the ADC's range is tracked and not known yet, and a graph can't take "
            "it from a batch in eval(): call the layer itself before, or give an output_range"
        )
    y, _, used, after, kept = Passes.of(passes).run(
        x.detach(),
        _encoded(weight, kind),
        None if bias is None else bias.detach(),
        kind,
        None if number is None else number.item(),
        before,
        keep=True,
    )
    record = selection.computation(x.device).record(kept, y)
    return y, _scalar(used, x), _scalar(after, x), record


def _scalar(limit: limits.Limit, x: Tensor) -> Tensor:
    """A tensor of its own, where x is."""
    return limit.clone() if isinstance(limit, Tensor) else x.new_full((), limit)


def _forward_shapes(x: Tensor, weight: Tensor, *_: Any) -> Tuple[Tensor, Tensor, Tensor, Tensor]:
    refuse_onnx("OpticalLinear")  # an exporter may see nothing else of the layer
    y = x.new_empty((*x.shape[:-1], weight.shape[0]))
    record = selection.computation(y.device).record_like(y)
    return y, x.new_empty(()), x.new_empty(()), record


def _backward(
    grad_y: Tensor,
    x: Tensor,
    weight: Tensor,
    record: Tensor,
    used: Tensor,
    settings: Sequence[float],
    flags: Sequence[int],
    needed: Sequence[bool],
) -> Tuple[Tensor, Tensor, Tensor]:
    kind = _kind(settings, flags)
    at = kind.at(used.item() if used.is_cpu else used)
    x, computation = x.detach(), selection.computation(x.device)
    kept = computation.kept_from(record, x, _encoded(weight, kind), at)
    gradients = computation.backward(kept, grad_y.detach(), x, at, needed)
    return tuple(x.new_empty(0) if each is None else each for each in gradients)


def _backward_shapes(
    grad_y: Tensor, x: Tensor, weight: Tensor, *rest: Any
) -> Tuple[Tensor, Tensor, Tensor]:
    shapes = (x.shape, weight.shape, weight.shape[:1])
    return tuple(x.new_empty(shape if need else 0) for shape, need in zip(shapes, rest[-1]))


def _set_up(ctx: Any, inputs: Tuple, output: Tuple) -> None:
    x, weight, _, _, _, ctx.settings, ctx.flags, _ = inputs
    _, used, limit, record = output
    ctx.mark_non_differentiable(used, limit, record)
    ctx.save_for_backward(x, weight, record, used)


def _gradients(ctx: Any, grad_y: Tensor, *_: Any) -> Tuple[Optional[Tensor], ...]:
    needed = list(ctx.needs_input_grad[:3])
    backward = operator_of(_Backward, torch.ops.lumina_kernel.optical_linear_backward)
    gradients = backward(grad_y, *ctx.saved_tensors, ctx.settings, ctx.flags, needed)
    wanted = (gradient if need else None for gradient, need in zip(gradients, needed))
    return (*wanted, None, None, None, None, None)


# torch.func takes gradients of functions of autograd, not of operators.


def operator_of(function: Any, operator: Any) -> Any:
    return function.apply if _is_transformed() else operator


def function_of(name: str, set_up: Any = None, gradients: Any = None) -> Any:
    """Of an operator of lumina_kernel, with what register_autograd() takes; without that a function
    whose gradients are none."""

    def run(*arguments: Any) -> Tuple[Tensor, ...]:
        return getattr(torch.ops.lumina_kernel, name)(*arguments)

    def nothing(ctx: Any, inputs: Tuple, output: Tuple) -> None:
        pass

    def refuse(ctx: Any, *_: Any) -> None:
        raise RuntimeError(f"{name}: a straight-through gradient has no derivative")

    members = {
        "generate_vmap_rule": True,
        "forward": staticmethod(run),
        "setup_context": staticmethod(set_up or nothing),
        "backward": staticmethod(gradients or refuse),
        "jvp": staticmethod(refuse_forward_mode),
    }
    return type(name, (torch.autograd.Function,), members)


_Forward = function_of("optical_linear", _set_up, _gradients)
_Backward = function_of("optical_linear_backward")


def one_by_one(operator: Any, info: Any, in_dims: Tuple, arguments: Tuple) -> Tuple[Tuple, Tuple]:
    """torch.vmap by a call for each element of the batch. (A list's dimension is one of Nones.)"""
    calls = [
        operator(
            *(
                argument.select(dim, i) if isinstance(dim, int) else argument
                for argument, dim in zip(arguments, in_dims)
            )
        )
        for i in range(info.batch_size)
    ]
    results = tuple(torch.stack(each) for each in zip(*calls))
    return results, (0,) * len(results)


def _forward_batched(info: Any, in_dims: Tuple, *arguments: Any) -> Tuple[Tuple, Tuple]:
    x, *others = arguments
    number, passes = arguments[3], arguments[-1]
    alone = in_dims[0] is not None and all(dim is None for dim in in_dims[1:5])
    if alone and (number is None or info.randomness == "different"):
        outputs = torch.ops.lumina_kernel.optical_linear(x.movedim(in_dims[0], 0), *others)
        return outputs, (0, None, None, 0)
    if number is not None and (info.randomness != "same" or Passes.of(passes).keys.own):
        raise RuntimeError(
            "OpticalLinear: torch.vmap of a layer with noise needs randomness='different', with a "
            "batch of inputs alone, or 'same', without seed and generator; or call eval()"
        )
    return one_by_one(torch.ops.lumina_kernel.optical_linear, info, in_dims, arguments)


def _backward_batched(info: Any, in_dims: Tuple, *arguments: Any) -> Tuple[Tuple, Tuple]:
    operator = torch.ops.lumina_kernel.optical_linear_backward
    return one_by_one(operator, info, in_dims, arguments)


def _register() -> List[Any]:
    """The operators, which live as long as the result."""
    settings = "float[] settings, int[] flags"
    draw = torch.library.custom_op(
        "lumina_kernel::draw",
        _draw,
        mutates_args=(),
        schema="(*, Device device) -> Tensor",  # by which checkpoints in graphs find a generator
        tags=torch.Tag.nondeterministic_seeded,
    )
    draw.register_fake(lambda device: torch.empty((), dtype=torch.int64, device=device))
    forward = torch.library.custom_op(
        "lumina_kernel::optical_linear",
        _forward,
        mutates_args=(),
        schema="(Tensor x, Tensor weight, Tensor? bias, Tensor? number, Tensor? limit, "
        f"{settings}, int passes) -> (Tensor, Tensor, Tensor, Tensor)",
    )
    forward.register_fake(_forward_shapes)
    forward.register_autograd(_gradients, setup_context=_set_up)
    forward.register_vmap(_forward_batched)
    backward = torch.library.custom_op(
        "lumina_kernel::optical_linear_backward",
        _backward,
        mutates_args=(),
        schema="(Tensor grad_y, Tensor x, Tensor weight, Tensor record, Tensor used, "
        f"{settings}, bool[] needed) -> (Tensor, Tensor, Tensor)",
    )
    backward.register_fake(_backward_shapes)
    backward.register_vmap(_backward_batched)
    return [draw, forward, backward]


_operators = _register() if AVAILABLE else []
