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
#include "detail/base/range.hpp"
#include "detail/engine/convolution_plan.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference_analog_backward.hpp"
#include "reference_backward.hpp"
#include "reference_convolution.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Adds by_patch [rows, count], the gradient by inputs of patches from `first` on, to the pixels
/// they are.
inline void fold(const Convolution& shape, const Convolution::Product& own, const Size3& size,
                 std::size_t batch, MatrixView<const float> by_patch, std::size_t first,
                 const ImageView<float>& pixels) {
  for_each_output(batch, shape.output_size(size), [&](const OutputPixel& at) {
    for (std::size_t k = first; k < first + by_patch.cols(); ++k) {
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
        pixels(at.image, own.first_channel + k % own.channels, pixel[0], pixel[1], pixel[2]) +=
            by_patch(at.row, k - first);
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
/// Whether a pixel's gradient passes the DAC: where patches choose ranges themselves each does.
template <class X, class Dac>
bool pixel_passes(X x, const Dac& dac) {
  if constexpr (std::is_same_v<Dac, ManagedDac>) {
    return dac.noise_management != NoiseManagement::none || std::fabs(x) <= dac.range;
  } else {
    return input_passes(x, dac);
  }
}
template <class X, class Dac>
void gate_pixels(const ImageView<const X>& x, const Dac& dac, const ImageView<float>& gradient) {
  for_each_output(x.batch, x.size, [&](const OutputPixel& at) {
    for (std::size_t channel = 0; channel < x.channels; ++channel) {
      if (!pixel_passes(x(at.image, channel, at.d, at.h, at.w), dac)) {
        gradient(at.image, channel, at.d, at.h, at.w) = 0.0f;
      }
    }
  });
}

/// The rows of outputs that IntegerSplitProducts sum up at once for filters: as many boxes of the
/// plan as have patches of 2^18 inputs together, and 1024 rows, at most; one at least.
template <class X>
std::vector<detail::Range> pieces_of_rows(const ImageView<const X>& x, const Convolution& shape) {
  std::size_t patch = 1;
  for (std::size_t i = 0; i < shape.products(); ++i) {
    patch = std::max(patch, shape.taps() * shape.product(i).channels);
  }
  const std::size_t most = std::clamp<std::size_t>((std::size_t{1} << 18) / patch, 1, 1024);
  const detail::ConvolutionPlan plan(shape, x.size, x.batch, most, detail::kTooMany, 1);
  std::vector<detail::Range> pieces;
  for (std::size_t task = 0; task < plan.tasks(); ++task) {
    const detail::OutputBox box = plan.box(task);
    const std::size_t begin = plan.first_row(box);
    if (pieces.empty() || pieces.back().size + box.rows() > most) pieces.push_back({begin, 0});
    pieces.back().size += box.rows();
  }
  return pieces;
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
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages,
          class Products = F32Products>
void forward_and_backward(const ConvolutionPass<X, Dac, Weights, EpilogueT, WeightStages>& pass,
                          const ImageView<const float>& grad_y, const ImageView<float>& y,
                          const ImageGradients& gradients, const Products& = {}) {
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
    Matrix<float> w(own.outputs, patches.cols());
    for (std::size_t o = 0; o < w.rows(); ++o) {
      for (std::size_t k = 0; k < w.cols(); ++k) w(o, k) = weight(o, k);
    }
    [[maybe_unused]] Matrix<X> codes;
    if constexpr (!kFloats) codes = unfold(pass.x, shape, padding_of<X>(pass.dac), index);
    // The dot products.
    Matrix<float> dots(rows, own.outputs);
    if constexpr (kFloats) {
      reference::fused_gemm(patches, w, dots, epilogue(), {});
    } else {
      reference::fused_gemm(MatrixView<const X>(codes), pass.dac, weights, MatrixView<float>(dots),
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
    Matrix<float> by_matrix(own.outputs, w.cols()), by_patch(rows, w.cols());
    if constexpr (detail::is_integer_split<Products>) {
      const auto gradient = [&](std::size_t row, std::size_t o) {
        return g(row, own.first_output + o);
      };
      const IntegerGradient<decltype(gradient)> integers{
          gradient, own.outputs, gradient_key(pass.key), 0, own.first_output};
      integer_input_gradient<Products::parts>(
          integers, [&](std::size_t o) { return weights.scales()[o]; },
          [&](std::size_t o, std::size_t k) { return weights.code(o, k); }, by_patch);
      for (const detail::Range& piece : pieces_of_rows(pass.x, shape)) {
        add_integer_weight_gradient<Products::parts>(
            integers,
            [&](std::size_t row, std::size_t k) { return input_code(codes(row, k), pass.dac); },
            pass.dac.step(), pass.dac.offset(), piece, by_matrix);
      }
    } else {
      const MatrixView<const float> own_g(&g(0, own.first_output), rows, own.outputs,
                                          shape.outputs);
      multiply_in_floats(patches, w, own_g, by_patch, by_matrix);
    }
    for (std::size_t o = 0; o < own.outputs; ++o) {
      for (std::size_t k = 0; k < by_matrix.cols(); ++k) {
        by_matrix(o, k) = finish<float>(by_matrix(o, k), o, k, pass.weight_stages,
                                        {pass.weight_key.seed, pass.weight_key.stream,
                                         pass.weight_key.row_offset + own.first_output});
      }
    }
    filters_of_product(by_matrix, shape, index, gradients.filters);
    fold(shape, own, pass.x.size, pass.x.batch, by_patch, 0, gradients.input);
  }
  gate_pixels(pass.x, pass.dac, gradients.input);
  add_up_batch(by_bias, gradients.bias);
}

/// The output of an image that has this row.
template <class T>
T& element_of_row(const ImageView<T>& images, std::size_t row, std::size_t channel) {
  const auto& [d, h, w] = images.size;
  return images(row / (d * h * w), channel, row / (h * w) % d, row / w % h, row % w);
}

/// The same on arrays, TiledWeights behind a quantizer or a ManagedDac without bound management.
template <class X, class Dac, class Weights, class... InArray, class... Behind,
          class Products = F32Products>
void forward_and_backward(const AnalogConvolutionPass<X, Dac, Weights, ArrayStages<InArray...>,
                                                      DigitalStages<Behind...>>& pass,
                          const ImageView<const float>& grad_y, const ImageView<float>& y,
                          const ImageGradients& gradients, const Products& = {}) {
  const Convolution& shape = pass.shape;
  const std::size_t rows = y.batch * y.pixels();
  Matrix<float> by_bias(rows, shape.outputs);
  std::fill_n(gradients.input.data, gradients.input.elements(), 0.0f);
  std::vector<Matrix<float>> by_matrix;
  std::vector<Matrix<X>> patches;
  std::vector<std::vector<Matrix<float>>> by_array(shape.products());
  for (std::size_t index = 0; index < shape.products(); ++index) {
    const Convolution::Product own = shape.product(index);
    const Weights& w = pass.weights[index];
    patches.push_back(unfold(pass.x, shape, padding_of<X>(pass.dac), index));
    by_matrix.emplace_back(own.outputs, w.cols());
    for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
      by_array[index].emplace_back(rows, own.outputs);
    }
    through_arrays_and_back(
        pass, MatrixView<const X>(patches[index]), w, own.first_output,
        [&](std::size_t row, std::size_t o) { return element_of_row(grad_y, row, o); },
        [&](std::size_t row, std::size_t o) -> float& { return element_of_row(y, row, o); },
        [&](std::size_t row, std::size_t o) -> float& { return by_bias(row, o); }, by_array[index]);
  }
  for (std::size_t tile = 0; tile < pass.tiles(); ++tile) {
    for (std::size_t index = 0; index < shape.products(); ++index) {
      const Weights& w = pass.weights[index];
      if (tile >= w.tiles()) continue;
      const Convolution::Product own = shape.product(index);
      const Matrix<float>& g = by_array[index][tile];
      const std::size_t first = w.first_input(tile), count = w.input_count(tile);
      Matrix<float> by_patch(rows, count);
      array_input_gradient<Products>(w, tile, g, pass.key, own.first_output, by_patch);
      array_weight_gradient<Products>(MatrixView<const X>(patches[index]), pass.dac, w, tile, g,
                                      pass.key, own.first_output, pieces_of_rows(pass.x, shape),
                                      columns_of<float>(by_matrix[index], first, count));
      fold(shape, own, pass.x.size, pass.x.batch, by_patch, first, gradients.input);
    }
  }
  for (std::size_t index = 0; index < shape.products(); ++index) {
    filters_of_product(by_matrix[index], shape, index, gradients.filters);
  }
  gate_pixels(pass.x, pass.dac, gradients.input);
  add_up_batch(by_bias, gradients.bias);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
