// The oracle of the way back through convolutions, as loops to check by eye.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "config.hpp"
#include "convolution.hpp"
#include "convolution_pass.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference_analog.hpp"
#include "reference_backward.hpp"
#include "reference_convolution.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Adds Σ_o gradient(row, o)·w(o, k), for inputs k of a part of a product, to the pixels they are.
template <class Value>
void fold(const Convolution& shape, const Convolution::Product& own, const Size3& size,
          std::size_t batch, MatrixView<const float> gradient, const Value& weight,
          std::size_t first, std::size_t count, const ImageView<float>& pixels) {
  for_each_output(batch, shape.output_size(size), [&](const OutputPixel& at) {
    for (std::size_t k = first; k < first + count; ++k) {
      float sum = 0.0f;
      for (std::size_t o = 0; o < own.outputs; ++o) {
        sum = detail::chain_multiply_add(gradient(at.row, own.first_output + o), weight(o, k), sum);
      }
      const std::size_t tap = k / own.channels;
      const Size3 taps{tap / shape.kernel[2] / shape.kernel[1],
                       tap / shape.kernel[2] % shape.kernel[1], tap % shape.kernel[2]};
      const Size3 output{at.d, at.h, at.w};
      Size3 pixel{};
      bool inside = true;
      for (std::size_t i = 0; i < 3; ++i) {
        pixel[i] = output[i] * shape.stride[i] + taps[i] * shape.dilation[i];
        inside = inside && pixel[i] >= shape.padding[i] && pixel[i] < size[i] + shape.padding[i];
        pixel[i] -= shape.padding[i];
      }
      if (inside) {
        pixels(at.image, own.first_channel + k % own.channels, pixel[0], pixel[1], pixel[2]) += sum;
      }
    }
  });
}

/// The gradient by a product's matrix in torch's order, and the gates of the DAC.
inline void filters_of_product(MatrixView<const float> matrix, const Convolution& shape,
                               std::size_t index, MatrixView<float> filters) {
  const Convolution::Product own = shape.product(index);
  const std::size_t in_group = shape.channels / shape.groups, taps = shape.taps();
  for (std::size_t row = 0; row < own.outputs; ++row) {
    const std::size_t output = own.first_output + row;
    const std::size_t channel = output / (shape.outputs / shape.groups) * in_group;
    for (std::size_t k = 0; k < filters.cols(); ++k) {
      filters(output, k) =
          matrix(row, k % taps * own.channels + channel - own.first_channel + k / taps);
    }
  }
}
template <class X, class Dac>
void gate_pixels(const ImageView<const X>& x, const Dac& dac, const ImageView<float>& gradient) {
  for_each_output(x.batch, x.size, [&](const OutputPixel& at) {
    for (std::size_t channel = 0; channel < x.channels; ++channel) {
      if (!input_passes(x(at.image, channel, at.d, at.h, at.w), dac)) {
        gradient(at.image, channel, at.d, at.h, at.w) = 0.0f;
      }
    }
  });
}

/// What is multiplied of a patch, as values.
template <class Weights, class X, class Dac>
Matrix<float> multiplied_patches(const ImageView<const X>& x, const Dac& dac,
                                 const Convolution& shape, std::size_t product) {
  const Matrix<X> patches = unfold(x, shape, padding_of<X>(dac), product);
  Matrix<float> result(patches.rows(), patches.cols());
  for (std::size_t row = 0; row < result.rows(); ++row) {
    for (std::size_t k = 0; k < result.cols(); ++k) {
      result(row, k) = multiplied_input<Weights>(patches(row, k), dac);
    }
  }
  return result;
}

/// lumina::forward to y and lumina::backward of a plain convolution. Arguments are not checked.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages>
void forward_and_backward(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
                          const ImageView<const float>& grad_y, const ImageView<float>& y,
                          const ImageGradients& gradients) {
  constexpr bool kFloats = std::is_same_v<Weights, PackedWeights>;
  const Convolution& shape = pass.shape;
  const std::size_t rows = y.batch * y.pixels();
  Matrix<float> g(rows, shape.outputs), by_bias(rows, shape.outputs);
  std::fill_n(gradients.input.data, gradients.input.elements(), 0.0f);
  for (std::size_t index = 0; index < shape.products(); ++index) {
    const Convolution::Product own = shape.product(index);
    const Weights& weights = pass.weights[index];
    const Matrix<float> patches = multiplied_patches<Weights>(pass.x, pass.dac, shape, index);
    const auto weight = [&](std::size_t o, std::size_t k) {
      if constexpr (kFloats) {
        return weights.value(o, k);
      } else {
        return detail::product(static_cast<float>(weights.code(o, k)), weights.scales()[o]);
      }
    };
    // The dot products.
    Matrix<float> dots(rows, own.outputs);
    if constexpr (kFloats) {
      Matrix<float> w(own.outputs, patches.cols());
      for (std::size_t o = 0; o < w.rows(); ++o) {
        for (std::size_t k = 0; k < w.cols(); ++k) w(o, k) = weight(o, k);
      }
      reference::fused_gemm(patches, w, dots, epilogue(), {});
    } else {
      const Matrix<X> x = unfold(pass.x, shape, padding_of<X>(pass.dac), index);
      reference::fused_gemm(MatrixView<const X>(x), pass.dac, weights, MatrixView<float>(dots),
                            epilogue(), {});
    }
    for_each_output(y.batch, y.size, [&](const OutputPixel& at) {
      for (std::size_t o = 0; o < own.outputs; ++o) {
        const std::size_t output = own.first_output + o;
        const Walk element =
            walk(pass.epilogue, dots(at.row, o), grad_y(at.image, output, at.d, at.h, at.w), at.row,
                 output, pass.key);
        y(at.image, output, at.d, at.h, at.w) = element.value;
        g(at.row, output) = element.gradient;
        by_bias(at.row, output) = element.bias;
      }
    });
    Matrix<float> by_matrix(own.outputs, patches.cols());
    for (std::size_t o = 0; o < own.outputs; ++o) {
      for (std::size_t k = 0; k < patches.cols(); ++k) {
        by_matrix(o, k) = finish<float>(dot_of_columns(g, own.first_output + o, patches, k), o, k,
                                        pass.weight_stages,
                                        {pass.weight_key.seed, pass.weight_key.stream,
                                         pass.weight_key.row_offset + own.first_output});
      }
    }
    filters_of_product(by_matrix, shape, index, gradients.filters);
    fold(shape, own, pass.x.size, pass.x.batch, g, weight, 0, patches.cols(), gradients.input);
  }
  gate_pixels(pass.x, pass.dac, gradients.input);
  for (std::size_t o = 0; o < gradients.bias.size(); ++o) {
    gradients.bias[o] = 0.0f;
    for (std::size_t row = 0; row < rows; ++row) gradients.bias[o] += by_bias(row, o);
  }
}

/// The same on arrays, TiledWeights behind a quantizer.
template <class X, class Dac, class Weights, class... InArray, class... Behind>
void forward_and_backward(const AnalogConvolutionPass<X, Dac, Weights, ArrayStages<InArray...>,
                                                      DigitalStages<Behind...>>& pass,
                          const ImageView<const float>& grad_y, const ImageView<float>& y,
                          const ImageGradients& gradients) {
  const Convolution& shape = pass.shape;
  const std::size_t rows = y.batch * y.pixels();
  constexpr std::size_t kDraws = (detail::normals_of<InArray> + ... + 0);
  Matrix<float> by_bias(rows, shape.outputs);
  std::fill_n(gradients.input.data, gradients.input.elements(), 0.0f);
  std::vector<Matrix<float>> by_matrix, patches;
  std::vector<std::vector<Matrix<float>>> by_array(shape.products());
  for (std::size_t index = 0; index < shape.products(); ++index) {
    const Convolution::Product own = shape.product(index);
    const Weights& w = pass.weights[index];
    const Matrix<X> x = unfold(pass.x, shape, padding_of<X>(pass.dac), index);
    patches.push_back(multiplied_patches<Weights>(pass.x, pass.dac, shape, index));
    by_matrix.emplace_back(own.outputs, patches.back().cols());
    for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
      by_array[index].emplace_back(rows, shape.outputs);
    }
    for_each_output(y.batch, y.size, [&](const OutputPixel& at) {
      for (std::size_t o = 0; o < own.outputs; ++o) {
        const std::size_t output = own.first_output + o;
        float sum = 0.0f;
        std::vector<float> entered;
        for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
          const RowDac dac = row_dac(MatrixView<const X>(x), at.row, w.first_input(tile),
                                     w.input_count(tile), pass.dac, 0);
          entered.push_back(array_output(MatrixView<const X>(x), w, at.row, o, tile, dac).value);
          const auto converted = through_array(entered.back(), at.row, output, tile, tile * kDraws,
                                               pass.in_array.stages, {}, pass.key);
          sum = std::fma(converted.value, detail::product(w.scales(tile)[o], dac.range), sum);
        }
        const Walk behind =
            walk(pass.behind.stages, sum, grad_y(at.image, output, at.d, at.h, at.w), at.row,
                 output, pass.key, w.tiles() * kDraws);
        y(at.image, output, at.d, at.h, at.w) = behind.value;
        by_bias(at.row, output) = behind.bias;
        for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
          by_array[index][tile](at.row, output) =
              walk(pass.in_array.stages, entered[tile], behind.gradient, at.row, output, pass.key,
                   tile * kDraws)
                  .gradient;
        }
      }
    });
  }
  for (std::size_t tile = 0; tile < pass.tiles(); ++tile) {
    for (std::size_t index = 0; index < shape.products(); ++index) {
      const Weights& w = pass.weights[index];
      if (tile >= w.tiles()) continue;
      const Convolution::Product own = shape.product(index);
      const Matrix<float>& g = by_array[index][tile];
      const auto weight = [&](std::size_t o, std::size_t k) {
        return detail::product(static_cast<float>(w.code(o, k)),
                               detail::product(w.code_value(), w.scales(tile)[o]));
      };
      const std::size_t first = w.first_input(tile), count = w.input_count(tile);
      for (std::size_t o = 0; o < own.outputs; ++o) {
        for (std::size_t k = first; k < first + count; ++k) {
          by_matrix[index](o, k) = dot_of_columns(g, own.first_output + o, patches[index], k);
        }
      }
      fold(shape, own, pass.x.size, pass.x.batch, g, weight, first, count, gradients.input);
    }
  }
  for (std::size_t index = 0; index < shape.products(); ++index) {
    filters_of_product(by_matrix[index], shape, index, gradients.filters);
  }
  gate_pixels(pass.x, pass.dac, gradients.input);
  for (std::size_t o = 0; o < gradients.bias.size(); ++o) {
    gradients.bias[o] = 0.0f;
    for (std::size_t row = 0; row < rows; ++row) gradients.bias[o] += by_bias(row, o);
  }
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
