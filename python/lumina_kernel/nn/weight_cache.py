"""Weights encoded once, as long as they stay the same."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import torch
from torch import Tensor

from . import selection


class _Entry(NamedTuple):
    weight: Tensor
    version: int
    alias: Tensor  #: keeps the memory from being given to other weights after `weight.data = ...`
    encoded: Any

    def is_of(self, weight: Tensor) -> bool:
        return (
            self.weight is weight
            and self.version == weight._version
            and self.alias.is_set_to(weight)
        )


class WeightCache:
    """The last weights in encoded form. Copies and what comes back from a file are empty."""

    def __init__(self) -> None:
        self._entry: Optional[_Entry] = None

    def clear(self) -> None:
        self._entry = None

    def encoded(self, weight: Tensor, bits: int) -> Any:
        """`weight` [out, in] as the backend encodes it. Error: ValueError for NaN or Inf."""
        if weight.is_inference():  # has no version counter
            return _encode(weight, bits)
        entry = self._entry  # another thread may replace it meanwhile
        if entry is None or not entry.is_of(weight):
            self._entry = entry = None  # gives its memory back
            version = weight._version
            entry = _Entry(weight, version, weight.detach(), _encode(weight, bits))
            self._entry = entry
        return entry.encoded

    def __reduce__(self) -> Tuple[type, Tuple[()]]:
        return WeightCache, ()


def _encode(weight: Tensor, bits: int) -> Any:
    if weight.dtype != torch.float32:
        raise TypeError(f"weight {list(weight.shape)} must be float32, not {weight.dtype}")
    if weight.device.type != "cpu":
        raise ValueError(f"weight {list(weight.shape)} must be on the CPU, not {weight.device}")
    # What inference mode makes can't be kept for a later backward pass.
    with torch.inference_mode(False), torch.no_grad():
        return selection.active.encode(weight.detach(), bits)
