"""The layer on the library's kernels for GPUs, those of the package lumina_kernel_cuda
(interface.py): one pass over memory, with the bits of native.py.

All runs on PyTorch's current stream, in memory that PyTorch has allocated; nothing waits for the
device.
"""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import torch
from lumina_kernel_cuda import _cuda
from torch import Tensor

from .. import _core
from ..profiles import Readout
from . import pure_torch
from .converters import Converter, LimitConverter
from .interface import Kept, LayerSettings

if _cuda.version() != _core.version():
    raise ImportError(
        f"lumina_kernel_cuda is version {_cuda.version()}, lumina_kernel is {_core.version()}; what "
        "they promise each other is the same bits, so they must be of one version"
    )

NAME = "cuda"

#: With more bits the decoded values are multiplied in float32.
_MOST_CODED_BITS = 8
_LEAST_CAPABILITY = (8, 0)
#: Outputs of a row whose bits lie in one piece.
_RECORD_BLOCK = 128
#: What None is: on every GPU the same.
_GRADIENT_PRODUCTS = "int16"


class Weights(NamedTuple):
    """Weights [rows, cols] as the kernels read them."""

    memory: Tensor  #: uint8
    rows: int
    cols: int
    bits: int  #: 0: floats as they were
    coded: bool  #: else they are multiplied as floats
    values: Optional[Tensor] = None  #: these floats [rows, cols]

    @property
    def numbers(self) -> Tuple[int, int, int, int, bool]:
        return (self.memory.data_ptr(), *self[1:5])

    def decoded(self) -> Tensor:
        """What is multiplied, [rows, cols]."""
        if self.values is not None:
            return self.values
        result = torch.empty(self.rows, self.cols, device=self.memory.device)
        _cuda.decode_weights(self.numbers, matrix(result), place(result))
        return result

    @property
    def kept(self) -> Tuple[Tuple[Optional[Tensor], ...], Tuple[int, int, int, bool]]:
        """Tensors, and the rest."""
        return (self.memory, self.values), self[1:5]


def place(tensor: Tensor) -> Tuple[int, int]:
    """(device, current stream) where it is."""
    if not tensor.is_cuda:  # kernels that the CPU emulates
        return 0, 0
    return tensor.device.index, torch.cuda.current_stream(tensor.device).cuda_stream


def rows_of(t: Tensor) -> Tensor:
    """`t` [..., columns] as a matrix whose rows lie in one piece, in place where they do."""
    t = t.resolve_neg()  # a sign that PyTorch has put off
    rows = t if t.dim() == 2 else t.reshape(-1, t.shape[-1])
    in_rows = rows.stride(1) == 1 or rows.shape[1] <= 1
    apart = rows.stride(0) >= rows.shape[1] or rows.shape[0] <= 1
    return rows if in_rows and apart else rows.contiguous()


def matrix(rows: Tensor) -> Tuple[int, int, int, int]:
    """Of rows_of(): address, rows, columns, elements from row to row."""
    stride = max(rows.stride(0), rows.shape[1]) if rows.shape[0] > 1 else rows.shape[1]
    return (rows.data_ptr(), *rows.shape, stride)


def _optional(t: Optional[Tensor]) -> Tuple[Optional[Tensor], int]:
    """A vector in one piece, and its address, or 0."""
    if t is None:
        return None, 0
    own = t.resolve_neg().contiguous()
    return own, own.data_ptr()


def _memory(count: int, like: Tensor) -> Tensor:
    """At a multiple of 128."""
    more = 0 if like.is_cuda else 127  # where PyTorch's allocator goes by 64
    memory = torch.empty(count + more, dtype=torch.uint8, device=like.device)
    return memory[-memory.data_ptr() % 128 :][:count] if more else memory


def check(device: Optional[int]) -> None:
    """Error: ImportError, there are no kernels for that GPU; None is the current one."""
    if not torch.cuda.is_available():
        return  # nothing but shapes will be asked for
    if _cuda.device_type != "cuda":
        raise ImportError("lumina_kernel_cuda is compiled for an emulated GPU")
    found = torch.cuda.get_device_capability(device)
    if found < _LEAST_CAPABILITY:
        raise ImportError(
            "lumina_kernel_cuda is for GPUs from compute capability {}.{} on, {} has {}.{}".format(
                *_LEAST_CAPABILITY, torch.cuda.get_device_name(device), *found
            )
        )


def pack(weight: Tensor, bits: int, coded: bool) -> Weights:
    """`bits`: 0, floats as they are."""
    if bits and not coded:  # on levels; the kernels' are the same
        weight = pure_torch.on_levels(weight, bits)
    w = rows_of(weight)
    memory = _memory(_cuda.weights_bytes(*w.shape, coded), w)
    weights = Weights(memory, *w.shape, bits, coded, None if coded else w)
    _cuda.encode_weights(matrix(w), weights.numbers, place(w))
    return weights


def run(
    x: Tensor,
    weights: Weights,
    y: Tensor,
    dac: Optional[Converter],
    readout: Readout,
    adc: Union[Converter, LimitConverter],
    key: Tuple[int, int, int] = (0, 0, 0),
    bias: Optional[Tensor] = None,
    output_bias: Optional[Tensor] = None,
    record: Optional[Tensor] = None,
    largest: Optional[Tensor] = None,
) -> None:
    """y = ADC(readout(DAC(x)·Wᵀ + bias)) + output_bias, of rows. `key`: seed, stream and offset of the
    rows. `record` (record_like) gets what passed the ADC; `largest`, 0 before, the largest |v|."""
    bias, bias_at = _optional(bias)
    output_bias, output_bias_at = _optional(output_bias)
    limit_at, ends = 0, adc
    if isinstance(adc, LimitConverter):
        limit_at, ends = adc.limit.data_ptr(), Converter(adc.bits, -1.0, 1.0, adc.symmetric)
    has_dac = dac is not None
    size = _cuda.workspace_bytes(x.shape[0], x.shape[1], weights.coded, has_dac)
    workspace = _memory(size, x)
    _cuda.forward(
        matrix(x),
        weights.numbers,
        matrix(y),
        None if dac is None else tuple(dac),
        tuple(readout),
        tuple(ends),
        key,
        bias_at,
        output_bias_at,
        limit_at,
        0 if record is None else record.data_ptr(),
        0 if largest is None else largest.data_ptr(),
        (workspace.data_ptr(), size),
        place(x),
    )


# --- The computation ------------------------------------------------------------------------------


def gradient_products(bits: int, wish: Optional[str]) -> str:
    if bits > _MOST_CODED_BITS:
        return "float32"
    return wish or _GRADIENT_PRODUCTS


def encode(weight: Tensor, bits: int) -> Weights:
    return pack(weight, bits, bits <= _MOST_CODED_BITS)


def forward(
    x: Tensor, weights: Weights, bias: Optional[Tensor], settings: LayerSettings
) -> Tuple[Tensor, Union[float, Tensor], Optional[Kept]]:
    y = x.new_empty((*x.shape[:-1], weights.rows))
    record = record_like(y) if settings.keep else None
    largest = x.new_zeros(()) if settings.track else None
    readout, key = settings.readout, (settings.key or 0, 0, 0)
    if settings.key is None:
        readout = readout._replace(shot_noise=0.0, noise=0.0)
    run(
        rows_of(x),
        weights,
        y.view(-1, weights.rows),
        settings.dac,
        readout,
        settings.adc,
        key,
        output_bias=bias,
        record=record,
        largest=largest,
    )
    kept = kept_from(record, x, weights, settings) if settings.keep else None
    return y, 0.0 if largest is None else largest, kept


def backward(
    kept: Kept,
    grad_y: Tensor,
    x: Tensor,
    settings: LayerSettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    record, memory, values = kept.tensors
    weights = Weights(memory, *kept.rest, values)
    products = gradient_products(weights.bits, settings.gradient_products)
    if products == "float32" and weights.coded:
        return _backward_in_floats(record, weights, grad_y, x, settings, needed)
    shapes = (x.shape, (weights.rows, weights.cols), (weights.rows,))
    gradients = [x.new_empty(shape) if need else None for shape, need in zip(shapes, needed)]
    grad_x, grad_weight, grad_bias = gradients
    rows, by_output = rows_of(x), rows_of(grad_y)
    size = _cuda.backward_workspace_bytes(rows.shape[0], weights.numbers, products)
    workspace = _memory(size, x)
    _cuda.backward(
        matrix(by_output),
        matrix(rows),
        weights.numbers,
        tuple(settings.dac),
        tuple(settings.readout),
        record.data_ptr(),
        products,
        settings.key or 0,
        None if grad_x is None else matrix(grad_x.view(-1, weights.cols)),
        None if grad_weight is None else matrix(grad_weight),
        0 if grad_bias is None else grad_bias.data_ptr(),
        (workspace.data_ptr(), size),
        place(x),
    )
    return gradients


def _backward_in_floats(
    record: Tensor,
    weights: Weights,
    grad_y: Tensor,
    x: Tensor,
    settings: LayerSettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    """With PyTorch's products."""
    passed = record.unsqueeze(-1).bitwise_and(1 << torch.arange(8, device=x.device)).ne(0)
    passed = passed.flatten(-2)[..., : weights.rows]
    return pure_torch.backward_by_gate(
        grad_y, passed.reshape(grad_y.shape), x, weights.decoded(), settings, needed
    )


def record_like(y: Tensor) -> Tensor:
    blocks = -(-y.shape[-1] // _RECORD_BLOCK)
    return y.new_empty((*y.shape[:-1], blocks * _RECORD_BLOCK // 8), dtype=torch.uint8)


def record(kept: Kept, y: Tensor) -> Tensor:
    return kept.tensors[0]


def kept_from(record: Tensor, x: Tensor, weights: Weights, settings: LayerSettings) -> Kept:
    tensors, rest = weights.kept
    return Kept((record.contiguous(), *tensors), rest)
