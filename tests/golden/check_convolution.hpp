// A convolution of codes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>

#include <lumina/fused_convolution.hpp>

#include "convolution_vectors.hpp"
#include "operands.hpp"

namespace golden {

inline lumina::Convolution convolution() {
  const auto size = [](const std::size_t(&sizes)[3]) {
    return lumina::Size3{sizes[0], sizes[1], sizes[2]};
  };
  return {kConvolutionChannels,     kConvolution.out,          size(kConvolutionKernel),
          size(kConvolutionStride), size(kConvolutionPadding), size(kConvolutionDilation)};
}

/// Memory for it.
struct ConvolutionWorkspace {
  static constexpr std::size_t kPixels = kConvolutionSize[1] * kConvolutionSize[2];
  float x[kConvolutionImages * kConvolutionChannels * kPixels];
  std::uint8_t y[std::size(kConvolutionOutputs)];
};

/// `weights`: CodedWeights<4> of filter_matrix(), or a view of the oracle's words.
template <class Report, class Weights, class Executor = lumina::Serial>
void check_convolution(Report&& report, ConvolutionWorkspace& memory, const Weights& weights,
                       const Executor& executor = {}) {
  using namespace lumina;
  const auto& layer = kConvolution;
  const Convolution shape = convolution();
  const Size3 size{kConvolutionSize[0], kConvolutionSize[1], kConvolutionSize[2]};
  fill_units(layer.x_seed, 1, std::size(memory.x), memory.x);
  const ImageView<const float> x{memory.x, kConvolutionImages, kConvolutionChannels, size};
  const ImageView<std::uint8_t> y{memory.y, kConvolutionImages, layer.out, shape.output_size(size)};
  fused_convolution(x, RuntimeQuantizer(layer.dac_bits, layer.dac_lo, layer.dac_hi), weights, y,
                    shape,
                    epilogue(GaussianNoise{layer.stddev},
                             RuntimeQuantizer(layer.adc_bits, layer.adc_lo, layer.adc_hi)),
                    {layer.noise_seed, layer.noise_stream, layer.row_offset}, executor);
  const std::size_t pixels = y.pixels();
  for (std::size_t row = 0; row < layer.batch; ++row) {
    for (std::size_t o = 0; o < layer.out; ++o) {
      const std::size_t i = row * layer.out + o;
      report("a convolution", i, layer.outputs[i],
             memory.y[(row / pixels * layer.out + o) * pixels + row % pixels]);
    }
  }
}

}  // namespace golden
