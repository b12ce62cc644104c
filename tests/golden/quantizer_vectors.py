"""fused_multiply_add where two roundings go wrong, and quantizers at random and at the edges."""
import random
from fractions import Fraction

import tables
from exact_float import INFINITY, LARGEST, MINUS_INFINITY, NAN, SMALLEST, bits_of, fma, nearest
from exact_float import neighbour, value_of
from quantizers import Quantizer, SymmetricQuantizer
from tables import bits

POWER = lambda exponent: Fraction(2) ** exponent  # noqa: E731


def double_roundings(rng):
    """(a, b, c): a·b lies halfway between two floats, and c, far below, says which one is nearest. Whoever
    adds in double loses c."""
    while True:
        a, b = Fraction(rng.getrandbits(13) | 1), Fraction(rng.getrandbits(13) | 1)
        if int(a * b).bit_length() == 25:
            a, b = a * rng.choice((-1, 1)), b * POWER(rng.randint(-40, 20))
            yield a, b, nearest(a * b * rng.choice((-1, 1)) * POWER(-rng.randint(31, 60)))


def multiply_adds(rng):
    cases = [case for case, _ in zip(double_roundings(rng), range(24))]
    # A product that itself is 2^-24·(1 + 2^-46): a sum in double takes it for half of the last place.
    cases += [(Fraction(8384513), 8392705 * POWER(-70), Fraction(sign)) for sign in (1, -1)]
    for _ in range(24):
        a, b = (nearest(Fraction(rng.uniform(-1, 1))) for _ in range(2))
        cases.append((a, b, nearest(Fraction(rng.uniform(-1, 1)) * POWER(rng.randint(-30, 6)))))
        cases.append((a, b, -nearest(a * b)))  # what the product's rounding lost
    cases.append((SMALLEST, Fraction(1, 2), Fraction(0)))  # a tie between 0 and a denormal
    cases.append((3 * SMALLEST, Fraction(1, 2), SMALLEST))
    cases.append((nearest(Fraction(1, 3)) * POWER(-120), nearest(Fraction(2, 3)), SMALLEST))
    return [f"{{{bits(a)}, {bits(b)}, {bits(c)}, {bits(fma(a, b, c))}}}" for a, b, c in cases]


def random_float(rng, lowest, highest):
    """Both signs, magnitudes 2^lowest to 2^highest."""
    magnitude = nearest(Fraction(1 + rng.random()) * POWER(rng.randint(lowest, highest)))
    return magnitude * rng.choice((-1, 1))


EDGES = [0, 0x80000000, 1, 0x80000001, 0x007FFFFF, 0x00800000, 0x7F7FFFFF, 0xFF7FFFFF, INFINITY,
         MINUS_INFINITY, NAN, 0xFFC00000]


def probes(rng, lowest, highest, position, count):
    """Bits of values: the edges, and around ties, the float that is nearest to one and its neighbours.
    position(code): where a code, or half of one, lies."""
    values = [nearest(position(Fraction(lowest - 1))), nearest(position(Fraction(highest + 1)))]
    for _ in range(count):
        tie = nearest(position(rng.randint(lowest, highest - 1) + Fraction(1, 2)))
        values += [neighbour(tie, rng.choice((-1, 1))) if tie else tie, tie]
        values.append(nearest(position(Fraction(rng.uniform(lowest, highest)))))
    return EDGES + [bits_of(v) for v in values if abs(v) <= LARGEST]


def rows(quantizer, values):
    result = []
    for value_bits in values:
        v = value_of(value_bits)
        code = quantizer.encode(v)
        decoded = NAN if v == NAN else quantizer.decode(code)
        result.append(f"{{{value_bits:#010x}, {code}, {bits(decoded)}}}")
    return result


def uniform_quantizers(rng):
    for number_of_bits in range(1, 17):
        lo = random_float(rng, -6, 3)
        hi = nearest(lo + abs(random_float(rng, -5, 5)))
        yield Quantizer(number_of_bits, lo, hi), 5
    exact, huge = Fraction(1), POWER(126)
    for number_of_bits, lo, hi in [
        (8, Fraction(0), 255 * exact), (8, -128 * exact, 127 * exact),  # every tie is a float
        (1, Fraction(0), exact), (4, -huge, huge), (16, -huge, huge), (8, LARGEST / 4, LARGEST),
        (2, Fraction(0), 3 * SMALLEST), (4, -8 * SMALLEST, 22 * SMALLEST), (12, Fraction(0), POWER(-126)),
        (3, Fraction(0), LARGEST), (8, 1 - POWER(-20), exact), (16, 1 - POWER(-8), exact)]:
        yield Quantizer(number_of_bits, nearest(lo), nearest(hi)), 3


def symmetric_quantizers(rng):
    for number_of_bits in range(2, 17):
        yield SymmetricQuantizer(number_of_bits, abs(random_float(rng, -8, 4))), 3
    for number_of_bits, limit in [(8, Fraction(127)), (2, SMALLEST), (8, LARGEST), (16, LARGEST)]:
        yield SymmetricQuantizer(number_of_bits, limit), 2


def text():
    rng = random.Random(2027)
    values, uniform, symmetric = [], [], []
    for q, count in uniform_quantizers(rng):
        own = rows(q, probes(rng, 0, q.max_code, lambda c, q=q: q.lo + c * q.step, count))
        uniform.append(f"{{{q.bits}, {bits(q.lo)}, {bits(q.hi)}, {bits(q.step)}, {len(own)}}}")
        values += own
    for q, count in symmetric_quantizers(rng):
        own = rows(q, probes(rng, -q.max_code, q.max_code, lambda c, q=q: c * q.step, count))
        symmetric.append(f"{{{q.bits}, {bits(q.limit)}, {bits(q.step)}, {len(own)}}}")
        values += own
    return tables.header(
        "Bits of floats. Zeros count as +0, NaNs as 0x7fc00000.",
        """struct MultiplyAdd {
  std::uint32_t a, b, c, result;
};
""",
        tables.array("kMultiplyAdds", "MultiplyAdd", multiply_adds(rng)),
        """/// A quantizer and how many of kQuantized, one after the other, are its.
struct UniformQuantizer {
  int bits;
  std::uint32_t lo, hi, step;
  std::uint32_t count;
};
""",
        tables.array("kUniformQuantizers", "UniformQuantizer", uniform),
        """/// Those of the symmetric ones follow those of the uniform ones.
struct SymmetricQuantizer {
  int bits;
  std::uint32_t limit, step;
  std::uint32_t count;
};
""",
        tables.array("kSymmetricQuantizers", "SymmetricQuantizer", symmetric),
        """struct Quantized {
  std::uint32_t value;
  std::int32_t code;
  std::uint32_t decoded;
};
""",
        tables.array("kQuantized", "Quantized", values))
