"""docs/numerics.md, sections 1 and 5: quantizers, on exact numbers."""
from fractions import Fraction

from exact_float import INFINITY, MINUS_INFINITY, NAN, SMALLEST, bits_of, fma, nearest, nearest_double
from exact_float import value_of


def step_of(span, max_code, lo=Fraction(0)):
    """In double, then rounded to float; one float less where the highest level would be no float."""
    step = nearest(nearest_double(nearest_double(span) / max_code))
    if step * max_code + lo >= Fraction(2**25 - 1) * 2**103:
        step = value_of(bits_of(step) - 1)
    return step


def code_of(v, lo, step, lowest, highest):
    if v == NAN:
        return 0
    if v in (INFINITY, MINUS_INFINITY):
        return highest if v == INFINITY else lowest
    return min(max(round(nearest(nearest(v - lo) / step)), lowest), highest)


class Quantizer:
    def __init__(self, bits, lo, hi):
        self.bits, self.lo, self.hi, self.max_code = bits, lo, hi, 2**bits - 1
        self.step = step_of(hi - lo, self.max_code, lo)

    def encode(self, v):
        return code_of(v, self.lo, self.step, 0, self.max_code)

    def decode(self, code):
        return fma(Fraction(code), self.step, self.lo)


class SymmetricQuantizer:
    def __init__(self, bits, limit):
        self.bits, self.limit, self.max_code = bits, limit, 2 ** (bits - 1) - 1
        self.step = step_of(limit, self.max_code)

    def encode(self, v):
        return code_of(v, Fraction(0), self.step, -self.max_code, self.max_code)

    def decode(self, code):
        return nearest(code * self.step)


def weight_scale(row, max_code):
    """The step of an output's codes."""
    largest = max(abs(w) for w in row)
    return max(step_of(largest, max_code), SMALLEST) if largest else Fraction(0)
