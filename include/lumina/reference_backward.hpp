// The oracle of the backward pass: docs/numerics.md, "Straight-through gradients", as plain loops.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <tuple>
#include <type_traits>
#include <vector>

#include "backward.hpp"
#include "config.hpp"
#include "detail/base/range.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/epilogue/stage_traits.hpp"
#include "detail/simd/portable_batch.hpp"
#include "epilogue.hpp"
#include "gradients.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// What leaves a stage that `y` enters: as in the forward pass.
template <class Stage>
float leaving(const Stage& stage, const Element& y) {
  return apply(stage, y);
}
inline float leaving(const ShotNoiseWithDerivative& stage, const Element& y) {
  return apply(ShotNoise{stage.strength}, y);
}

/// The gradient by `y`, which enters a stage, given the one by what leaves it.
inline float entering(const AddBias&, float gradient, const Element&) { return gradient; }
inline float entering(const Relu&, float gradient, const Element& y) {
  return y.value > 0.0f ? gradient : 0.0f;
}
inline float entering(const Attenuation& stage, float gradient, const Element&) {
  return detail::product(gradient, stage.factor);
}
inline float entering(const GaussianNoise&, float gradient, const Element&) { return gradient; }
inline float entering(const ShotNoise&, float gradient, const Element&) { return gradient; }
inline float entering(const ShotNoiseWithDerivative& stage, float gradient, const Element& y) {
  if (!(y.value < 0.0f || y.value > 0.0f)) return gradient;  // 0, and NaN
  const float root = std::sqrt(std::fabs(y.value));
  const float slope = detail::product(0.5f * stage.strength, y.normals[0]) / root;
  return std::fma(gradient, y.value > 0.0f ? slope : 0.0f - slope, gradient);
}
template <int Bits>
float entering(const Quantizer<Bits>& stage, float gradient, const Element& y) {
  return y.value >= stage.lo() && y.value <= stage.hi() ? gradient : 0.0f;
}
inline float entering(const RuntimeQuantizer& stage, float gradient, const Element& y) {
  return y.value >= stage.lo() && y.value <= stage.hi() ? gradient : 0.0f;
}
template <int Bits>
float entering(const SymmetricQuantizer<Bits>& stage, float gradient, const Element& y) {
  return std::fabs(y.value) <= stage.limit() ? gradient : 0.0f;
}
/// Any other stage: its own derivative, on a vector of which the first lane counts.
template <class Stage>
float entering(const Stage& stage, float gradient, const Element& y) {
  using Floats = detail::PortableBatch<float>;
  const Floats gradients(gradient), values(y.value);
  if constexpr (detail::is_gate<Stage, Floats>) {
    return select(stage.passes(values), gradients, Floats(0.0f)).get(0);
  } else if constexpr (detail::is_straight<Stage, Floats>) {
    return stage.backward(gradients).get(0);
  } else {
    std::array<Floats, detail::normals_of<Stage>> normals;
    for (std::size_t i = 0; i < normals.size(); ++i) normals[i] = Floats(y.normals[i]);
    const Coordinates at{y.row, y.column, y.global_row};
    return stage.backward(gradients, values, at, ActiveLanes{1}, normals).get(0);
  }
}

/// One element on its way through an epilogue and back.
struct Walk {
  float value;     ///< what leaves the last stage
  float gradient;  ///< the gradient by what enters the first one
  float bias = 0;  ///< the gradient by what AddBias adds (the first one's, where there are several)
};

/// From stage number Index on, which uses the draws from `draw` on: `value` enters it, `grad_y` is
/// the gradient by what leaves the last one.
template <std::size_t Index = 0, class... Stages>
Walk walk(const Epilogue<Stages...>& epilogue, float value, float grad_y, std::size_t row,
          std::size_t column, const NoiseKey& key, std::size_t draw = 0) {
  if constexpr (Index == sizeof...(Stages)) {
    return {value, grad_y};
  } else {
    const auto& stage = std::get<Index>(epilogue.stages());
    using Stage = std::remove_cvref_t<decltype(stage)>;
    constexpr std::size_t count = detail::normals_of<Stage>;
    std::array<float, count + 1> normals{};
    for (std::size_t i = 0; i < count; ++i) {
      normals[i] = drawn_by<Stage>(key, row, column, draw, i);
    }
    const Element y{value, row, column, key.row_offset + row, normals.data()};
    Walk behind =
        walk<Index + 1>(epilogue, leaving(stage, y), grad_y, row, column, key, draw + count);
    if constexpr (std::is_same_v<Stage, AddBias>) behind.bias = behind.gradient;
    behind.gradient = entering(stage, behind.gradient, y);
    return behind;
  }
}

/// X: what the forward pass multiplied for an input.
template <class Weights, class X>
float multiplied_input(X x, const NoDac&) {
  return x;
}
template <class Weights, class X, class Dac>
float multiplied_input(X x, const Dac& dac) {
  constexpr bool kInFloats = std::is_same_v<Weights, PackedWeights>;
  if (kInFloats && x != x) return x;  // NaN has a code only where codes are multiplied
  return input_value(input_code(x, dac), dac);
}
/// Whether the DAC lets the gradient by an input pass.
template <class Dac>
bool input_passes(float x, const Dac& dac) {
  return x >= dac.lo() && x <= dac.hi();
}
inline bool input_passes(float, const NoDac&) { return true; }
template <class Dac>
bool input_passes(std::uint8_t, const Dac&) {
  return true;
}

/// Σ a[k]·b[k], k ascending, of columns a and b: one chain.
inline float dot_of_columns(MatrixView<const float> a, std::size_t column_of_a,
                            MatrixView<const float> b, std::size_t column_of_b) {
  float sum = 0.0f;
  for (std::size_t k = 0; k < a.rows(); ++k) {
    sum = detail::chain_multiply_add(a(k, column_of_a), b(k, column_of_b), sum);
  }
  return sum;
}

/// A row of numbers in fixed point of 8·parts bits: v is worth integers[k]·unit.
struct FixedRow {
  std::vector<std::int64_t> integers;
  float unit;
};

/// values(k), k < count; uniform(k): the number that rounds at random, of a single part.
template <class Values, class Uniform>
FixedRow fixed_row(std::size_t parts, std::size_t count, Values values, Uniform uniform) {
  const auto most = static_cast<float>((1 << (8 * parts - 1)) - 1);
  float largest = 0x1p-80f;
  bool finite = true;
  for (std::size_t k = 0; k < count; ++k) {
    finite = finite && std::isfinite(values(k));
    largest = std::max(largest, std::fabs(values(k)));
  }
  FixedRow row{std::vector<std::int64_t>(count), std::numeric_limits<float>::quiet_NaN()};
  if (!finite) return row;
  const float scale = most / largest;
  row.unit = 1.0f / scale;
  for (std::size_t k = 0; k < count; ++k) {
    const float at = std::clamp(detail::product(values(k), scale), -most, most);
    double integer = std::nearbyint(static_cast<double>(at));
    if (parts == 1) {
      const float below = std::floor(at);
      integer = static_cast<double>(uniform(k) <= at - below ? below + 1.0f : below);
    }
    row.integers[k] = static_cast<std::int64_t>(integer);
  }
  return row;
}

/// What a gradient in integers is multiplied of: gradient(row, o) of o < outputs, the first of
/// which has the number first_output where numbers are drawn, with gradient_key() of the pass's
/// key.
template <class Gradient>
struct IntegerGradient {
  Gradient gradient;
  std::size_t outputs;
  NoiseKey key;
  std::size_t array = 0;  ///< which along the inputs
  std::size_t first_output = 0;
};

/// The gradient by inputs, before the DAC's gate, as IntegerSplitProducts<Parts> have it, for
/// weights code(o, k)·scale(o).
template <std::size_t Parts, class Gradient, class Scale, class Code>
void integer_input_gradient(const IntegerGradient<Gradient>& g, const Scale& scale,
                            const Code& code, MatrixView<float> by_input) {
  for (std::size_t row = 0; row < by_input.rows(); ++row) {
    const FixedRow fixed = fixed_row(
        Parts, g.outputs,
        [&](std::size_t o) { return detail::product(g.gradient(row, o), scale(o)); },
        [&](std::size_t o) {
          return standard_uniform_at(g.key, row, g.first_output + o, 2 * g.array);
        });
    for (std::size_t k = 0; k < by_input.cols(); ++k) {
      std::int64_t sum = 0;
      for (std::size_t o = 0; o < g.outputs; ++o) sum += fixed.integers[o] * code(o, k);
      by_input(row, k) = detail::product(static_cast<float>(sum), fixed.unit);
    }
  }
}

/// The gradient by weights [outputs, in], before their stages, of one piece of the batch, added to
/// what those before it have; inputs are offset + step·code(row, k).
template <std::size_t Parts, class Gradient, class Code>
void add_integer_weight_gradient(const IntegerGradient<Gradient>& g, const Code& code, float step,
                                 float offset, const detail::Range& rows,
                                 MatrixView<float> by_weights) {
  const NoiseKey of_outputs{g.key.seed, g.key.stream, 0};
  for (std::size_t o = 0; o < g.outputs; ++o) {
    const FixedRow fixed = fixed_row(
        Parts, rows.size, [&](std::size_t i) { return g.gradient(rows.begin + i, o); },
        [&](std::size_t i) {
          return standard_uniform_at(of_outputs, g.first_output + o, rows.begin + i,
                                     2 * g.array + 1);
        });
    std::int64_t all = 0;
    for (std::size_t i = 0; i < rows.size; ++i) all += fixed.integers[i];
    const float base =
        detail::product(offset, detail::product(static_cast<float>(all), fixed.unit));
    for (std::size_t k = 0; k < by_weights.cols(); ++k) {
      std::int64_t sum = 0;
      for (std::size_t i = 0; i < rows.size; ++i) {
        sum += fixed.integers[i] * code(rows.begin + i, k);
      }
      const float value = detail::fused_multiply_add(
          step, detail::product(static_cast<float>(sum), fixed.unit), base);
      by_weights(o, k) = rows.begin == 0 ? value : by_weights(o, k) + value;
    }
  }
}
/// Of a whole batch: each piece of rows with a unit of its own, one after another.
template <std::size_t Parts, class Gradient, class Code>
void integer_weight_gradient(const IntegerGradient<Gradient>& g, const Code& code, float step,
                             float offset, std::size_t batch, MatrixView<float> by_weights) {
  constexpr std::size_t kRowsAtOnce = 32768;
  for (std::size_t begin = 0; begin == 0 || begin < batch; begin += kRowsAtOnce) {
    const detail::Range rows{begin, std::min(kRowsAtOnce, batch - begin)};
    add_integer_weight_gradient<Parts>(g, code, step, offset, rows, by_weights);
  }
}

/// The gradients by x and by the weights of a plain pass. g [batch, out].
template <std::size_t Parts, class Pass>
void multiply_in_integers(const Pass& pass, MatrixView<const float> g, MatrixView<float> by_input,
                          MatrixView<float> by_weights) {
  const auto gradient = [&](std::size_t row, std::size_t o) { return g(row, o); };
  const IntegerGradient<decltype(gradient)> integers{gradient, g.cols(), gradient_key(pass.key)};
  integer_input_gradient<Parts>(
      integers, [&](std::size_t o) { return pass.weights.scales()[o]; },
      [&](std::size_t o, std::size_t k) { return pass.weights.code(o, k); }, by_input);
  integer_weight_gradient<Parts>(
      integers,
      [&](std::size_t row, std::size_t k) { return input_code(pass.x(row, k), pass.dac); },
      pass.dac.step(), pass.dac.offset(), g.rows(), by_weights);
}

/// The same in floats, as F32Products have them. x [batch, in], w [out, in]: what was multiplied.
inline void multiply_in_floats(MatrixView<const float> x, MatrixView<const float> w,
                               MatrixView<const float> g, MatrixView<float> by_input,
                               MatrixView<float> by_weights) {
  for (std::size_t row = 0; row < g.rows(); ++row) {
    for (std::size_t k = 0; k < x.cols(); ++k) {
      float sum = 0.0f;
      for (std::size_t o = 0; o < g.cols(); ++o) {
        sum = detail::chain_multiply_add(g(row, o), w(o, k), sum);
      }
      by_input(row, k) = sum;
    }
  }
  for (std::size_t o = 0; o < g.cols(); ++o) {
    for (std::size_t k = 0; k < x.cols(); ++k) by_weights(o, k) = dot_of_columns(g, o, x, k);
  }
}

/// The sums for a DAC's range, `gradient` being the one by x before the gate: in each row and 128
/// inputs sixteen chains, of every sixteenth input, and all of them in double.
template <class X, class Dac>
InputRangeSums input_range_sums(MatrixView<const X> x, MatrixView<const float> gradient,
                                const Dac& dac) {
  InputRangeSums result;
  const auto part = [&](std::size_t row, std::size_t k) {
    const float value = static_cast<float>(x(row, k)), d = gradient(row, k);
    if (value >= dac.hi()) return d < 0.0f ? d : 0.0f;
    if (value <= -dac.hi() && dac.lo() < 0.0f) return d > 0.0f ? -d : 0.0f;
    return 0.0f;
  };
  double sum = 0.0;
  for (std::size_t row = 0; row < x.rows(); ++row) {
    for (std::size_t block = 0; block < x.cols(); block += 128) {
      const std::size_t end = std::min(block + 128, x.cols());
      for (std::size_t first = block; first < std::min(block + 16, end); ++first) {
        float chain = 0.0f;
        for (std::size_t k = first; k < end; k += 16) chain += part(row, k);
        sum += static_cast<double>(chain);
      }
    }
    for (std::size_t k = 0; k < x.cols(); ++k) {
      result.inside += std::fabs(static_cast<float>(x(row, k))) < dac.hi() ? 1 : 0;
    }
  }
  result.gradient = static_cast<float>(sum);
  result.count = static_cast<std::uint64_t>(x.rows()) * x.cols();
  return result;
}

/// The gradient by the bias, of the one for each row; where it is wanted.
inline void add_up_batch(MatrixView<const float> by_row, std::span<float> bias) {
  for (std::size_t o = 0; o < bias.size(); ++o) {
    bias[o] = 0.0f;
    for (std::size_t row = 0; row < by_row.rows(); ++row) bias[o] += by_row(row, o);
  }
}

/// lumina::forward to y and lumina::backward, for weights whose values are `w` [out, in].
/// `products`: F32Products or IntegerSplitProducts. Arguments are not checked.
template <class Pass, class Products = F32Products>
void forward_and_backward(const Pass& pass, MatrixView<const float> w,
                          MatrixView<const float> grad_y, MatrixView<float> y,
                          const Gradients& gradients, const Products& = {}) {
  using Weights = std::remove_cvref_t<decltype(pass.weights)>;
  const std::size_t batch = y.rows(), out = y.cols(), in = pass.x.cols();

  Matrix<float> x(batch, in);
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t k = 0; k < in; ++k) {
      x(row, k) = multiplied_input<Weights>(pass.x(row, k), pass.dac);
    }
  }
  // The dot products, then each of them through the epilogue and back.
  if constexpr (std::is_same_v<Weights, PackedWeights>) {
    reference::fused_gemm(x, w, y, epilogue(), {});
  } else {
    reference::fused_gemm(pass.x, pass.dac, pass.weights, y, epilogue(), {});
  }
  Matrix<float> g(batch, out), by_bias(batch, out);
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t o = 0; o < out; ++o) {
      const Walk element = walk(pass.epilogue, y(row, o), grad_y(row, o), row, o, pass.key);
      y(row, o) = element.value;
      g(row, o) = element.gradient;
      by_bias(row, o) = element.bias;
    }
  }

  Matrix<float> by_input(batch, in), by_weights(out, in);  // before gates and stages
  if constexpr (detail::is_integer_split<Products>) {
    multiply_in_integers<Products::parts>(pass, g, by_input, by_weights);
  } else {
    multiply_in_floats(x, w, g, by_input, by_weights);
  }
  for (std::size_t row = 0; gradients.input.data() != nullptr && row < batch; ++row) {
    for (std::size_t k = 0; k < in; ++k) {
      gradients.input(row, k) = input_passes(pass.x(row, k), pass.dac) ? by_input(row, k) : 0.0f;
    }
  }
  if constexpr (!std::is_same_v<decltype(pass.dac), NoDac>) {
    if (gradients.input_range != nullptr) {
      *gradients.input_range = input_range_sums(pass.x, by_input, pass.dac);
    }
  }
  for (std::size_t o = 0; gradients.weights.data() != nullptr && o < out; ++o) {
    for (std::size_t k = 0; k < in; ++k) {
      gradients.weights(o, k) =
          finish<float>(by_weights(o, k), o, k, pass.weight_stages, pass.weight_key);
    }
  }
  add_up_batch(by_bias, gradients.bias);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
