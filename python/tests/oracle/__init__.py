"""What lumina_kernel must compute, written again in NumPy from docs/numerics.md.

Every float operation is rounded as the document says, so the results have the same bits. Nothing is
shared with the C++ code but the polynomials of the normals. "Section" in the docstrings is one of
docs/numerics.md.
"""
from .bounds import assert_within_bound
from .float32 import fma32
from .golden import golden_normals, golden_places
from .layer import codes_of_weights, layer, quantized_weights, scales_of_weights
from .noise import FastRng, SplitMix64, normals
from .quantizer import Quantizer

__all__ = [
    "FastRng", "Quantizer", "SplitMix64", "assert_within_bound", "codes_of_weights", "fma32",
    "golden_normals", "golden_places", "layer", "normals", "quantized_weights",
    "scales_of_weights",
]
