"""docs/numerics.md, section 3: exp, log and tanh of float32s, from the constants in
detail/base/elementary.hpp. A result may also be INFINITY or MINUS_INFINITY."""
import re
from fractions import Fraction
from pathlib import Path

from exact_float import INFINITY, LARGEST, MINUS_INFINITY, fma, nearest, value_of

HEADER = Path(__file__).resolve().parents[2] / "include/lumina/detail/base/elementary.hpp"
TEXT = HEADER.read_text()


def constants(name):
    body = re.search(name + r"(?:\[\d+\])? =\s*\{?([^;}]*)", TEXT).group(1)
    literals = [literal.strip().rstrip("f") for literal in body.split(",")]
    return [nearest(Fraction(float.fromhex(v)) if "x" in v else Fraction(v)) for v in literals]


EXP, LOG, TANH = map(constants, ("kExpCoefficients", "kLogRestCoefficients", "kTanhCoefficients"))
LOG2E, LN2_HIGH, LN2_LOW = (constants(name)[0] for name in ("kLog2E", "kLn2High", "kLn2Low"))
LOWEST, HIGHEST, SWITCH = (constants(name)[0]
                           for name in ("kExpLowest", "kExpHighest", "kTanhSwitch"))
SHIFT = Fraction(3 * 2**22)
PIVOT = value_of(0x3F2AAAAB)  # the float above 2/3
SMALLEST_NORMAL = Fraction(1, 2**126)


def product(a, b):
    return nearest(a * b)


def polynomial(coefficients, x):
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = fma(value, x, coefficient)
    return value


def exp(x):
    x = min(max(x, LOWEST), HIGHEST)
    n = fma(x, LOG2E, SHIFT) - SHIFT
    r = fma(n, -LN2_LOW, fma(n, -LN2_HIGH, x))
    significand = nearest(1 + fma(product(r, r), polynomial(EXP, r), r))
    half = int(n) >> 1
    result = product(product(significand, Fraction(2) ** half), Fraction(2) ** (int(n) - half))
    return result if result <= LARGEST else INFINITY


def log(x):
    """Of 0 or a positive number."""
    if x == 0:
        return MINUS_INFINITY
    lift = Fraction(0)
    if x < SMALLEST_NORMAL:
        x, lift = x * 2**23, Fraction(-23)
    exponent = 0
    while x < PIVOT:
        x, exponent = x * 2, exponent - 1
    while x >= 2 * PIVOT:
        x, exponent = x / 2, exponent + 1
    f, n = nearest(x - 1), exponent + lift
    f2 = product(f, f)
    rest = product(product(f, f2), polynomial(LOG, f))
    rest = fma(f2, Fraction(-1, 2), fma(n, LN2_LOW, rest))
    return fma(n, LN2_HIGH, nearest(f + rest))


def tanh(x):
    magnitude = abs(x)
    if magnitude < SWITCH:
        x2 = product(magnitude, magnitude)
        result = fma(product(magnitude, x2), polynomial(TANH, x2), magnitude)
    else:
        power = exp(nearest(2 * magnitude))
        inverse = Fraction(0) if power == INFINITY else nearest(2 / nearest(power + 1))
        result = nearest(1 - inverse)
    return -result if x < 0 else result
