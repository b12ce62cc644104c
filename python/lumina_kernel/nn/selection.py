"""Chooses what computes the layers."""

from __future__ import annotations

import os
from typing import Tuple

from .interface import Computation


def _wish() -> Tuple[str, str]:
    """The variable that says something, and what: 0, 1 or nothing; the newer name wins."""
    for name in ("LUMINA_USE_KERNEL", "LUMINA_USE_RUST"):
        wish = os.environ.get(name, "")
        if wish not in ("", "0", "1"):
            raise ValueError(f"environment variable {name} must be 0 or 1, not {wish!r}")
        if wish:
            return name, wish
    return "", ""


def select() -> Computation:
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
