// The oracle of convolutions, as loops to check by eye.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "config.hpp"
#include "convolution.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Where an output is: its row of y, and its pixel.
struct OutputPixel {
  std::size_t row, image, d, h, w;
};
template <class F>
void for_each_output(std::size_t batch, const Size3& size, F f) {
  std::size_t row = 0;
  for (std::size_t n = 0; n < batch; ++n) {
    for (std::size_t d = 0; d < size[0]; ++d) {
      for (std::size_t h = 0; h < size[1]; ++h) {
        for (std::size_t w = 0; w < size[2]; ++w) f(OutputPixel{row++, n, d, h, w});
      }
    }
  }
}

/// What an output sees at a tap: a pixel of x, or `zero` in the padding.
template <class X>
X seen(const ImageView<const X>& x, const Convolution& shape, const OutputPixel& at,
       std::size_t tap, std::size_t channel, X zero) {
  const Size3 taps{tap / shape.kernel[2] / shape.kernel[1], tap / shape.kernel[2] % shape.kernel[1],
                   tap % shape.kernel[2]};
  const Size3 output{at.d, at.h, at.w};
  Size3 pixel{};
  for (std::size_t i = 0; i < 3; ++i) {
    pixel[i] = output[i] * shape.stride[i] + taps[i] * shape.dilation[i];
    if (pixel[i] < shape.padding[i] || pixel[i] >= x.size[i] + shape.padding[i]) return zero;
    pixel[i] -= shape.padding[i];
  }
  return x(at.image, channel, pixel[0], pixel[1], pixel[2]);
}

/// What padding adds to codes: the code of 0, counted from the lowest one; to floats 0.
template <class X, class Dac>
X padding_of(const Dac& dac) {
  if constexpr (std::is_same_v<X, float>) {
    return 0.0f;
  } else {
    const int max_code = (1 << (detail::bits_of(dac) - 1)) - 1;
    return static_cast<X>(input_code(0.0f, dac) + (dac.is_symmetric() ? max_code : 0));
  }
}

/// The patches of a product [outputs' pixels, taps · channels]: what it multiplies.
template <class X>
Matrix<X> unfold(const ImageView<const X>& x, const Convolution& shape, X zero = {},
                 std::size_t product = 0) {
  const Convolution::Product own = shape.product(product);
  const Size3 out = shape.output_size(x.size);
  Matrix<X> result(x.batch * out[0] * out[1] * out[2], shape.taps() * own.channels);
  for_each_output(x.batch, out, [&](const OutputPixel& at) {
    for (std::size_t k = 0; k < result.cols(); ++k) {
      result(at.row, k) =
          seen(x, shape, at, k / own.channels, own.first_channel + k % own.channels, zero);
    }
  });
  return result;
}

/// sum(output, patch of the output's group) through the stages; patch(k) is input k, in the order
/// tap, channel.
template <class X, class Y, class Value, class... Stages>
void convolve(const ImageView<const X>& x, X zero, const ImageView<Y>& y, const Convolution& shape,
              const Value& value, const Epilogue<Stages...>& epilogue, const NoiseKey& key) {
  const std::size_t in_group = shape.channels / shape.groups;
  for_each_output(y.batch, y.size, [&](const OutputPixel& at) {
    for (std::size_t output = 0; output < shape.outputs; ++output) {
      const std::size_t first = output / (shape.outputs / shape.groups) * in_group;
      const auto patch = [&](std::size_t k) {
        return seen(x, shape, at, k / in_group, first + k % in_group, zero);
      };
      y(at.image, output, at.d, at.h, at.w) =
          finish<Y>(value(output, patch), at.row, output, epilogue, key);
    }
  });
}

/// lumina::fused_convolution of floats, perhaps behind a DAC; filters in torch's order. Arguments
/// are not checked.
template <class Dac, class... Stages>
void fused_convolution(const ImageView<const float>& x, const Dac& dac,
                       MatrixView<const float> filters, const ImageView<float>& y,
                       const Convolution& shape, const Epilogue<Stages...>& epilogue,
                       const NoiseKey& key) {
  const std::size_t in_group = shape.channels / shape.groups, taps = shape.taps();
  const auto value = [&](std::size_t output, const auto& patch) {
    float sum = 0.0f;
    for (std::size_t k = 0; k < shape.filter_size(); ++k) {
      float input = patch(k);
      if constexpr (!std::is_same_v<Dac, NoDac>) input = dac(input);
      sum = detail::chain_multiply_add(input, filters(output, k % in_group * taps + k / in_group),
                                       sum);
    }
    return sum;
  };
  convolve(x, 0.0f, y, shape, value, epilogue, key);
}

/// lumina::fused_convolution of codes: code(output, k) of the filters, in the order of
/// filter_matrix() but without the zeros of other groups, and a scale for each output.
template <class X, class Dac, class Code, class Scale, class Y, class... Stages>
void fused_convolution(const ImageView<const X>& x, const Dac& dac, const Code& code,
                       const Scale& scale_of, const ImageView<Y>& y, const Convolution& shape,
                       const Epilogue<Stages...>& epilogue, const NoiseKey& key) {
  const auto value = [&](std::size_t output, const auto& patch) {
    std::int64_t sum = 0, code_sum = 0;
    for (std::size_t k = 0; k < shape.filter_size(); ++k) {
      sum += input_code(patch(k), dac) * code(output, k);
      code_sum += code(output, k);
    }
    const float scale = scale_of(output);
    const float offset = dac.is_symmetric() ? 0.0f : dac.lo();
    const float base =
        detail::product(detail::product(offset, scale), static_cast<float>(code_sum));
    return std::fma(static_cast<float>(sum), detail::product(dac.step(), scale), base);
  };
  convolve(x, padding_of<X>(dac), y, shape, value, epilogue, key);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
