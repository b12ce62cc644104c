"""Numbers as arguments: errors that name them."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np

# A Python float: beside a float32 NumPy 2 would round the other side to float32, with a warning.
_LARGEST = float(np.finfo(np.float32).max)


def checked_int(name: str, value: Any) -> int:
    """Error: TypeError, if it is no integer, or a bool."""
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be an int, not {type(value).__name__}")


def checked_float(name: str, value: Any) -> float:
    """Errors: TypeError, if it is no real number; ValueError, if float32 can't hold it."""
    if not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not abs(number) <= _LARGEST:
        raise ValueError(f"{name} must be finite in float32, not {number}")
    return number
