"""What arrays hold, as matrices: ŵ and scales of a computation's weights, and the weights that they
stand for."""

from __future__ import annotations

from typing import Any, Iterator, NamedTuple

import torch
from torch import Tensor

from ..array_layout import Product, Span, products, spans
from .array_spec import ArrayKind
from .filters import filters_of


class HeldArray(NamedTuple):
    """That of a product (array_layout.py) and a tile."""

    product: Product
    tile: int
    inputs: Span  #: of the product
    devices: Tensor  #: ŵ [outputs, inputs]
    scales: Tensor  #: s [outputs]


def arrays(kind: ArrayKind, weights: Any) -> Iterator[HeldArray]:
    """Product after product, in each tile after tile."""
    computation, mapping = kind.computation, kind.encoding.mapping
    scales = computation.scales(weights)
    matrices = computation.devices(weights)
    if kind.kernel is None:
        all_products = [Product(0, matrices[0].shape[0], 0, matrices[0].shape[1])]
    else:
        all_products = products(kind.kernel)
    for product, matrix in zip(all_products, matrices):
        own = slice(product.first_output, product.first_output + product.outputs)
        for tile, span in enumerate(spans(matrix.shape[1], mapping.tile[0], mapping.split)):
            yield HeldArray(product, tile, span, matrix[:, slice(*span)], scales[tile, own])


def decode(kind: ArrayKind, weights: Any) -> Tensor:
    """The weights [out, in], or filters, that are held."""
    values = {}
    for array in arrays(kind, weights):
        own = array.devices * array.scales[:, None]
        values.setdefault(array.product, []).append(own)
    matrices = {product: torch.cat(parts, 1) for product, parts in values.items()}
    if kind.kernel is None:
        return next(iter(matrices.values()))
    return torch.cat(
        [filters_of(matrix, kind.kernel, product) for product, matrix in matrices.items()]
    )
