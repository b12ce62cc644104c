"""Chooses what computes the layers: by the environment, and for each call by where its tensors are."""

from __future__ import annotations

import functools
import os
from typing import Optional, Tuple, Union

import torch
from torch import Tensor

from .interface import Computation

Device = Union[str, torch.device]

#: Where tensors of layers may be; on "meta" they are nothing but shapes.
_KINDS = ("cpu", "cuda", "meta")


def _wish() -> Tuple[str, str]:
    """The variable that says something, and what: 0, 1 or nothing; the newer name wins."""
    for name in ("LUMINA_USE_KERNEL", "LUMINA_USE_RUST"):
        wish = os.environ.get(name, "")
        if wish not in ("", "0", "1"):
            raise ValueError(f"environment variable {name} must be 0 or 1, not {wish!r}")
        if wish:
            return name, wish
    return "", ""


def select(kind: str = "cpu", index: Optional[int] = None) -> Computation:
    """The computation that the environment asks for, of tensors on such a device: "cpu" or "cuda".
    Error: ImportError, it can't be had."""
    name, wish = _wish()
    if wish != "0":
        try:
            if kind == "cuda":
                from . import cuda

                cuda.check(index)
                return cuda
            from . import native

            return native
        except ImportError as error:
            if wish == "1":
                raise ImportError(
                    f"{name}=1 asks for lumina_kernel's native module: {error}"
                ) from error
    from . import pure_torch

    return pure_torch


#: Of tensors on the CPU, and of those that are nothing but shapes.
active = select()


@functools.lru_cache(maxsize=None)
def _on_cuda(index: Optional[int]) -> Computation:
    """Found out at the first call: the module of GPUs is not loaded before."""
    return select("cuda", index)


def computation(device: Device) -> Computation:
    """Of calls whose tensors are on `device`. Error: ImportError, the environment asks for a module
    that can't be had."""
    if isinstance(device, str):
        device = torch.device(device)
    return _on_cuda(device.index) if device.type == "cuda" else active


def backend(device: Device = "cpu") -> str:
    """What computes layers of this process on such a device: "native" (on CPUs), "cuda" or
    "torch"."""
    return computation(device).NAME


def is_known(device: Device) -> bool:
    """Whether layers can be there."""
    return torch.device(device).type in _KINDS


def check_devices(*named: Tuple[str, Optional[Tensor]]) -> None:
    """Of the tensors of a call. Error: ValueError, they are not on one device, or on one of
    another kind; it names them."""
    device = None
    for name, tensor in named:
        if tensor is None:
            continue
        if device is None:
            device = tensor.device
            if device.type not in _KINDS:
                raise ValueError(
                    f"{name} {list(tensor.shape)} must be on the CPU or a CUDA device, not on "
                    f"{device}"
                )
        elif tensor.device != device:
            places = (f"{n} {list(t.shape)} on {t.device}" for n, t in named if t is not None)
            raise ValueError(f"tensors must be on one device, but {', '.join(places)}")
