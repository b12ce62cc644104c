"""Small layers: operands by seed, outputs of the f32 and of the coded engine."""
from fractions import Fraction

import tables
from exact_float import INFINITY, fma, nearest, square_root
from quantizers import Quantizer, SymmetricQuantizer, code_of, weight_scale
from rng import FastRng, normal_at, unit_matrix, weight_matrix
from tables import bits, literal


def decimal(text):
    return nearest(Fraction(text))


# --- f32 ---------------------------------------------------------------------------------------------

# batch, in, out; seeds of x, w and the bias; seed, stream and row offset of the noise
F32_LAYERS = [
    ((3, 37, 70), (11, 12, 13), (1, 2, 3)),
    ((1, 64, 32), (21, 22, 23), (2**64 - 1, 0, 2**40)),
    ((5, 9, 130), (31, 32, 33), (7, 7, 0)),
]
ATTENUATION, SHOT, GAUSSIAN = decimal("0.85"), decimal("0.1"), decimal("0.05")
F32_ADC = Quantizer(8, decimal("-6"), decimal("5"))


def dot_product(x, w):
    total = Fraction(0)
    for a, b in zip(x, w):
        total = fma(a, b, total)
    return total


def noisy(v, bias, key, row, col):
    """AddBias, Attenuation, ShotNoise, GaussianNoise, ADC."""
    v = nearest(nearest(v + bias) * ATTENUATION)
    v = fma(nearest(SHOT * square_root(abs(v))), normal_at(key, row, col, 0), v)
    v = fma(GAUSSIAN, normal_at(key, row, col, 1), v)
    return F32_ADC.decode(F32_ADC.encode(v))


def f32_text():
    sums, outputs, layers = [], [], []
    for (batch, inputs, out), (x_seed, w_seed, bias_seed), key in F32_LAYERS:
        x, w = unit_matrix(x_seed, batch, inputs), weight_matrix(w_seed, out, inputs)
        bias = unit_matrix(bias_seed, 1, out)[0]
        for i in range(batch):
            for o in range(out):
                sums.append(dot_product(x[i], w[o]))
                outputs.append(noisy(sums[-1], bias[o], key, i, o))
        seeds = ", ".join(f"{n}u" for n in (x_seed, w_seed, bias_seed, *key))
        layers.append(f"{{{batch}, {inputs}, {out}, {seeds}}}")
    sizes = [shape for shape, _, _ in F32_LAYERS]
    constants = (
        f"inline constexpr float kAttenuation = {literal(ATTENUATION)}, kShot = {literal(SHOT)}, "
        f"kGaussian = {literal(GAUSSIAN)};\n"
        f"inline constexpr float kF32AdcLo = {literal(F32_ADC.lo)}, kF32AdcHi = {literal(F32_ADC.hi)};\n"
        f"inline constexpr int kF32AdcBits = {F32_ADC.bits};\n"
        "/// Elements of the largest matrices.\n"
        f"inline constexpr std::size_t kMaxF32X = {max(b * i for b, i, _ in sizes)}, "
        f"kMaxF32W = {max(o * i for _, i, o in sizes)}, "
        f"kMaxF32Y = {max(b * o for b, _, o in sizes)}, kMaxF32Out = {max(o for _, _, o in sizes)};\n")
    return tables.header(
        "Operands are made as operands.hpp says; outputs are rows of floats, their bits.",
        """struct F32Layer {
  std::size_t batch, in, out;
  std::uint64_t x_seed, w_seed, bias_seed;
  std::uint64_t noise_seed, noise_stream, row_offset;
};
""",
        tables.array("kF32Layers", "F32Layer", layers), constants,
        "/// All layers', one after the other: dot products …\n"
        + tables.array("kF32Sums", "std::uint32_t", map(bits, sums)),
        "/// … and behind bias, attenuation, shot noise, Gaussian noise and ADC.\n"
        + tables.array("kF32Outputs", "std::uint32_t", map(bits, outputs)),
        includes=("cstddef", "cstdint"))


# --- codes -------------------------------------------------------------------------------------------

PANEL, SUMS_MULTIPLE = 32, 128


class CodedLayer:
    """`y`: the C++ type of the outputs; `codes_in`: x is codes already."""

    def __init__(self, name, bits, shape, seeds, key, dac, stddev, adc, y, codes_in=False):
        self.name, self.bits, self.shape, self.seeds, self.key = name, bits, shape, seeds, key
        self.dac, self.stddev, self.adc, self.y, self.codes_in = dac, stddev, adc, y, codes_in
        self.max_code = 2 ** (bits - 1) - 1
        w = self.weights()
        self.scales = [weight_scale(row, self.max_code) for row in w]
        self.codes = [[code_of(v, Fraction(0), scale, -self.max_code, self.max_code) for v in row]
                      for row, scale in zip(w, self.scales)]

    def weights(self):
        _, inputs, out = self.shape
        return weight_matrix(self.seeds[1], out, inputs)

    def inputs(self):
        batch, inputs, _ = self.shape
        if self.codes_in:
            rng = FastRng(self.seeds[0])
            return [[rng.word() >> (64 - self.dac.bits) for _ in range(inputs)]
                    for _ in range(batch)]
        return [[self.dac.encode(v) for v in row]
                for row in unit_matrix(self.seeds[0], batch, inputs)]

    def outputs(self):
        result = []
        for i, x in enumerate(self.inputs()):
            for o, (w, scale) in enumerate(zip(self.codes, self.scales)):
                total = nearest(Fraction(sum(a * b for a, b in zip(x, w))))
                base = nearest(nearest(self.dac.lo * scale) * nearest(Fraction(sum(w))))
                v = fma(total, nearest(self.dac.step * scale), base)
                v = fma(self.stddev, normal_at(self.key, i, o, 0), v)
                code = self.adc.encode(v)
                result.append(bits(self.adc.decode(code)) if self.y == "float" else str(code))
        return result

    def words(self):
        """Panels of 32 outputs; byte i of a word has, from its lowest bits up, the codes of the inputs
        i, 4 + i, 8 + i … that the word covers."""
        stored = 2 if self.bits <= 2 else 4 if self.bits <= 4 else 8
        covered, (_, inputs, out) = 32 // stored, self.shape
        result = []
        for first in range(0, out, PANEL):
            for begin in range(0, inputs, covered):
                for o in range(first, first + PANEL):
                    word = 0
                    for k in range(begin, min(begin + covered, inputs) if o < out else begin):
                        place = k % 4 * 8 + k % covered // 4 * stored
                        word |= (self.codes[o][k] % 2**stored) << place
                    result.append(word - ((word >> 31) << 32))
        return result

    def text(self):
        batch, inputs, out = self.shape
        padding = -out % SUMS_MULTIPLE
        sums = [sum(row) for row in self.codes]
        x = "std::uint8_t" if self.codes_in else "float"
        expected = "std::uint32_t" if self.y == "float" else self.y
        aligned, n = "alignas(64) ", self.name
        words = ["-0x7fffffff - 1" if w == -(2**31) else str(w) for w in self.words()]
        return "\n".join([
            tables.array(f"k{n}Words", "std::int32_t", words, aligned),
            tables.array(f"k{n}Scales", "float", map(literal, self.scales + [0] * padding), aligned),
            tables.array(f"k{n}CodeSums", "std::int32_t", map(str, sums + [0] * padding), aligned),
            tables.array(f"k{n}Outputs", expected, self.outputs()),
            f"inline constexpr CodedLayer<{self.bits}, {x}, {self.y}> k{n}{{\n"
            f"    {batch}, {inputs}, {out}, {self.seeds[0]}u, {self.seeds[1]}u,\n"
            f"    {', '.join(f'{part}u' for part in self.key)},\n"
            f"    {self.dac.bits}, {literal(self.dac.lo)}, {literal(self.dac.hi)},\n"
            f"    {literal(self.stddev)},\n"
            f"    {self.adc.bits}, {literal(self.adc.lo)}, {literal(self.adc.hi)},\n"
            f"    k{n}Words, {len(words)}, k{n}Scales, k{n}CodeSums, k{n}Outputs}};\n"])


def quantizer(number_of_bits, lo, hi):
    return Quantizer(number_of_bits, decimal(lo), decimal(hi))


def coded_layers():
    return [
        CodedLayer("Coded8", 8, (3, 37, 70), (41, 42), (1, 2, 3), quantizer(8, "-0.8", "0.9"),
                   decimal("0.05"), quantizer(8, "-4", "3.5"), "std::uint8_t"),
        CodedLayer("Coded5", 5, (5, 9, 130), (51, 52), (3, 1, 4), quantizer(7, "0", "1"),
                   decimal("0.1"), quantizer(10, "-2", "2"), "float"),
        CodedLayer("Coded4", 4, (2, 70, 40), (61, 62), (2**64 - 1, 5, 2**33), quantizer(6, "-1", "1"),
                   decimal("0.02"), quantizer(12, "-5", "5"), "std::uint16_t"),
        CodedLayer("Coded2", 2, (1, 64, 33), (71, 72), (0, 0, 0), quantizer(5, "-0.25", "0.75"),
                   decimal("0.03"), quantizer(8, "-3", "3"), "std::uint8_t", codes_in=True),
    ]


def coded_text():
    layers = coded_layers()
    shapes = [layer.shape for layer in layers]
    return tables.header(
        "Layers behind a DAC. Operands are made as operands.hpp says; beside them what encode_weights\n"
        "makes of the weights: words as docs/numerics.md and detail/layout/code_panels.hpp have them; scales and\n"
        "sums of codes, filled up with zeros to a multiple of 128.",
        """template <class Y>
struct Expected {
  using type = Y;
};
template <>
struct Expected<float> {
  using type = std::uint32_t;  ///< the float's bits
};

/// Codes of Bits bits; x of floats or of codes, y of floats or of the ADC's codes.
template <int Bits, class X, class Y>
struct CodedLayer {
  std::size_t batch, in, out;
  std::uint64_t x_seed, w_seed;
  std::uint64_t noise_seed, noise_stream, row_offset;
  int dac_bits;
  float dac_lo, dac_hi;
  float stddev;
  int adc_bits;
  float adc_lo, adc_hi;
  const std::int32_t* words;
  std::size_t word_count;
  const float* scales;
  const std::int32_t* code_sums;
  const typename Expected<Y>::type* outputs;
};
""",
        "/// Elements of the largest matrices.\n"
        f"inline constexpr std::size_t kMaxCodedX = {max(b * i for b, i, _ in shapes)}, "
        f"kMaxCodedW = {max(o * i for _, i, o in shapes)}, "
        f"kMaxCodedY = {max(b * o for b, _, o in shapes)};\n",
        *(layer.text() for layer in layers), includes=("cstddef", "cstdint"))
