"""What FastRng gives in one run of calls, which check_fast_rng makes again."""
from fractions import Fraction

import tables
from exact_float import bits_of, fma
from noise_field import MASK, xoshiro
from rng import FastRng, Jumps, unit
from tables import bits

MEAN, STDDEV = Fraction(1, 4), Fraction(3, 2)
FILLS = (3, 70, 1, 20)  # the lengths of calls of fill_normal
SEEDS = (0, 42, MASK)


def run(seed, jumps):
    rng = FastRng(seed)
    words = [rng.word() for _ in range(8)]
    floats = [rng.uniform() for _ in range(4)]
    floats += [unit(rng.word()) for _ in range(4)]
    floats += [rng.normal() for _ in range(5)]
    for length in FILLS:
        floats += [fma(STDDEV, rng.normal(), MEAN) for _ in range(length)]
    words += [rng.word() for _ in range(2)]
    rng.advance(jumps.jump)
    words += [rng.word() for _ in range(4)]
    rng.advance(jumps.long_jump)
    words += [rng.word() for _ in range(4)]
    floats += [rng.normal() for _ in range(2)]  # they start anew
    return words, floats


def text():
    jumps, words, floats = Jumps(), [], []
    for seed in SEEDS:
        own_words, own_floats = run(seed, jumps)
        words += own_words
        floats += own_floats
    state = [1, 2, 3, 4]
    published = [xoshiro(state) for _ in range(10)]
    as_words = lambda values: [f"{value:#018x}u" for value in values]  # noqa: E731
    return tables.header(
        "The runs of calls are in check_rng.hpp.",
        tables.array("kRngSeeds", "std::uint64_t", as_words(SEEDS)),
        f"inline constexpr float kRngMean = {tables.literal(MEAN)}, "
        f"kRngStddev = {tables.literal(STDDEV)};\n",
        tables.array("kRngFills", "std::uint32_t", map(str, FILLS)),
        tables.array("kRngWords", "std::uint64_t", as_words(words)),
        tables.array("kRngFloats", "std::uint32_t", map(bits, floats)),
        "/// Xoshiro256++ from the state 1, 2, 3, 4.\n"
        + tables.array("kXoshiroWords", "std::uint64_t", as_words(published)))
