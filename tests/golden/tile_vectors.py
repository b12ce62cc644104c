"""A layer on arrays: noise of the reading and of the outputs, and an ADC, for each array."""
from fractions import Fraction

import tables
from exact_float import fma, nearest, nearest_double, square_root
from gemm_vectors import PANEL, SUMS_MULTIPLE, decimal
from quantizers import SymmetricQuantizer, code_of, weight_scale
from rng import normal_at, unit_matrix, weight_matrix
from tables import bits, literal

BATCH, INPUTS, OUT, TILE = 3, 45, 40, 20
X_SEED, W_SEED, BIAS_SEED, KEY = 81, 82, 83, (4, 5, 6)
MAX_CODE = 7  # of weights with 4 bits
DAC = SymmetricQuantizer(8, decimal("0.9"))
ADC = SymmetricQuantizer(6, decimal("3"))
READ, ADDITIVE = decimal("0.1"), decimal("0.04")
ROOT_OF_255 = Fraction(15.968719422671311)  # a double


def square_of_code(code):
    """x̂² in 8 bits, of a code that is counted from the lowest one."""
    unit = nearest_double(DAC.step / DAC.limit)
    first = nearest_double(nearest_double(-DAC.max_code * DAC.step) / DAC.limit)
    t = fma(Fraction(code), nearest(nearest_double(ROOT_OF_255 * unit)),
            nearest(nearest_double(ROOT_OF_255 * first)))
    return round(t * t)


class Layer:
    def __init__(self):
        w = weight_matrix(W_SEED, OUT, INPUTS)
        self.tiles = [range(first, min(first + TILE, INPUTS)) for first in range(0, INPUTS, TILE)]
        self.scales = [[max(abs(row[k]) for k in tile) for row in w] for tile in self.tiles]
        self.codes = [[0] * INPUTS for _ in w]
        for tile in self.tiles:
            for codes, row in zip(self.codes, w):
                step = weight_scale([row[k] for k in tile], MAX_CODE)
                for k in tile:
                    codes[k] = code_of(row[k], Fraction(0), step, -MAX_CODE, MAX_CODE)
        self.bias = unit_matrix(BIAS_SEED, 1, OUT)[0]

    def output(self, x, row, column):
        device = nearest(Fraction(1, MAX_CODE))
        unit = nearest(nearest(Fraction(1, DAC.max_code)) * device)
        total = Fraction(0)
        for number, tile in enumerate(self.tiles):
            w = self.codes[column]
            value = nearest(nearest(Fraction(sum(x[k] * w[k] for k in tile))) * unit)
            squares = nearest(Fraction(sum(
                abs(w[k]) * square_of_code(x[k] + DAC.max_code) for k in tile)))
            squares = nearest(squares * nearest(device / 255))
            deviation = square_root(nearest(nearest(READ * READ) * squares))
            value = fma(deviation, normal_at(KEY, row, column, 2 * number), value)
            value = fma(ADDITIVE, normal_at(KEY, row, column, 2 * number + 1), value)
            value = ADC.decode(ADC.encode(value))
            total = fma(value, nearest(self.scales[number][column] * DAC.limit), total)
        return nearest(total + self.bias[column])

    def outputs(self):
        for row, inputs in enumerate(unit_matrix(X_SEED, BATCH, INPUTS)):
            x = [DAC.encode(v) for v in inputs]
            yield from (self.output(x, row, column) for column in range(OUT))

    def words(self):
        """As coded layers', each tile from a whole word on: 8 codes of 4 bits."""
        for first in range(0, OUT, PANEL):
            for tile in self.tiles:
                for begin in range(tile.start, tile.stop, 8):
                    for o in range(first, first + PANEL):
                        word = 0
                        for i, k in enumerate(range(begin, min(begin + 8, tile.stop))):
                            if o < OUT:
                                word |= self.codes[o][k] % 16 << (i % 4 * 8 + i // 4 * 4)
                        yield word - ((word >> 31) << 32)


def padded(rows):
    return [v for row in rows for v in row + [Fraction(0)] * (-OUT % SUMS_MULTIPLE)]


def text():
    layer = Layer()
    sums = [[sum(row[k] for k in tile) for row in layer.codes] for tile in layer.tiles]
    words = ["-0x7fffffff - 1" if w == -(2**31) else str(w) for w in layer.words()]
    aligned = "alignas(64) "
    return tables.header(
        "A layer on arrays (analog_gemm.hpp), weights of 4 bits: operands as operands.hpp says; words, scales and\n"
        "sums of codes as tiled_weights_view.hpp has them; outputs behind ReadNoise, GaussianNoise and ADC of each\n"
        "array, and a bias.",
        f"inline constexpr std::size_t kTiledBatch = {BATCH}, kTiledIn = {INPUTS}, kTiledOut = {OUT}, "
        f"kTileInputs = {TILE};\n"
        f"inline constexpr std::uint64_t kTiledX = {X_SEED}, kTiledW = {W_SEED}, kTiledBias = {BIAS_SEED};\n"
        f"inline constexpr std::uint64_t kTiledKey[] = {{{', '.join(map(str, KEY))}}};\n"
        f"inline constexpr float kTiledDac = {literal(DAC.limit)}, kTiledAdc = {literal(ADC.limit)};\n"
        f"inline constexpr int kTiledAdcBits = {ADC.bits};\n"
        f"inline constexpr float kTiledRead = {literal(READ)}, kTiledAdditive = {literal(ADDITIVE)};\n",
        tables.array("kTiledWords", "std::int32_t", words, aligned),
        tables.array("kTiledScales", "float", map(literal, padded(layer.scales)), aligned),
        tables.array("kTiledCodeSums", "std::int32_t", (str(int(v)) for v in padded(sums)), aligned),
        tables.array("kTiledOutputs", "std::uint32_t", map(bits, layer.outputs())),
        includes=("cstddef", "cstdint"))
