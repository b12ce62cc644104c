"""Drift compensation: what a read-out of the arrays says, made up for by the digital side.

As include/lumina/compensation.hpp, where its sources are: the factor is the mean of |ŷ| over an
array's unit vectors when it was programmed, over that of now.
"""

from __future__ import annotations

from typing import Callable, List, NamedTuple, Optional, Sequence

import numpy as np

from .array_layout import products, spans
from .array_settings import Kernel
from .hardware.mapping import Mapping
from .mixing import mixed

_ROWS = 256  # that are read out at a time
_READ_OUT = 0x7265616F7574  # of keys, whatever a layer's own are

#: outputs(units, key): what leaves the arrays, [rows, tiles, out], with noise of that key. Units
#: are rows, or images that are patches: the kernel is patch_kernel()'s.
Outputs = Callable[[np.ndarray, int], np.ndarray]


def patch_kernel(kernel: Kernel) -> Kernel:
    """Of images that are patches."""
    return kernel._replace(padding=(0, 0, 0), stride=(1, 1, 1))


def read_out(
    outputs: Outputs,
    mapping: Mapping,
    kernel: Optional[Kernel],
    in_features: int,
    per_column: bool,
    chip: int,
    stream: int,
    seconds: Optional[float],
) -> np.ndarray:
    """Behind noise and ADC, float32 [tiles, 1 or out]. The noise is the chip's at that time: the
    same read-out each time. in_features: of a convolution taps·channels."""
    time = (0, 0) if seconds is None else float(seconds).as_integer_ratio()
    key = mixed(_READ_OUT, chip, stream, *time)
    sums = counts = np.zeros(0)
    arrays: List[_Array] = []
    for first in range(0, in_features, _ROWS):
        units = _units(first, min(first + _ROWS, in_features), in_features, kernel)
        seen = np.abs(outputs(units, mixed(key, first)))
        if first == 0:
            sums, counts = np.zeros((2, *seen.shape[1:]))
            arrays = _arrays(mapping, kernel, in_features, seen.shape[2])
        for tile, columns, inputs in arrays:
            own = inputs[(inputs >= first) & (inputs < first + len(units))] - first
            sums[tile, columns] += seen[own, tile, columns].sum(0, dtype=np.float64)
            counts[tile, columns] += len(own)
    if not per_column:  # over the outputs that have such an array
        sums, counts = sums.sum(1, keepdims=True), counts.sum(1, keepdims=True)
    return (sums / np.maximum(counts, 1.0)).astype(np.float32)


def factors(reference: np.ndarray, now: np.ndarray) -> np.ndarray:
    """What scales are multiplied with; 1 where nothing can be said."""
    with np.errstate(all="ignore"):
        ratio = reference / now
    return np.where((ratio > 0) & np.isfinite(ratio), ratio, np.float32(1.0))


class _Array(NamedTuple):
    """Which of the units are inputs of an array."""

    tile: int
    outputs: slice  #: whose array that is
    inputs: np.ndarray


def _units(begin: int, end: int, in_features: int, kernel: Optional[Kernel]) -> np.ndarray:
    """Unit vectors, or images with one such pixel."""
    units = np.zeros((end - begin, in_features), np.float32)
    units[np.arange(end - begin), np.arange(begin, end)] = 1.0
    if kernel is None:
        return units
    units = units.reshape(-1, *kernel.size, kernel.channels)  # unit = tap·channels + channel
    return _dilated(units.transpose(0, 4, 1, 2, 3), kernel.dilation)


def _dilated(images: np.ndarray, dilation: Sequence[int]) -> np.ndarray:
    sizes = [(size - 1) * step + 1 for size, step in zip(images.shape[2:], dilation)]
    spread = np.zeros((*images.shape[:2], *sizes), np.float32)
    d, h, w = dilation
    spread[:, :, ::d, ::h, ::w] = images
    return spread


def _arrays(
    mapping: Mapping, kernel: Optional[Kernel], in_features: int, outputs: int
) -> List[_Array]:
    if kernel is None:
        own = [(slice(0, outputs), np.arange(in_features))]
    else:
        taps = np.arange(in_features // kernel.channels)[:, None] * kernel.channels
        own = [
            (
                slice(each.first_output, each.first_output + each.outputs),
                (taps + each.first_channel + np.arange(each.channels)).ravel(),
            )
            for each in products(kernel)
        ]
    return [
        _Array(tile, columns, inputs[begin:end])
        for columns, inputs in own
        for tile, (begin, end) in enumerate(spans(len(inputs), mapping.tile[0], mapping.split))
    ]
