"""Layers on arrays in plain PyTorch (array_interface.py), on any device, for where the kernels are missing, and
for what they have not: no DAC, weights that are not on levels, more than 8 bits.

Without noise the outputs are those of the kernels but for the rounding of sums, which can move a
value that lies between two codes.
"""

from __future__ import annotations

import math
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

import torch
from torch import Tensor

from ..array_layout import Product, products, spans
from .array_interface import ArraySettings, Encoding, Kernel, KeptPass
from .filters import filter_matrix, filters_of
from .interface import not_finite
from .patches import add_patches, patches
from .pure_torch import all_finite, in_float32
from .torch_currents import ArrayPass
from .torch_weights import TiledMatrix, encode as encode_matrix

NAME = "torch"

#: Numbers in the patches of a piece of a batch.
_PIECE = 1 << 22
#: Of a record, which has the share of an output that has been clipped.
_ALL = 255


class Weights(NamedTuple):
    matrices: Tuple[TiledMatrix, ...]  #: of each product
    kernel: Optional[Kernel]

    @property
    def products(self) -> List[Product]:
        if self.kernel is not None:
            return products(self.kernel)
        outputs, inputs = self.matrices[0].codes.shape
        return [Product(0, outputs, 0, inputs)]

    @property
    def outputs(self) -> int:
        return sum(matrix.codes.shape[0] for matrix in self.matrices)


@in_float32
def encode(weight: Tensor, encoding: Encoding, kernel: Optional[Kernel] = None) -> Weights:
    if not all_finite(weight):
        raise not_finite("weight", weight)
    if kernel is None:
        return Weights((encode_matrix(weight, encoding, 0),), None)
    matrices = [filter_matrix(weight, kernel, product) for product in products(kernel)]
    encoded = [encode_matrix(matrix, encoding, i) for i, matrix in enumerate(matrices)]
    return Weights(tuple(encoded), kernel)


def held_elsewhere(
    codes: Sequence[Tensor],
    code_value: float,
    scales: Tensor,
    encoding: Encoding,
    kernel: Optional[Kernel] = None,
) -> Weights:
    """Weights that another computation has encoded: codes [outputs, inputs] of each product, scales
    [tiles, out]. They are not trained."""
    mapping, matrices, first = encoding.mapping, [], 0
    for own in codes:
        tiles = tuple(spans(own.shape[1], mapping.tile[0], mapping.split))
        last = first + own.shape[0]
        matrix = TiledMatrix(own, code_value, scales[: len(tiles), first:last], tiles)
        matrices.append(matrix._replace(bits=mapping.weight_bits))
        first = last
    return Weights(tuple(matrices), kernel)


def tiles(weights: Weights) -> int:
    return max(len(matrix.tiles) for matrix in weights.matrices)


def devices(weights: Weights) -> List[Tensor]:
    return [matrix.codes * matrix.code_value for matrix in weights.matrices]


def scales(weights: Weights) -> Tensor:
    result = weights.matrices[0].scales.new_zeros(tiles(weights), weights.outputs)
    for product, matrix in zip(weights.products, weights.matrices):
        own = slice(product.first_output, product.first_output + product.outputs)
        result[: len(matrix.tiles), own] = matrix.scales
    return result


class _Part(NamedTuple):
    """Some rows of a product."""

    product: int
    matrix: TiledMatrix
    x: Tensor  #: [rows, in]
    images: slice  #: what rows are made of
    rows: slice
    outputs: slice


def _parts(x: Tensor, weights: Weights) -> Iterator[_Part]:
    kernel = weights.kernel
    if kernel is None:
        everything = slice(None)
        yield _Part(0, weights.matrices[0], x, everything, everything, everything)
        return
    pixels, taps = math.prod(kernel.output_size(x.shape[2:])), math.prod(kernel.size)
    count = max(1, _PIECE // max(1, pixels * taps * kernel.channels))
    for first in range(0, x.shape[0], count):
        images = slice(first, min(first + count, x.shape[0]))
        rows = slice(images.start * pixels, images.stop * pixels)
        for i, (product, matrix) in enumerate(zip(weights.products, weights.matrices)):
            own = patches(x[images], kernel, product.first_channel, product.channels)
            outputs = slice(product.first_output, product.first_output + product.outputs)
            yield _Part(i, matrix, own, images, rows, outputs)


def _row_count(x: Tensor, kernel: Optional[Kernel]) -> int:
    if kernel is None:
        return x.shape[0]
    return x.shape[0] * math.prod(kernel.output_size(x.shape[2:]))


def _to_rows(y: Tensor) -> Tensor:
    return y if y.dim() == 2 else y.movedim(1, -1).reshape(-1, y.shape[1])


def _bound_of(bound: Optional[Tensor], tile: int, outputs: slice) -> Optional[Tensor]:
    """As ArrayPass.outputs() takes it."""
    if bound is None or bound.numel() == 1:
        return None if bound is None else bound.reshape(())
    own = bound[min(tile, bound.shape[0] - 1)]
    return own if own.numel() == 1 else own[outputs]


def _add_up(
    through: ArrayPass,
    x: Tensor,
    part: _Part,
    bound: Optional[Tensor],
    doublings: int,
    clips: Optional[Tensor],
) -> Tuple[Tensor, Tensor]:
    """(y of rows `x` of a part, which of them an ADC has clipped). `clips` [rows, tiles, out]
    gets the shares of outputs that have been."""
    matrix = part.matrix
    y = x.new_zeros(x.shape[0], matrix.codes.shape[0])
    clipped_rows = x.new_zeros(x.shape[0], dtype=torch.bool)
    for tile, (begin, end) in enumerate(matrix.tiles):
        inputs = through.inputs(x[:, begin:end], doublings)
        own_bound = _bound_of(bound, tile, part.outputs)
        currents, clipped = through.outputs(inputs, matrix, tile, own_bound)
        if clipped is not None:
            if through.settings.bound_iterations > 0:
                clipped_rows |= (clipped != 0.0).any(1)
            if clips is not None:
                clips[:, tile] = clipped.mul_(_ALL).round_()
        y.addcmul_(currents, inputs.ranges * matrix.scales[tile])
    return y, clipped_rows


def _forward_part(
    through: ArrayPass, part: _Part, bound: Optional[Tensor], clips: Optional[Tensor]
) -> Tensor:
    y, clipped = _add_up(through, part.x, part, bound, 0, clips)
    if through.settings.bound_iterations == 0:
        return y
    rows = clipped.nonzero().squeeze(1)  # (The host waits for them.)
    for doublings in range(1, through.settings.bound_iterations + 1):
        if rows.numel() == 0:
            break
        again = None if clips is None else clips[rows]
        y[rows], clipped = _add_up(through, part.x[rows], part, bound, doublings, again)
        if again is not None:
            clips[rows] = again
        rows = rows[clipped]
    return y


@in_float32
def forward(
    x: Tensor,
    weights: Weights,
    bias: Optional[Tensor],
    bound: Optional[Tensor],
    settings: ArraySettings,
    keep: bool,
) -> Tuple[Tensor, Optional[KeptPass]]:
    if not all_finite(x):
        raise not_finite("input", x)
    kernel, through = weights.kernel, ArrayPass(settings, x.device)
    y = x.new_empty(_row_count(x, kernel), weights.outputs)
    clips = None
    if keep and settings.adc_bits is not None:
        clips = y.new_zeros(y.shape[0], tiles(weights), y.shape[1], dtype=torch.uint8)
    for part in _parts(x, weights):
        own = None if clips is None else clips[part.rows, : len(part.matrix.tiles), part.outputs]
        y[part.rows, part.outputs] = _forward_part(through, part, bound, own)
    if bias is not None:
        y.add_(bias)
    if kernel is not None:
        y = y.view(x.shape[0], *kernel.output_size(x.shape[2:]), weights.outputs)
        y = y.movedim(-1, 1).contiguous()
    return y, _kept(None if clips is None else clips.flatten(1), weights) if keep else None


def _kept(clips: Optional[Tensor], weights: Weights) -> KeptPass:
    tensors, rest = [clips], []
    for matrix in weights.matrices:
        tensors += [matrix.codes, matrix.scales, matrix.gradient_factors]
        rest.append(matrix._replace(codes=None, scales=None, gradient_factors=None))
    return KeptPass(tuple(tensors), weights._replace(matrices=tuple(rest)))


def _weights_of(kept: KeptPass) -> Weights:
    tensors, matrices = iter(kept.tensors[1:]), []
    for matrix in kept.rest.matrices:
        codes, scales, factors = next(tensors), next(tensors), next(tensors)
        matrices.append(matrix._replace(codes=codes, scales=scales, gradient_factors=factors))
    return kept.rest._replace(matrices=tuple(matrices))


@in_float32
def backward(
    kept: KeptPass,
    grad_y: Tensor,
    x: Tensor,
    bound: Optional[Tensor],
    settings: ArraySettings,
    needed: Sequence[bool],
) -> List[Optional[Tensor]]:
    weights, clips = _weights_of(kept), kept.tensors[0]
    need_x, need_weight, need_bias = needed
    grad_rows = _to_rows(grad_y)
    if clips is not None:
        clips = clips.view(grad_rows.shape[0], tiles(weights), grad_rows.shape[1])
    through = ArrayPass(settings._replace(key=None), x.device)
    grad_x = torch.zeros_like(x, memory_format=torch.contiguous_format) if need_x else None
    by_matrix = [torch.zeros_like(matrix.codes) for matrix in weights.matrices]
    for part in _parts(x, weights) if need_x or need_weight else ():
        by_inputs = torch.empty_like(part.x) if need_x else None
        for tile, (begin, end) in enumerate(part.matrix.tiles):
            gradient = grad_rows[part.rows, part.outputs]
            if clips is not None:
                clipped = clips[part.rows, tile, part.outputs].to(gradient.dtype).div_(_ALL)
                gradient = gradient * (1.0 - clipped)
            if need_weight:
                inputs = through.inputs(part.x[:, begin:end])
                values = inputs.codes * inputs.steps
                by_matrix[part.product][:, begin:end] += gradient.t() @ values
            if need_x:
                scales = part.matrix.scales[tile] * part.matrix.code_value
                by_inputs[:, begin:end] = (gradient * scales) @ part.matrix.codes[:, begin:end]
        if need_x:
            _add_to_inputs(by_inputs, part, weights, grad_x)
    if need_x and settings.dac_bits is not None and not settings.row_ranges:
        grad_x.masked_fill_(x.abs() > settings.dac_range, 0.0)
    grad_weight = _by_weight(by_matrix, weights) if need_weight else None
    return [grad_x, grad_weight, grad_rows.sum(0) if need_bias else None]


def _add_to_inputs(by_inputs: Tensor, part: _Part, weights: Weights, grad_x: Tensor) -> None:
    if weights.kernel is None:
        grad_x += by_inputs
        return
    product = weights.products[part.product]
    add_patches(
        by_inputs, weights.kernel, product.first_channel, product.channels, grad_x[part.images]
    )


def _by_weight(by_matrix: List[Tensor], weights: Weights) -> Tensor:
    for gradient, matrix in zip(by_matrix, weights.matrices):
        if matrix.gradient_factors is not None:
            gradient.mul_(matrix.gradient_factors)
    return in_shape(by_matrix, weights)


def in_shape(matrices: List[Tensor], weights: Weights) -> Tensor:
    """Those of the products as one tensor, of the shape of what was encoded."""
    if weights.kernel is None:
        return matrices[0]
    pairs = zip(matrices, weights.products)
    return torch.cat([filters_of(matrix, weights.kernel, product) for matrix, product in pairs])


@in_float32
def outputs(
    x: Tensor, weights: Weights, bound: Optional[Tensor], settings: ArraySettings
) -> Tensor:
    if not all_finite(x):
        raise not_finite("input", x)
    through = ArrayPass(settings, x.device)
    result = x.new_zeros(_row_count(x, weights.kernel), tiles(weights), weights.outputs)
    for part in _parts(x, weights):
        matrix = part.matrix
        for tile, (begin, end) in enumerate(matrix.tiles):
            inputs = through.inputs(part.x[:, begin:end])
            if settings.adc_bits is None:
                own = through.largest_currents(inputs, matrix, tile)
            else:
                own_bound = _bound_of(bound, tile, part.outputs)
                own = through.outputs(inputs, matrix, tile, own_bound)[0]
            result[part.rows, tile, part.outputs] = own
    return result


def compensate(weights: Weights, factors: Tensor) -> Weights:
    matrices = []
    for product, matrix in zip(weights.products, weights.matrices):
        own = factors[: len(matrix.tiles)]
        if own.shape[1] != 1:
            own = own[:, product.first_output : product.first_output + product.outputs]
        matrices.append(matrix._replace(scales=matrix.scales * own))
    return weights._replace(matrices=tuple(matrices))


def record_like(y: Tensor, gates: int) -> Tensor:
    rows = y.numel() // y.shape[1] if y.shape[1] else 0
    return y.new_empty((rows, gates * y.shape[1]), dtype=torch.uint8)


def record(kept: KeptPass, y: Tensor) -> Tensor:
    """The share of each array's outputs that ADCs have clipped: without slices none or _ALL."""
    clips = kept.tensors[0]
    return record_like(y, 0) if clips is None else clips


def kept_from(record: Tensor, x: Tensor, weights: Weights, settings: ArraySettings) -> KeptPass:
    return _kept(None if settings.adc_bits is None else record, weights)
