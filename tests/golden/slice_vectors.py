"""A layer on arrays of sliced weights: noise of the outputs and an ADC for each slice and plane."""
from fractions import Fraction

import tables
from exact_float import fma, nearest
from gemm_vectors import decimal
from quantizers import SymmetricQuantizer, code_of, weight_scale
from rng import normal_at, unit_matrix, weight_matrix
from tables import bits, literal

BATCH, INPUTS, OUT, TILE = 2, 45, 12, 20
X_SEED, W_SEED, KEY = 84, 85, (7, 8, 9)
MAX_CODE = 127  # of weights with 8 bits, 7 of them a magnitude
CELL_BITS, SLICES = 3, 3
INPUT_BITS, PLANES = 2, 3
DAC = SymmetricQuantizer(6, decimal("0.9"))  # 5 bits of magnitude
ADC = SymmetricQuantizer(5, Fraction(60))
ADDITIVE = decimal("1.5")


def digit(code, base_bits, number):
    magnitude = abs(code) // 2 ** (base_bits * number) % 2**base_bits
    return magnitude if code > 0 else -magnitude


def planes_of(code, two_passes):
    """What each plane has of an input, and what it is worth."""
    parts = ((max(code, 0), 1), (max(-code, 0), -1)) if two_passes else ((code, 1),)
    for part, sign in parts:
        for plane in range(PLANES):
            yield digit(part, INPUT_BITS, plane), sign * 2 ** (INPUT_BITS * plane)


def outputs(two_passes):
    w = weight_matrix(W_SEED, OUT, INPUTS)
    tiles = [range(first, min(first + TILE, INPUTS)) for first in range(0, INPUTS, TILE)]
    device = nearest(Fraction(1, MAX_CODE))
    unit = nearest(nearest(Fraction(1, DAC.max_code)) * device)
    for row, inputs in enumerate(unit_matrix(X_SEED, BATCH, INPUTS)):
        planes = [list(planes_of(DAC.encode(v), two_passes)) for v in inputs]
        for column in range(OUT):
            number, total = 0, Fraction(0)
            for tile in tiles:
                own = [w[column][k] for k in tile]
                step = weight_scale(own, MAX_CODE)
                codes = [code_of(v, Fraction(0), step, -MAX_CODE, MAX_CODE) for v in own]
                steps = Fraction(0)
                for s in range(SLICES):
                    for p in range(len(planes[0])):
                        value = Fraction(sum(digit(code, CELL_BITS, s) * planes[k][p][0]
                                             for code, k in zip(codes, tile)))
                        value = fma(ADDITIVE, normal_at(KEY, row, column, number), value)
                        value = ADC.decode(ADC.encode(value))
                        worth = 2 ** (CELL_BITS * s) * planes[0][p][1]
                        steps = fma(value, Fraction(worth), steps)
                        number += 1
                current = nearest(steps * unit)
                scale = max(abs(v) for v in own)
                total = fma(current, nearest(scale * DAC.limit), total)
            yield total


def text():
    return tables.header(
        "A layer on arrays of sliced weights (analog_slices.hpp), 8 bits in slices of 3: operands as operands.hpp\n"
        "says; outputs behind GaussianNoise and ADC of each slice and plane.",
        f"inline constexpr std::size_t kSlicedBatch = {BATCH}, kSlicedIn = {INPUTS}, kSlicedOut = {OUT}, "
        f"kSlicedTile = {TILE};\n"
        f"inline constexpr std::uint64_t kSlicedX = {X_SEED}, kSlicedW = {W_SEED};\n"
        f"inline constexpr std::uint64_t kSlicedKey[] = {{{', '.join(map(str, KEY))}}};\n"
        f"inline constexpr float kSlicedDac = {literal(DAC.limit)}, kSlicedAdc = {literal(ADC.limit)};\n"
        f"inline constexpr int kSlicedDacBits = {DAC.bits}, kSlicedAdcBits = {ADC.bits};\n"
        f"inline constexpr int kCellBits = {CELL_BITS}, kInputBits = {INPUT_BITS};\n"
        f"inline constexpr float kSlicedAdditive = {literal(ADDITIVE)};\n",
        tables.array("kSlicedByPulses", "std::uint32_t", map(bits, outputs(False))),
        tables.array("kSlicedByPasses", "std::uint32_t", map(bits, outputs(True))),
        includes=("cstddef", "cstdint"))
