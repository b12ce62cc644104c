"""Layers on simulated analog hardware for PyTorch.

`AnalogLinear` and its relatives lie on arrays, under a `lumina_kernel.Profile`; `OpticalLinear` is
a layer under one of the lumina_* profiles. They compute with the library's native kernels, on a GPU
with those of the package lumina_kernel_cuda, or, where these can't be imported, with PyTorch alone;
`backend(device)` says which. The environment variable
LUMINA_USE_KERNEL (0 or 1), or by its older name LUMINA_USE_RUST, chooses.
"""

from ..profiles import HardwareProfile, hardware_profile
from .analog_attention import AnalogMultiheadAttention
from .analog_conv import AnalogConv1d, AnalogConv2d, AnalogConv3d
from .analog_linear import AnalogLinear
from .analog_rnn import AnalogGRU, AnalogLSTM, AnalogRNN
from .calibration import calibrate
from .conversion import conversion_report, convert_to_analog, convert_to_digital
from .freezing import freeze, unfreeze
from .optical_linear import OpticalLinear
from .optimizers import AnalogAdam, AnalogSGD
from .programming import drift, program, seed_step, unprogram
from .report import report
from .selection import backend

__all__ = [
    "AnalogAdam",
    "AnalogConv1d",
    "AnalogConv2d",
    "AnalogConv3d",
    "AnalogGRU",
    "AnalogLSTM",
    "AnalogLinear",
    "AnalogMultiheadAttention",
    "AnalogRNN",
    "AnalogSGD",
    "HardwareProfile",
    "OpticalLinear",
    "backend",
    "calibrate",
    "conversion_report",
    "convert_to_analog",
    "convert_to_digital",
    "drift",
    "freeze",
    "hardware_profile",
    "program",
    "report",
    "seed_step",
    "unfreeze",
    "unprogram",
]
