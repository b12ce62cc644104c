"""Neural layers on simulated noisy k-bit analog hardware, in one pass over memory.

    y = ADC(DAC(x) @ W.T + b + noise)

The functions take NumPy arrays and tensors of PyTorch where they lie, optical_linear_fused and
optical_linear_infer on a GPU too. `Profile` and its parts
describe hardware (`presets` has some); they need neither the compiled part nor PyTorch. `linear`
and `convolution` compute on arrays that they describe.
`lumina_kernel.nn` has the PyTorch layer `OpticalLinear`; it works without the compiled part too,
only slower.
"""

from importlib import metadata as _metadata
from typing import TYPE_CHECKING

try:
    from ._core import (
        CodedWeights,
        FastRng,
        PackedWeights,
        Quantizer,
        SymmetricQuantizer,
        available_isas,
        complex_matmul,
        force_isa,
        hello_lumina,
        isa,
        mix_neighbours,
        optical_linear_backward_kernel,
        optical_linear_fused,
        optical_linear_infer,
        optical_linear_physics,
        standard_normal_at,
        version,
    )
except ImportError as _error:
    # lumina_kernel.nn has a way without; whoever wants something compiled gets the cause.
    _cause = _error

if TYPE_CHECKING:
    from .analog import *
    from .hardware import *

# Imported when one of them is asked for.
_HARDWARE = [
    "Adc",
    "Calibrated",
    "Dac",
    "Energy",
    "HardwareAware",
    "Mapping",
    "Profile",
    "ReadNoise",
    "Slices",
    "Wires",
    "cells",
    "presets",
]

_ANALOG = ["AnalogWeights", "calibrated", "convolution", "linear"]

__all__ = [
    *_HARDWARE,
    *_ANALOG,
    "CodedWeights",
    "FastRng",
    "PackedWeights",
    "Quantizer",
    "SymmetricQuantizer",
    "available_isas",
    "complex_matmul",
    "force_isa",
    "hello_lumina",
    "isa",
    "mix_neighbours",
    "optical_linear_backward_kernel",
    "optical_linear_fused",
    "optical_linear_infer",
    "optical_linear_physics",
    "standard_normal_at",
    "version",
]

__version__: str

if not TYPE_CHECKING:  # where it would vouch for any name

    def __getattr__(name: str):
        if name == "__version__":
            if "version" in globals():
                return version()
            try:
                return _metadata.version("lumina-kernel")
            except _metadata.PackageNotFoundError:
                pass  # run from its sources
        if name in _HARDWARE:
            from . import hardware

            return getattr(hardware, name)
        if name in _ANALOG and "version" in globals():
            from . import analog

            return getattr(analog, name)
        if name in __all__:
            raise ImportError(f"lumina_kernel.{name} needs the compiled part: {_cause}") from _cause
        raise AttributeError(f"module 'lumina_kernel' has no attribute '{name}'")

    def __dir__():
        return sorted({*globals(), *__all__})
