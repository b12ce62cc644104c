"""Weights and inputs in digits (include/lumina/analog_slices.hpp, docs/numerics.md, 21)."""

from __future__ import annotations

from typing import List, NamedTuple

from torch import Tensor

from ..hardware.mapping import Slices


class Digits(NamedTuple):
    """Σ worth·digit are codes."""

    each: List[Tensor]  #: with the signs of codes, the lowest first
    worths: List[int]
    largest: int  #: that a digit can be


def _digits(codes: Tensor, bits: int, count: int) -> List[Tensor]:
    """Of so many bits each; exact, as codes are integers."""
    magnitudes, signs = codes.abs(), codes.sign()
    shifted = ((magnitudes * 2.0 ** -(bits * i)).floor_() for i in range(count))
    return [each.remainder_(2**bits).mul_(signs) for each in shifted]


def weight_digits(codes: Tensor, slices: Slices, weight_bits: int) -> Digits:
    bits = slices.cell_bits
    count = -(-(weight_bits - 1) // bits)
    worths = [1 << (bits * i) for i in range(count)]
    return Digits(_digits(codes, bits, count), worths, (1 << bits) - 1)


def input_digits(codes: Tensor, slices: Slices, dac_bits: int) -> Digits:
    magnitude = dac_bits - 1
    bits = min(slices.input_bits or magnitude, magnitude)
    count = -(-magnitude // bits)
    worths = [1 << (bits * i) for i in range(count)]
    if slices.signs == "pulses":
        return Digits(_digits(codes, bits, count), worths, (1 << bits) - 1)
    positive, negative = codes.clamp(min=0.0), (-codes).clamp_(min=0.0)
    each = _digits(positive, bits, count) + _digits(negative, bits, count)
    return Digits(each, worths + [-worth for worth in worths], (1 << bits) - 1)
