"""How matrices are cut into arrays, and convolutions into matrices
(include/lumina/convolution.hpp)."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Tuple

from .array_settings import Kernel
from .hardware.mapping import Mapping

Span = Tuple[int, int]  #: begin and end

#: Outputs of a product where there are groups.
_OUTPUTS = 128


class Product(NamedTuple):
    """With several groups each 128 outputs are one, of the channels of all of their groups, with
    weights of 0 where a channel is not the output's group's."""

    first_output: int
    outputs: int
    first_channel: int
    channels: int


def tile_count(length: int, mapping: Mapping) -> int:
    """How many arrays so many inputs take."""
    return max(1, -(-length // mapping.tile[0]))


def products(kernel: Kernel) -> List[Product]:
    if kernel.groups == 1:
        return [Product(0, kernel.outputs, 0, kernel.channels)]
    of_group = kernel.outputs // kernel.groups
    in_group = kernel.channels // kernel.groups
    result = []
    for first in range(0, kernel.outputs, _OUTPUTS):
        end = min(first + _OUTPUTS, kernel.outputs)
        first_group, end_group = first // of_group, (end - 1) // of_group + 1
        channels = (end_group - first_group) * in_group
        result.append(Product(first, end - first, first_group * in_group, channels))
    return result


def tiles_of(kernel: Optional[Kernel], inputs: int, mapping: Mapping) -> int:
    """The most arrays along the inputs that a product has. inputs: of a convolution those of all of
    its channels."""
    if kernel is None:
        return tile_count(inputs, mapping)
    taps = inputs // kernel.channels
    return max(tile_count(taps * each.channels, mapping) for each in products(kernel))


def spans(length: int, tile: int, split: str) -> List[Span]:
    """How a length is cut into tiles (detail/layout/tiles.hpp)."""
    count = max(1, -(-length // tile))
    if split == "maximal":
        ends = [min((i + 1) * tile, length) for i in range(count)]
    else:
        size, longer = divmod(length, count)
        ends = [(i + 1) * size + min(i + 1, longer) for i in range(count)]
    return list(zip([0, *ends[:-1]], ends))
