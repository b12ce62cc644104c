"""Processes that train one model together, by torch.distributed."""

from __future__ import annotations

from typing import Any, Optional, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

Value = TypeVar("Value", float, Tensor)

_AVAILABLE = dist.is_available()


def together() -> bool:
    return _AVAILABLE and dist.is_initialized()


def rank(group: Optional[Any]) -> int:
    """This process's, in a group or, with None, among all; 0 where it is alone."""
    return dist.get_rank(group) if together() else 0


def largest(value: Value, group: Optional[Any]) -> Value:
    """The largest `value` of all processes of the group, each of which must call this. A scalar tensor
    stays where it is."""
    if not together() or dist.get_world_size(group) == 1:
        return value
    # NCCL reduces on GPUs only.
    device = "cuda" if dist.get_backend(group) == "nccl" else "cpu"
    values = torch.full((), 0.0, dtype=torch.float64, device=device)
    values.copy_(value) if isinstance(value, Tensor) else values.fill_(value)
    dist.all_reduce(values, op=dist.ReduceOp.MAX, group=group)
    return values.to(value) if isinstance(value, Tensor) else values.item()
