"""A convolution of codes: two images of three channels, with padding and steps, groups aside."""
from fractions import Fraction

import tables
from gemm_vectors import CodedLayer, decimal, quantizer
from rng import unit_matrix, weight_matrix

BATCH, CHANNELS, HEIGHT, WIDTH, OUT = 2, 3, 5, 7, 10
KERNEL, STRIDE, PADDING, DILATION = (3, 2), (1, 2), (1, 1), (1, 2)
OUT_SIZE = tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in
                 zip((HEIGHT, WIDTH), KERNEL, STRIDE, PADDING, DILATION))
TAPS = KERNEL[0] * KERNEL[1]
X_SEED, W_SEED = 91, 92


class ConvolutionLayer(CodedLayer):
    """Its rows are the patches, of pixels behind the DAC; what padding adds is a 0 in front of it."""

    def weights(self):
        filters = weight_matrix(W_SEED, OUT, CHANNELS * TAPS)  # channel, tap
        return [[row[channel * TAPS + tap] for tap in range(TAPS) for channel in range(CHANNELS)]
                for row in filters]

    def inputs(self):
        images = unit_matrix(X_SEED, BATCH, CHANNELS * HEIGHT * WIDTH)
        result = []
        for image in images:
            for h in range(OUT_SIZE[0]):
                for w in range(OUT_SIZE[1]):
                    patch = []
                    for tap in range(TAPS):
                        i = h * STRIDE[0] - PADDING[0] + tap // KERNEL[1] * DILATION[0]
                        j = w * STRIDE[1] - PADDING[1] + tap % KERNEL[1] * DILATION[1]
                        inside = 0 <= i < HEIGHT and 0 <= j < WIDTH
                        patch += [self.dac.encode(image[(c * HEIGHT + i) * WIDTH + j] if inside else
                                                  Fraction(0)) for c in range(CHANNELS)]
                    result.append(patch)
        return result


def text():
    rows = BATCH * OUT_SIZE[0] * OUT_SIZE[1]
    layer = ConvolutionLayer("Convolution", 4, (rows, CHANNELS * TAPS, OUT), (X_SEED, W_SEED),
                             (2, 7, 1), quantizer(6, "-0.6", "0.9"), decimal("0.05"),
                             quantizer(8, "-2", "2.5"), "std::uint8_t")

    def sizes(name, values):
        return f"kConvolution{name}[] = {{1, {', '.join(map(str, values))}}}"

    return tables.header(
        "A convolution (fused_convolution.hpp): images NCHW of kConvolutionChannels, as operands.hpp makes them;\n"
        "the layer's rows are its patches, its outputs are of rows (n, h, w).",
        f"inline constexpr std::size_t kConvolutionImages = {BATCH}, kConvolutionChannels = {CHANNELS};\n"
        f"inline constexpr std::size_t {sizes('Size', (HEIGHT, WIDTH))}, {sizes('Kernel', KERNEL)},\n"
        f"    {sizes('Stride', STRIDE)}, {sizes('Dilation', DILATION)};\n"
        f"inline constexpr std::size_t kConvolutionPadding[] = {{0, {', '.join(map(str, PADDING))}}};\n",
        layer.text(), includes=("cstddef", "cstdint")).replace(
            "#include <cstdint>\n", '#include <cstdint>\n\n#include "coded_vectors.hpp"\n', 1)
