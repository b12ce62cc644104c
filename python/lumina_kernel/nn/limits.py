"""The limit of a tracked ADC: a number on the host, or on another device a scalar tensor that passes
move there, without waiting for the device."""

from __future__ import annotations

from typing import Any, Optional, Union

import torch
from torch import Tensor

from . import ranks
from .on_host import ask, tell

# A tracked range is kept within what an ADC can have.
SMALLEST_LIMIT = 2.0**-60
LARGEST_LIMIT = torch.finfo(torch.float32).max / 4

#: 0.0: not known yet
Limit = Union[float, Tensor]


def _is_right(buffer: Tensor) -> bool:
    """Error: RuntimeError."""
    return checked(buffer.item()) != 0.0


def checked(limit: Limit) -> Limit:
    """Error: RuntimeError, a number that no pass leaves."""
    if isinstance(limit, Tensor) or limit == 0.0 or SMALLEST_LIMIT <= limit <= LARGEST_LIMIT:
        return limit
    raise RuntimeError(f"OpticalLinear: adc_limit is {limit}, which no batch leaves there")


def of(buffer: Tensor) -> Limit:
    """The limit that a layer's buffer holds. Outside the CPU the buffer is looked at where it has not
    been seen to be right: by the first pass, and after others have changed it."""
    if buffer.is_cpu:
        return buffer.item()
    return buffer.detach().clone() if ask(buffer, _is_right) else 0.0


def of_graph(buffer: Tensor) -> Limit:
    """The same for an operator of a graph, which moves the buffer where nobody sees it: what was right
    once is taken for right."""
    if buffer.is_cpu:
        return buffer.item()
    is_right = ask(buffer, _is_right, for_good=True)
    return buffer.detach().clamp(SMALLEST_LIMIT, LARGEST_LIMIT) if is_right else 0.0


def move(buffer: Tensor, before: Limit, after: Limit) -> None:
    """From `before`, which of() gave, to `after`."""
    if not isinstance(after, Tensor):
        if after != before:
            buffer.fill_(after)
    elif after is not before:
        buffer.copy_(after)
        tell(buffer, _is_right, True)


def widened(limit: Limit, largest: Limit, learns: bool, group: Optional[Any]) -> Limit:
    """By a pass whose largest |v| that is. `learns`: by those of all processes of the group."""
    if isinstance(limit, Tensor):
        if not learns:
            return limit
        if not isinstance(largest, Tensor):
            largest = limit.new_full((), largest)
        limit = torch.fmax(limit, largest)  # NaN moves nothing
        return ranks.largest(limit, group).clamp(max=LARGEST_LIMIT)
    if isinstance(largest, Tensor):
        largest = largest.item()
    if learns:
        largest = ranks.largest(max(limit, largest), group)
    if not largest > limit:
        return limit
    return min(max(largest, SMALLEST_LIMIT), LARGEST_LIMIT)
