"""Chooses what computes the layers.

A computation is a module with these functions:

    encode(weight [out, in], bits) -> weights             what is multiplied with
    forward(x, weights, bias, settings, key, keep, track) -> (y, largest, kept)
    backward(kept, grad_y, x, settings, needed) -> [grad_x, grad_weight, grad_bias]

x, grad_x [..., in], y, grad_y [..., out], bias [out] or None: float32 on the CPU, detached from
autograd. `key`: of the noise, None for none. `largest`: the largest |v| in front of the ADC, 0
without `track`. `kept` is for backward(), None without `keep`. Gradients that are not among the
three `needed` are None. Error: ValueError for NaN or Inf in x or weight.

Where tensors alone pass from the one to the other, what the forward pass has found out is one:

    record_like(y) -> record [..., n]                     empty, of its shape and type
    record(kept, y) -> record
    kept_from(record, x, weights, settings) -> kept
"""

from __future__ import annotations

import os
from types import ModuleType
from typing import Any, NamedTuple, Optional, Tuple

from torch import Tensor

from ..profiles import Readout
from .converters import Converter


class LayerSettings(NamedTuple):
    dac: Converter
    readout: Readout
    adc: Converter


class Kept(NamedTuple):
    """What backward() needs of the forward pass."""

    tensors: Tuple[Optional[Tensor], ...]  #: autograd frees them with the graph
    rest: Any = None


def not_finite(name: str, tensor: Tensor) -> ValueError:
    return ValueError(f"{name} {list(tensor.shape)} must be finite, but has NaN or Inf")


def _wish() -> Tuple[str, str]:
    """The variable that says something, and what: 0, 1 or nothing; the newer name wins."""
    for name in ("LUMINA_USE_KERNEL", "LUMINA_USE_RUST"):
        wish = os.environ.get(name, "")
        if wish not in ("", "0", "1"):
            raise ValueError(f"environment variable {name} must be 0 or 1, not {wish!r}")
        if wish:
            return name, wish
    return "", ""


def select() -> ModuleType:
    """The computation that the environment asks for. Error: ImportError, it can't be had."""
    name, wish = _wish()
    if wish != "0":
        try:
            from . import native

            return native
        except ImportError as error:
            if wish == "1":
                raise ImportError(
                    f"{name}=1 asks for lumina_kernel's native module: {error}"
                ) from error
    from . import pure_torch

    return pure_torch


active = select()


def backend() -> str:
    """What computes the layers of this process: "native" or "torch"."""
    return active.NAME
