"""Layers on simulated analog hardware for PyTorch.

`OpticalLinear` computes with the library's native kernels, or, where those can't be imported, with
PyTorch alone; `backend()` says which. The environment variable LUMINA_USE_KERNEL (0 or 1), or by
its older name LUMINA_USE_RUST, chooses.
"""

from ..profiles import HardwareProfile, hardware_profile
from .freezing import freeze, unfreeze
from .optical_linear import OpticalLinear
from .selection import backend

__all__ = [
    "HardwareProfile",
    "OpticalLinear",
    "backend",
    "freeze",
    "hardware_profile",
    "unfreeze",
]
