"""Sections 4 to 6: weights as codes, and a layer."""
import numpy as np

from .float32 import chain, fma32
from .noise import normals
from .quantizer import Quantizer, step_of

SMALLEST_DENORMAL = np.float32(2.0**-149)


def scales_of_weights(w, bits):
    """float32[out]: the step of each row's symmetric codes."""
    largest = np.abs(w).max(axis=1, initial=0)
    max_code = 2 ** (bits - 1) - 1
    scales = np.array([step_of(float(m), max_code) for m in largest], np.float32)
    return np.where((largest > 0) & (scales == 0), SMALLEST_DENORMAL, scales)


def codes_of_weights(w, bits):
    """int32[out, in]"""
    scales, max_code = scales_of_weights(w, bits)[:, None], 2 ** (bits - 1) - 1
    codes = np.rint(w / np.where(scales == 0, np.float32(1), scales))
    return np.clip(codes, -max_code, max_code).astype(np.int32)


def quantized_weights(w, bits):
    """What the codes stand for, float32[out, in]."""
    return codes_of_weights(w, bits).astype(np.float32) * scales_of_weights(w, bits)[:, None]


def _coded_products(x, w, dac, weight_bits):
    codes, scales = codes_of_weights(w, weight_bits), scales_of_weights(w, weight_bits)
    sums = dac.encode(x).astype(np.int64) @ codes.T.astype(np.int64)
    weight_sums = codes.sum(axis=1, dtype=np.int64).astype(np.float32)
    return fma32(sums.astype(np.float32), dac.step * scales, (dac.lo * scales) * weight_sums)


def layer(x, w, bias, bits, noise_std=0.0, seed=0, *, lo=-10.0, hi=10.0, dac_bits=None,
          weight_bits=None, dac_lo=0.0, dac_hi=1.0, stream=0, row_offset=0, fused=True):
    """optical_linear_fused, bit for bit. `fused=False`: on a machine without FMA."""
    dac = None if dac_bits is None else Quantizer(dac_bits, dac_lo, dac_hi)
    if dac is not None and dac_bits <= 8 and weight_bits is not None and weight_bits <= 8:
        v = _coded_products(x, w, dac, weight_bits)
    else:
        w = w if weight_bits is None else quantized_weights(w, weight_bits)
        v = chain(x if dac is None else dac(x), w, fused)
    if bias is not None:
        v = v + bias
    if noise_std:
        v = fma32(np.float32(noise_std), normals(seed, *v.shape, stream, row_offset), v)
    return Quantizer(bits, lo, hi)(v)
