"""lumina_kernel.optical_linear_fused and optical_linear_infer of arrays on a GPU: what the compiled part
calls where it finds them there. Arguments and results are its own; the result is a tensor."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from ..checks import checked_float, checked_int
from ..mixing import mixed
from ..profiles import Readout
from . import pure_torch, selection
from .converters import Converter, checked_range

_WORDS = 1 << 64
_MOST_CODED_BITS = 8
_DLPACK_CPU, _DLPACK_CUDA = 1, 2


class _Call(NamedTuple):
    dac: Optional[Converter]
    adc: Converter
    noise: float
    key: Tuple[int, int, int]  #: seed, stream, row offset
    weight_bits: int  #: 0: weights as they are
    coded: bool  #: codes are multiplied


def optical_linear_infer(
    input: Any, weight: Any, bias: Any, bits: int, *, out: Any = None, **options: Any
) -> Tensor:
    return optical_linear_fused(input, weight, bias, 0.0, bits, 0, out=out, **options)


def optical_linear_fused(
    input: Any,
    weight: Any,
    bias: Any,
    noise_std: float,
    bits: int,
    seed: int,
    *,
    lo: float = -10.0,
    hi: float = 10.0,
    threads: Optional[int] = None,
    out: Any = None,
    dac_bits: Optional[int] = None,
    weight_bits: Optional[int] = None,
    dac_lo: float = 0.0,
    dac_hi: float = 1.0,
    stream: int = 0,
    row_offset: int = 0,
    symmetric: bool = False,
    dac_symmetric: bool = False,
) -> Tensor:
    """`threads` counts on the CPU alone. Errors: TypeError, ValueError."""
    noise = checked_float("noise_std", noise_std)
    if noise < 0:
        raise ValueError(f"noise_std must not be negative, not {noise_std}")
    dac = None
    if dac_bits is not None:
        dac = _converter(("dac_bits", "dac_lo", "dac_hi"), dac_bits, dac_lo, dac_hi, dac_symmetric)
    own_bits = 0 if weight_bits is None else _int("weight_bits", weight_bits, 2, 16)
    call = _Call(
        dac,
        _converter(("bits", "lo", "hi"), bits, lo, hi, symmetric),
        noise,
        (_word("seed", seed), _word("stream", stream), _word("row_offset", row_offset)),
        own_bits,
        dac is not None and 0 < own_bits <= _MOST_CODED_BITS and dac.bits <= _MOST_CODED_BITS,
    )
    x, w, b, y = _tensors(input=input, weight=weight, bias=bias, out=out)
    _check_shapes(x, w, b)
    shape = (x.shape[0], w.shape[0])
    if y is None:
        y = x.new_empty(shape)
    elif y.shape != shape:
        raise ValueError(f"out must be {list(shape)}, not {list(y.shape)}")
    with torch.no_grad():
        _compute(call, x, w, b, y)
    return y


def _compute(call: _Call, x: Tensor, w: Tensor, bias: Optional[Tensor], y: Tensor) -> None:
    computation = selection.computation(x.device)
    if computation.NAME != "cuda":
        y.copy_(_in_torch(call, x, w, bias))
        return
    weights = computation.pack(w, call.weight_bits, call.coded)
    rows = computation.rows_of(y)
    readout = Readout(1.0, 0.0, call.noise, 1.0)
    x_rows = computation.rows_of(x)
    computation.run(x_rows, weights, rows, call.dac, readout, call.adc, call.key, bias)
    if rows is not y:
        y.copy_(rows)


def _in_torch(call: _Call, x: Tensor, w: Tensor, bias: Optional[Tensor]) -> Tensor:
    weights = pure_torch.Weights(w, None)
    if call.coded:
        weights = pure_torch.encode(w, call.weight_bits)
    elif call.weight_bits:
        weights = pure_torch.Weights(pure_torch.on_levels(w, call.weight_bits), None)
    s = pure_torch.product(x, weights, call.dac)
    if bias is not None:
        s.add_(bias)
    key = mixed(*call.key) if call.noise else None
    v = pure_torch.read_out(s, Readout(1.0, 0.0, call.noise, 1.0), key)
    return pure_torch.convert(v, call.adc)


# --- Arguments ------------------------------------------------------------------------------------


def _int(name: str, value: Any, least: int, most: int) -> int:
    number = checked_int(name, value)
    if not least <= number <= most:
        raise ValueError(f"{name} must be in {least}..{most}, not {number}")
    return number


def _word(name: str, value: Any) -> int:
    number = checked_int(name, value)
    if not 0 <= number < _WORDS:
        raise ValueError(f"{name} must be in 0..2**64 - 1, not {number}")
    return number


def _converter(
    names: Tuple[str, str, str], bits: Any, lo: Any, hi: Any, symmetric: bool
) -> Converter:
    own = _int(names[0], bits, 2 if symmetric else 1, 16)
    ends = checked_range(f"({names[1]}, {names[2]})", (lo, hi), own)
    if symmetric and ends[0] != -ends[1]:
        raise ValueError(f"{names[1]} must be -{names[2]} for a converter that is symmetric")
    return Converter(own, *ends, bool(symmetric))


def _tensors(**given: Any) -> Tuple[Optional[Tensor], ...]:
    """Errors: TypeError, none of floats; ValueError, not on one device."""
    places = {name: _place(each) for name, each in given.items() if each is not None}
    if len(set(places.values())) > 1:
        words = ", ".join(f"{name} on {place}" for name, place in places.items())
        raise ValueError(f"arrays must be on one device, the CPU or a GPU, but {words}")
    tensors = {name: _tensor(each) for name, each in given.items()}
    for name, each in tensors.items():
        if each is None:
            continue
        if each.dtype != torch.float32:
            raise TypeError(f"{name} {list(each.shape)} must be float32, not {each.dtype}")
        if each.layout != torch.strided or each.is_nested:
            raise ValueError(f"{name} must be dense, not {each.layout}")
        if each.requires_grad:
            raise ValueError(
                f"{name} {list(each.shape)} must be without requires_grad, which this function does "
                "not record: pass its .detach(), or use lumina_kernel.nn"
            )
    return tuple(tensors.values())


def _place(array: Any) -> str:
    """As messages and comparisons have it."""
    if isinstance(array, Tensor):
        return "the CPU" if array.is_cpu else str(array.device)
    if hasattr(array, "__dlpack_device__"):
        kind, index = array.__dlpack_device__()
        return {_DLPACK_CPU: "the CPU", _DLPACK_CUDA: f"cuda:{index}"}.get(
            kind, f"a device of DLPack's type {kind}"
        )
    if hasattr(array, "__cuda_array_interface__"):
        return f"cuda:{_as_tensor(array).device.index}"
    return "the CPU"


def _as_tensor(array: Any) -> Tensor:
    return torch.as_tensor(array, device="cuda")  # where it lies


def _tensor(array: Any) -> Optional[Tensor]:
    if array is None or isinstance(array, Tensor):
        return array
    if hasattr(array, "__dlpack__"):
        return torch.from_dlpack(array)
    if hasattr(array, "__cuda_array_interface__"):
        return _as_tensor(array)
    raise TypeError(
        f"an array on a GPU is a tensor, or has __dlpack__ or __cuda_array_interface__, unlike "
        f"{type(array).__name__} (packed weights are the CPU's)"
    )


def _check_shapes(x: Tensor, w: Tensor, bias: Optional[Tensor]) -> None:
    if x.dim() != 2 or w.dim() != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(
            f"input is {list(x.shape)}, weight is {list(w.shape)}; they must be [batch, in] and "
            "[out, in]"
        )
    if bias is not None and bias.shape != w.shape[:1]:
        raise ValueError(f"bias must be {list(w.shape[:1])}, not {list(bias.shape)}")
