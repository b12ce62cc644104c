"""Descriptions as tuples of numbers, as the compiled part takes them (python/src/array_layer.cpp)."""

from __future__ import annotations

from typing import Optional, Tuple

from .cells import Cell
from .mapping import Mapping

Numbers = Tuple

#: σ / µS of a programmed device at r = g / g_max: Nandakumar et al. 2020 (weight_modifiers.hpp).
PROGRAMMING = (0.26348, 1.9650, -1.1731)

_SCALES = ("column", "tile")
_SPLITS = ("maximal", "equal")
_PAIRS = ("differential", "two_sided", "offset")


def of_mapping(mapping: Mapping) -> Numbers:
    return (*mapping.tile, _SCALES.index(mapping.scale), _SPLITS.index(mapping.split))


def of_devices(mapping: Mapping, cell: Optional[Cell]) -> Numbers:
    """The cell and how it holds a weight."""
    return (cell and cell.numbers(), _PAIRS.index(mapping.cells), mapping.g_min)
