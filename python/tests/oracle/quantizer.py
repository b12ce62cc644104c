"""Section 1: the uniform quantizer of a DAC or an ADC."""
import numpy as np

from .float32 import fma32

ROUNDS_TO_INFINITY = float.fromhex("0x1.ffffffp+127")


def step_of(span, max_code, lo=0.0):
    """span / max_code; one float less where the highest level would be beyond float."""
    step = np.float32(span / max_code)
    overflows = float(step) * max_code + lo >= ROUNDS_TO_INFINITY
    return np.nextafter(step, np.float32(0)) if overflows else step


class Quantizer:
    def __init__(self, bits, lo, hi):
        self.lo = np.float32(lo) + np.float32(0)  # −0 counts as +0
        self.hi = np.float32(hi) + np.float32(0)
        self.max_code = 2**bits - 1
        self.step = step_of(float(self.hi) - float(self.lo), self.max_code, float(self.lo))

    def encode(self, values):
        with np.errstate(all="ignore"):
            codes = np.rint((np.asarray(values, np.float32) - self.lo) / self.step)
            codes = np.where(np.isnan(codes), 0, codes)
            return np.clip(codes, 0, self.max_code).astype(np.uint32)

    def decode(self, codes):
        return fma32(np.asarray(codes).astype(np.float32), self.step, self.lo)

    def __call__(self, values):
        values = np.asarray(values, np.float32)
        return np.where(np.isnan(values), values, self.decode(self.encode(values)))
