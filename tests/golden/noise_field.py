#!/usr/bin/env python3
"""The noise field again, in another language, by the definition in docs/numerics.md.

Exact rational arithmetic, each operation rounded to float32 by hand: nothing is shared with the C++
code but the polynomials, which are read from detail/random/normal_constants.hpp. Writes the golden values:

    python3 tests/golden/noise_field.py > tests/golden/noise_field.hpp
"""
import math
import random
import re
from fractions import Fraction
from pathlib import Path

MASK = (1 << 64) - 1
ROOT = Path(__file__).resolve().parents[2]


def rounded(x):
    """The float32 nearest to the rational x, ties to even (as a rational; no overflow here)."""
    if x == 0:
        return Fraction(0)
    exponent = max(math.floor(math.log2(abs(x))) if abs(x) > Fraction(1, 2**900) else -1000, -126)
    while abs(x) >= Fraction(2) ** (exponent + 1):
        exponent += 1
    while abs(x) < Fraction(2) ** exponent and exponent > -126:
        exponent -= 1
    unit = Fraction(2) ** (exponent - 23)
    return Fraction(round(x / unit)) * unit  # round() takes ties to even


def fma(a, b, c):
    return rounded(a * b + c)


def square_root(x):
    """The float32 nearest to the root of a float32."""
    scale = 2**200  # far more digits than a tie needs
    return rounded(Fraction(math.isqrt(int(x * scale * scale)), scale))


def bits_of(x):
    if x == 0:
        return 0
    sign = 0x80000000 if x < 0 else 0
    x = abs(x)
    exponent = -126
    while x >= Fraction(2) ** (exponent + 1):
        exponent += 1
    assert x >= Fraction(2) ** -126, "a denormal"
    significand = x / Fraction(2) ** (exponent - 23)
    return sign | (exponent + 127) << 23 | (int(significand) - 2**23)


def constants():
    text = (ROOT / "include/lumina/detail/random/normal_constants.hpp").read_text()

    def values(name):
        body = re.search(name + r"(?:\[\d+\])? =\s*\{?([^;}]*)", text).group(1)
        literals = [literal.strip().rstrip("f") for literal in body.split(",")]
        return [rounded(Fraction(float.fromhex(v) if "x" in v else Fraction(v))) for v in literals]

    return (values("kLogCoefficients"), values("kSineCoefficients"), values("kCosineCoefficients"),
            values("kMinusTwoLn2")[0])


LOG, SINE, COSINE, MINUS_TWO_LN2 = constants()


def polynomial(coefficients, x):
    value = coefficients[-1]
    for coefficient in reversed(coefficients[:-1]):
        value = fma(value, x, coefficient)
    return value


def signed(word):
    return word - ((word >> 31) << 32)


def box_muller(radius_word, angle_word):
    """(cosine, sine) as float32, and the same two in double."""
    steps = rounded(Fraction(signed(radius_word)))
    u = fma(abs(steps), Fraction(1, 2**31), Fraction(1, 2**32))
    exponent = 0
    significand = u  # to [2/3, 4/3): the pivot is the float just above 2/3
    pivot = Fraction(0xaaaaab, 2**24)
    while significand < pivot:
        significand *= 2
        exponent -= 1
    f = rounded(significand - 1)
    minus_two_ln = fma(Fraction(exponent * 2**23), MINUS_TWO_LN2, rounded(polynomial(LOG, f) * f))
    radius = square_root(minus_two_ln)
    if steps < 0:
        radius = -radius

    x = rounded(Fraction(signed(angle_word))) / 2**32
    x2 = rounded(x * x)
    cosine = rounded(radius * polynomial(COSINE, x2))
    sine = rounded(radius * rounded(x * polynomial(SINE, x2)))

    exact_radius = math.sqrt(max(0, -2 * math.log((2 * abs(signed(radius_word)) + 1) / 2**32)))
    if steps < 0:
        exact_radius = -exact_radius
    angle = math.pi * signed(angle_word) / 2**32
    return (cosine, sine), (exact_radius * math.cos(angle), exact_radius * math.sin(angle))


def splitmix(state):
    """Next state, output."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


def rotate(word, bits):
    return ((word << bits) | (word >> (64 - bits))) & MASK


def xoshiro(s):
    result = (rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
    t = (s[1] << 17) & MASK
    s[2] ^= s[0]
    s[3] ^= s[1]
    s[1] ^= s[2]
    s[0] ^= s[3]
    s[2] ^= t
    s[3] = rotate(s[3], 45)
    return result


def words_at(seed, stream, row_offset, row, col, draw, word, steps):
    """32-bit word `word` (0 … 15) of each of the first so many steps of the column's generator."""
    state, out = splitmix(seed)
    state, out = splitmix(out ^ stream)
    field = splitmix(out ^ draw)[1]
    row_state = splitmix(field ^ ((row_offset + row) & MASK))[1]
    state = row_state ^ (col // 128)
    outputs = []
    for _ in range(32):
        state, out = splitmix(state)
        outputs.append(out)
    lane = outputs[4 * (word // 2) : 4 * (word // 2) + 4]
    return [xoshiro(lane) >> 32 * (word % 2) & 0xffffffff for _ in range(steps)]


def standard_normal_at(seed, stream, row_offset, row, col, draw):
    steps = 2 * (col % 128 // 32) + 2
    radius, angle = words_at(seed, stream, row_offset, row, col, draw, col % 16, steps)[-2:]
    pair, exact = box_muller(radius, angle)
    which = col % 32 // 16
    return pair[which], exact[which]


def standard_uniform_at(seed, stream, row_offset, row, col, draw):
    steps = col % 128 // 16 + 1
    word = words_at(seed, stream, row_offset, row, col, draw, col % 16, steps)[-1]
    return fma(abs(rounded(Fraction(signed(word)))), Fraction(1, 2**31), Fraction(1, 2**32))


def main():
    rng = random.Random(2026)
    places = [(0, 0, 0, 0, col, 0) for col in (0, 1, 15, 16, 17, 31, 32, 127, 128, 129, 1000)]
    places += [(42, 0, 0, 0, 0, 0), (42, 1, 0, 0, 0, 0), (42, 0, 0, 1, 0, 0), (42, 0, 0, 0, 0, 1)]
    places += [(42, 0, 1, 0, 0, 0), (MASK, MASK, MASK, 3, 5, 2), (1, 2, 1 << 63, 4, 77, 0)]
    while len(places) < 100:
        places.append((rng.getrandbits(64), rng.getrandbits(64), rng.getrandbits(40),
                       rng.getrandbits(12), rng.getrandbits(13), rng.getrandbits(2)))
    print("""// Written by tests/golden/noise_field.py; do not edit.
#pragma once

#include <cstddef>
#include <cstdint>

namespace golden {

struct NoiseValue {
  std::uint64_t seed, stream, row_offset;
  std::size_t row, col, draw;
  std::uint32_t bits;  ///< of the float
  double exact;        ///< the same words through Box–Muller in double
};

inline constexpr NoiseValue kNoiseField[] = {""")
    for seed, stream, row_offset, row, col, draw in places:
        value, exact = standard_normal_at(seed, stream, row_offset, row, col, draw)
        print(f"    {{{seed}u, {stream}u, {row_offset}u, {row}, {col}, {draw}, "
              f"{bits_of(value):#010x}, {exact!r}}},")
    print("""};

struct BoxMullerValue {
  std::uint32_t radius_word, angle_word;
  std::uint32_t cosine_bits, sine_bits;  ///< zeros count as +0
};

inline constexpr BoxMullerValue kBoxMuller[] = {""")
    extremes = [0, 1, 2, 3, 0xff, 0x7fff, 0xfffff, 0x55555555, 0x55555580, 0xaaaaaaaa, 0xffffffff]
    extremes += [1 << bit for bit in range(2, 32, 3)] + [0x7fffffff, 0x80000000, 0xc0000000]
    words = [(radius, rng.choice(extremes + [rng.getrandbits(32)])) for radius in extremes]
    words += [(rng.getrandbits(32), angle) for angle in extremes]
    for radius_word, angle_word in words:
        (cosine, sine), _ = box_muller(radius_word, angle_word)
        print(f"    {{{radius_word:#010x}, {angle_word:#010x}, "
              f"{bits_of(cosine):#010x}, {bits_of(sine):#010x}}},")
    print("};\n\n}  // namespace golden")


if __name__ == "__main__":
    main()
