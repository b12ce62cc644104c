"""What a layer's devices are: those of a chip, as programmed or at a time."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from ..array_settings import Encoding
from .on_host import ask


class Chip(NamedTuple):
    """A programmed layer's. As a tensor, in which it goes into state_dict, int64 [4]."""

    seed: int  #: 0 … 2^64 − 1
    stream: int  #: the layer's number on the chip, 0 … 2^64 − 1
    seconds: Optional[float]  #: since programming; None: just programmed, not read

    def to(self, tensor: Tensor) -> None:
        time = -1 if self.seconds is None else struct.unpack("<q", struct.pack("<d", self.seconds))[0]
        tensor.copy_(torch.tensor([1, _signed(self.seed), _signed(self.stream), time]))

    @staticmethod
    def of(tensor: Tensor) -> Optional[Chip]:
        """None: none has been programmed."""
        programmed, seed, stream, time = ask(tensor, Tensor.tolist)
        if not programmed:
            return None
        seconds = None if time == -1 else struct.unpack("<d", struct.pack("<q", time))[0]
        return Chip(seed % 2**64, stream % 2**64, seconds)


def no_chip() -> Tensor:
    return torch.zeros(4, dtype=torch.int64)


def _signed(word: int) -> int:
    return word - 2**64 if word >= 2**63 else word


class Held(NamedTuple):
    """Weights that are encoded once, for as long as nobody changes what they are made of."""

    weights: Any  #: of the computation
    encoding: Encoding
    chip: Chip
    computation: Any
    source: Tensor  #: the parameter that they were made of, and its version
    version: Optional[int]

    def is_of(self, weight: Tensor) -> bool:
        """`weight`: the parameter, or what a graph of tensors made of it."""
        if version_of(self.source) != self.version:
            return False
        return weight.dtype != self.source.dtype or weight.data_ptr() == self.source.data_ptr()


def version_of(weight: Tensor) -> Optional[int]:
    return None if weight.is_inference() else weight._version
