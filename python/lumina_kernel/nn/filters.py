"""A convolution's filters as matrices of its products (array_layout.py)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..array_layout import Product
from ..array_settings import Kernel


def _channels_of_outputs(kernel: Kernel, product: Product, device: torch.device) -> Tensor:
    """Which of the product's channels each of its outputs has, [outputs, channels / groups]."""
    of_group = kernel.outputs // kernel.groups
    in_group = kernel.channels // kernel.groups
    last = product.first_output + product.outputs
    groups = torch.arange(product.first_output, last, device=device) // of_group
    own = torch.arange(in_group, device=device) - product.first_channel
    return groups[:, None] * in_group + own


def filter_matrix(filters: Tensor, kernel: Kernel, product: Product) -> Tensor:
    """Filters [out, C / groups, d, h, w] as weights of rows, [outputs, taps · channels] of the
    product: input = tap·channels + channel."""
    own = filters[product.first_output : product.first_output + product.outputs]
    by_tap = own.flatten(2).transpose(1, 2)  # [outputs, taps, C / groups]
    if kernel.groups == 1:
        return by_tap.reshape(product.outputs, -1)
    matrix = filters.new_zeros(product.outputs, by_tap.shape[1], product.channels)
    where = _channels_of_outputs(kernel, product, matrix.device)[:, None, :].expand_as(by_tap)
    return matrix.scatter_(2, where, by_tap).flatten(1)


def filters_of(matrix: Tensor, kernel: Kernel, product: Product) -> Tensor:
    """What filter_matrix() has made `matrix` of: [outputs, C / groups, d, h, w]."""
    by_tap = matrix.reshape(product.outputs, -1, product.channels)
    if kernel.groups > 1:
        where = _channels_of_outputs(kernel, product, matrix.device)[:, None, :]
        by_tap = by_tap.gather(2, where.expand(-1, by_tap.shape[1], -1))
    return by_tap.transpose(1, 2).reshape(product.outputs, -1, *kernel.size)
