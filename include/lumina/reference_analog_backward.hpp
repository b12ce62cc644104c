// The oracle of the way back through arrays, as loops to check by eye.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "analog_pass.hpp"
#include "backward.hpp"
#include "config.hpp"
#include "detail/base/range.hpp"
#include "detail/base/scalar_math.hpp"
#include "gradients.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference.hpp"
#include "reference_analog.hpp"
#include "reference_backward.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Whether a DAC in front of arrays lets the gradient by an input pass.
template <class X, class Dac>
bool array_input_passes(X x, const Dac& dac) {
  if constexpr (std::is_same_v<Dac, ManagedDac>) {  // a row's own range has all of its inputs
    return std::fabs(x) <= (dac.noise_management == NoiseManagement::none ? dac.range : 0x1p+100f);
  } else {
    return input_passes(x, dac);
  }
}

/// The outputs of arrays on their way to y and back: `by_array` [tiles] of [rows, outputs]. `x`:
/// what arrays see; grad_y(row, o); y(row, o) and by_bias(row, o) are written.
template <class Pass, class X, class Weights, class GradY, class Y, class ByBias>
void through_arrays_and_back(const Pass& pass, MatrixView<const X> x, const Weights& w,
                             std::size_t first_output, const GradY& grad_y, const Y& y,
                             const ByBias& by_bias, std::vector<Matrix<float>>& by_array) {
  const std::size_t draws = std::decay_t<decltype(pass.in_array.stages)>::normals_per_element;
  for (std::size_t row = 0; row < x.rows(); ++row) {
    for (std::size_t o = 0; o < w.rows(); ++o) {
      const std::size_t output = first_output + o;
      float sum = 0.0f;
      std::vector<float> entered;
      for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
        const RowDac dac = row_dac(x, row, w.first_input(tile), w.input_count(tile), pass.dac, 0);
        entered.push_back(array_output(x, w, row, o, tile, dac).value);
        const auto converted = through_array(entered.back(), row, output, tile, tile * draws,
                                             pass.in_array.stages, {}, pass.key);
        sum = std::fma(converted.value, detail::product(w.scales(tile)[o], dac.range), sum);
      }
      const Walk behind = walk(pass.behind.stages, sum, grad_y(row, output), row, output, pass.key,
                               w.tiles() * draws);
      y(row, output) = behind.value;
      by_bias(row, output) = behind.bias;
      for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
        by_array[tile](row, o) = walk(pass.in_array.stages, entered[tile], behind.gradient, row,
                                      output, pass.key, tile * draws)
                                     .gradient;
      }
    }
  }
}

/// What weights of an array are: code(o, k)·scale(o), k counting from its first input.
template <class Weights>
struct ArrayCodes {
  const Weights& weights;
  std::size_t tile;

  float scale(std::size_t o) const {
    return detail::product(weights.code_value(), weights.scales(tile)[o]);
  }
  std::int64_t code(std::size_t o, std::size_t k) const {
    return weights.code(o, weights.first_input(tile) + k);
  }
};

/// The gradient by an array's inputs [rows, inputs], before the DAC's gate, as `Products` have it.
/// g [rows, outputs]: the one by its outputs.
template <class Products, class Weights>
void array_input_gradient(const Weights& w, std::size_t tile, MatrixView<const float> g,
                          const NoiseKey& key, std::size_t first_output,
                          MatrixView<float> by_input) {
  const ArrayCodes<Weights> own{w, tile};
  const auto gradient = [&](std::size_t row, std::size_t o) { return g(row, o); };
  if constexpr (detail::is_integer_split<Products>) {
    const IntegerGradient<decltype(gradient)> integers{gradient, g.cols(), gradient_key(key), tile,
                                                       first_output};
    integer_input_gradient<Products::parts>(
        integers, [&](std::size_t o) { return own.scale(o); },
        [&](std::size_t o, std::size_t k) { return own.code(o, k); }, by_input);
  } else {
    for (std::size_t row = 0; row < g.rows(); ++row) {
      for (std::size_t k = 0; k < by_input.cols(); ++k) {
        float sum = 0.0f;
        for (std::size_t o = 0; o < g.cols(); ++o) {
          const float weight = detail::product(static_cast<float>(own.code(o, k)), own.scale(o));
          sum = detail::chain_multiply_add(g(row, o), weight, sum);
        }
        by_input(row, k) = sum;
      }
    }
  }
}

/// The gradient by an array's weights [outputs, inputs], before stages. `pieces`: of the batch, for
/// IntegerSplitProducts.
template <class Products, class X, class Dac, class Weights>
void array_weight_gradient(MatrixView<const X> x, const Dac& dac, const Weights& w,
                           std::size_t tile, MatrixView<const float> g, const NoiseKey& key,
                           std::size_t first_output, const std::vector<detail::Range>& pieces,
                           MatrixView<float> by_weights) {
  const std::size_t first = w.first_input(tile), count = w.input_count(tile);
  std::vector<RuntimeQuantizer> dacs;
  for (std::size_t row = 0; row < x.rows(); ++row) {
    dacs.push_back(row_dac(x, row, first, count, dac, 0).dac);
  }
  const auto code = [&](std::size_t row, std::size_t k) {
    return input_code(x(row, first + k), dacs[row]);
  };
  if constexpr (detail::is_integer_split<Products>) {
    // A row's own step is a factor of its gradient.
    constexpr bool kOwnSteps = std::is_same_v<Dac, ManagedDac>;
    const auto gradient = [&](std::size_t row, std::size_t o) {
      return kOwnSteps ? detail::product(g(row, o), dacs[row].step()) : g(row, o);
    };
    float step = 1.0f, offset = 0.0f;
    if constexpr (!kOwnSteps) step = dac.step(), offset = dac.offset();
    const IntegerGradient<decltype(gradient)> integers{gradient, g.cols(), gradient_key(key), tile,
                                                       first_output};
    for (const detail::Range& rows : pieces) {
      add_integer_weight_gradient<Products::parts>(integers, code, step, offset, rows, by_weights);
    }
  } else {
    for (std::size_t o = 0; o < g.cols(); ++o) {
      for (std::size_t k = 0; k < count; ++k) {
        float sum = 0.0f;
        for (std::size_t row = 0; row < g.rows(); ++row) {
          sum = detail::chain_multiply_add(g(row, o), input_value(code(row, k), dacs[row]), sum);
        }
        by_weights(o, k) = sum;
      }
    }
  }
}

/// Columns of a matrix.
template <class T>
MatrixView<T> columns_of(MatrixView<T> matrix, std::size_t first, std::size_t count) {
  return {matrix.data() + first, matrix.rows(), count, matrix.row_stride()};
}

/// lumina::forward to y and lumina::backward on arrays, TiledWeights behind a quantizer or a
/// ManagedDac without bound management. All gradients but the range's. Arguments are not checked.
template <class X, class Dac, class Weights, class InArray, class Behind,
          class Products = F32Products>
void forward_and_backward(const AnalogPass<X, Dac, Weights, InArray, Behind>& pass,
                          MatrixView<const float> grad_y, MatrixView<float> y,
                          const Gradients& gradients, const Products& = {}) {
  const Weights& w = pass.weights;
  const std::size_t batch = y.rows(), out = y.cols();
  Matrix<float> by_bias(batch, out);
  std::vector<Matrix<float>> by_array;
  for (std::size_t tile = 0; tile < w.tiles(); ++tile) by_array.emplace_back(batch, out);
  through_arrays_and_back(
      pass, pass.x, w, 0, [&](std::size_t row, std::size_t o) { return grad_y(row, o); },
      [&](std::size_t row, std::size_t o) -> float& { return y(row, o); },
      [&](std::size_t row, std::size_t o) -> float& { return by_bias(row, o); }, by_array);
  std::vector<detail::Range> pieces;
  for (std::size_t row = 0; row == 0 || row < batch; row += 32768) {
    pieces.push_back({row, std::min<std::size_t>(32768, batch - row)});
  }
  const MatrixView<float> input = gradients.input;
  for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
    const std::size_t first = w.first_input(tile), count = w.input_count(tile);
    array_input_gradient<Products>(w, tile, by_array[tile], pass.key, 0,
                                   columns_of(input, first, count));
    array_weight_gradient<Products>(pass.x, pass.dac, w, tile, by_array[tile], pass.key, 0, pieces,
                                    columns_of<float>(gradients.weights, first, count));
  }
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t k = 0; k < input.cols(); ++k) {
      if (!array_input_passes(pass.x(row, k), pass.dac)) input(row, k) = 0.0f;
    }
  }
  add_up_batch(by_bias, gradients.bias);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
