"""float32 arithmetic on exact rational numbers, each operation rounded by hand.

A finite float is a Fraction; INFINITY, MINUS_INFINITY and NAN stand for what has no value. There is one
zero, +0. Results may be beyond float32's largest number: who asks clamps them, or never gets there.
"""
import math
from fractions import Fraction

INFINITY, MINUS_INFINITY, NAN = 0x7F800000, 0xFF800000, 0x7FC00000  # their bits
SMALLEST = Fraction(1, 2**149)
LARGEST = Fraction(2**24 - 1) * 2**104


def nearest(x, digits=24, lowest_exponent=-149):
    """The number of so many binary digits nearest to x, ties to even: float32, unless told else."""
    numerator, denominator = abs(x).numerator, x.denominator
    if numerator == 0:
        return Fraction(0)
    unit = max(numerator.bit_length() - denominator.bit_length() - digits, lowest_exponent)
    while True:
        scaled = Fraction(numerator, denominator) / Fraction(2) ** unit
        if scaled < 2**digits:
            break
        unit += 1
    rounded = Fraction(round(scaled)) * Fraction(2) ** unit  # round() takes ties to even
    return -rounded if x < 0 else rounded


def nearest_double(x):
    return nearest(x, 53, -1074)


def fma(a, b, c):
    return nearest(a * b + c)


def square_root(x):
    """Of a float32. The digits behind the 400th are missing, which no tie needs."""
    return nearest(Fraction(math.isqrt(int(x * 4**400)), 2**400))


def bits_of(x):
    """The float32's bits."""
    if not isinstance(x, Fraction):
        return x
    units = abs(x) / SMALLEST
    assert units.denominator == 1 and abs(x) <= LARGEST, f"{x} is no float32"
    units = int(units)
    exponent = max(units.bit_length() - 24, 0)
    assert units % 2**exponent == 0
    # The implicit bit of a normal number counts as one more in the exponent.
    return (0x80000000 if x < 0 else 0) | (exponent << 23) + (units >> exponent)


def value_of(bits):
    """What these bits stand for."""
    exponent, significand = bits >> 23 & 0xFF, bits & 0x7FFFFF
    if exponent == 0xFF:
        return NAN if significand else MINUS_INFINITY if bits >> 31 else INFINITY
    units = significand if exponent == 0 else (significand + 2**23) << (exponent - 1)
    return (-units if bits >> 31 else units) * SMALLEST


def neighbour(x, steps):
    """So many floats above a positive x, or below."""
    return value_of(bits_of(x) + steps)
