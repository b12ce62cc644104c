// The oracle: everything again as plain loops, short enough to check by eye. Kernels are tested
// against it bit for bit. For tests and for those who want to know what a number should be.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/simd/portable_batch.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weight_noise.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Quantizer::step: no level is beyond float.
inline float step(float lo, float hi, int bits) {
  const auto max_code = static_cast<float>((1u << bits) - 1);
  const auto rounded = static_cast<float>((static_cast<double>(hi) - static_cast<double>(lo)) /
                                          static_cast<double>(max_code));
  return std::isinf(std::fma(max_code, rounded, lo)) ? std::nextafter(rounded, 0.0f) : rounded;
}

/// Quantizer::encode.
inline std::uint32_t encode(float v, float lo, float hi, int bits) {
  const auto max_code = static_cast<float>((1u << bits) - 1);
  const float code = std::nearbyint((v - lo) / step(lo, hi, bits));
  if (!(code > 0.0f)) return 0;  // NaN too
  return static_cast<std::uint32_t>(code < max_code ? code : max_code);
}

/// Quantizer::decode.
inline float decode(std::uint32_t code, float lo, float hi, int bits) {
  return std::fma(static_cast<float>(code), step(lo, hi, bits), lo);
}

/// Σ x[k]·w[k]: one chain over ascending k.
inline float dot(const float* x, const float* w, std::size_t depth) {
  float sum = 0.0f;
  for (std::size_t k = 0; k < depth; ++k) sum = detail::chain_multiply_add(x[k], w[k], sum);
  return sum;
}

/// mix_neighbours: row `row` of the mixed weights at input k.
inline float mixed_weight(MatrixView<const float> w, float crosstalk, std::size_t row,
                          std::size_t k) {
  float neighbours = 0.0f;
  if (row > 0) neighbours = w(row - 1, k);
  if (row + 1 < w.rows()) neighbours = row > 0 ? neighbours + w(row + 1, k) : w(row + 1, k);
  return std::fma(crosstalk, neighbours, w(row, k));
}

/// What a stage does to one element; normals[i] are the element's own.
struct Element {
  float value;
  std::size_t row, column;
  std::uint64_t global_row;
  const float* normals;
  std::size_t tile = 0;
};

inline float apply(const AddBias& stage, const Element& y) {
  return y.value + stage.bias[y.column];
}
inline float apply(const Relu&, const Element& y) { return y.value < 0.0f ? 0.0f : y.value; }
inline float apply(const Attenuation& stage, const Element& y) {
  return detail::product(y.value, stage.factor);
}
inline float apply(const GaussianNoise& stage, const Element& y) {
  return std::fma(stage.stddev, y.normals[0], y.value);
}
inline float apply(const ShotNoise& stage, const Element& y) {
  const float deviation = detail::product(stage.strength, std::sqrt(std::fabs(y.value)));
  return std::fma(deviation, y.normals[0], y.value);
}
template <int Bits>
float apply(const Quantizer<Bits>& stage, const Element& y) {
  return stage(y.value);
}
inline float apply(const RuntimeQuantizer& stage, const Element& y) { return stage(y.value); }
template <int Bits>
float apply(const SymmetricQuantizer<Bits>& stage, const Element& y) {
  return stage(y.value);
}
/// Any other stage: its own apply, on a vector of which the first lane counts.
template <class Stage>
float apply(const Stage& stage, const Element& y) {
  using Floats = detail::PortableBatch<float>;
  std::array<Floats, detail::normals_of<Stage>> normals;
  for (std::size_t i = 0; i < normals.size(); ++i) normals[i] = Floats(y.normals[i]);
  const Coordinates at{y.row, y.column, y.global_row, y.tile};
  return stage.apply(Floats(y.value), at, ActiveLanes{1}, normals).get(0);
}

/// Number `index` of what a stage draws for an element; `draw`: that of its first number.
template <class Stage>
float drawn_by(const NoiseKey& key, std::size_t row, std::size_t column, std::size_t draw,
               std::size_t index) {
  if (detail::row_draws_of<Stage>[index]) column = 0;
  return detail::uniform_draws_of<Stage>[index]
             ? standard_uniform_at(key, row, column, draw + index)
             : standard_normal_at(key, row, column, draw + index);
}

/// The float that goes through the stages, of which the last one may be an ADC that yields a code.
/// `draw`: that of the first normal.
template <class Y, class... Stages>
Y finish(float value, std::size_t row, std::size_t column, const Epilogue<Stages...>& epilogue,
         const NoiseKey& key, std::size_t draw = 0) {
  std::size_t stages_left = sizeof...(Stages);
  Y result{};
  const auto apply_stage = [&](const auto& stage) {
    using Stage = std::decay_t<decltype(stage)>;
    constexpr std::size_t count = detail::normals_of<Stage>;
    std::array<float, count + 1> normals{};
    for (std::size_t i = 0; i < count; ++i) {
      normals[i] = drawn_by<Stage>(key, row, column, draw, i);
    }
    draw += count;
    if constexpr (std::is_base_of_v<detail::UniformQuantizer, Stage>) {
      if (--stages_left == 0 && !std::is_same_v<Y, float>) {
        result = static_cast<Y>(encode(value, stage.lo(), stage.hi(), detail::bits_of(stage)));
      }
    } else {
      --stages_left;
    }
    value = apply(stage, {value, row, column, key.row_offset + row, normals.data()});
  };
  std::apply([&](const auto&... stage) { (apply_stage(stage), ...); }, epilogue.stages());
  if constexpr (std::is_same_v<Y, float>) result = value;
  return result;
}

/// lumina::fused_gemm, w [out, in] unpacked; arguments are not checked.
template <class... Stages>
void fused_gemm(MatrixView<const float> x, MatrixView<const float> w, MatrixView<float> y,
                const Epilogue<Stages...>& epilogue, const NoiseKey& key) {
  for (std::size_t row = 0; row < y.rows(); ++row) {
    for (std::size_t column = 0; column < y.cols(); ++column) {
      const float value = x.cols() == 0 ? 0.0f : dot(&x(row, 0), &w(column, 0), x.cols());
      y(row, column) = finish<float>(value, row, column, epilogue, key);
    }
  }
}

/// SymmetricQuantizer::encode, and the codes of encode_weights.
inline std::int32_t encode_symmetric(float v, float step, int bits) {
  const auto max_code = static_cast<float>((1 << (bits - 1)) - 1);
  if (v != v || step == 0.0f) return 0;
  const float code = std::nearbyint(v / step);
  return static_cast<std::int32_t>(std::fmin(std::fmax(code, -max_code), max_code));
}

/// SymmetricQuantizer::step.
inline float symmetric_step(float limit, int bits) {
  return static_cast<float>(static_cast<double>(limit) / ((1 << (bits - 1)) - 1));
}

/// The code, with its sign if it has one, that the DAC makes of x, or that x is.
template <class Dac>
std::int64_t input_code(float x, const Dac& dac) {
  const int bits = detail::bits_of(dac);
  if (dac.is_symmetric()) return encode_symmetric(x, symmetric_step(dac.hi(), bits), bits);
  return encode(x, dac.lo(), dac.hi(), bits);
}
template <class Dac>
std::int64_t input_code(std::uint8_t x, const Dac& dac) {
  return dac.is_symmetric() ? x - ((1 << (detail::bits_of(dac) - 1)) - 1) : x;
}
/// What such a code stands for.
template <class Dac>
float input_value(std::int64_t code, const Dac& dac) {
  const int bits = detail::bits_of(dac);
  if (dac.is_symmetric()) {
    return detail::product(static_cast<float>(code), symmetric_step(dac.hi(), bits));
  }
  return decode(static_cast<std::uint32_t>(code), dac.lo(), dac.hi(), bits);
}

/// lumina::fused_gemm with coded weights, X and Y float or codes; arguments are not checked.
template <class X, class Dac, class Weights, class Y, class... Stages>
void fused_gemm(MatrixView<const X> x, const Dac& dac, const Weights& w, MatrixView<Y> y,
                const Epilogue<Stages...>& epilogue, const NoiseKey& key) {
  for (std::size_t row = 0; row < y.rows(); ++row) {
    for (std::size_t column = 0; column < y.cols(); ++column) {
      std::int64_t sum = 0, code_sum = 0;
      for (std::size_t k = 0; k < x.cols(); ++k) {
        sum += input_code(x(row, k), dac) * w.code(column, k);
        code_sum += w.code(column, k);
      }
      const float scale = w.scales()[column];
      const float offset = dac.is_symmetric() ? 0.0f : dac.lo();
      const float base =
          detail::product(detail::product(offset, scale), static_cast<float>(code_sum));
      const float value =
          std::fma(static_cast<float>(sum), detail::product(dac.step(), scale), base);
      y(row, column) = finish<Y>(value, row, column, epilogue, key);
    }
  }
}

/// lumina::fused_gemm_noise_quant; arguments are not checked.
template <class Adc>
void fused_gemm_noise_quant(MatrixView<const float> x, MatrixView<const float> w,
                            MatrixView<float> y, float noise_stddev, const Adc& adc,
                            const NoiseKey& key) {
  if (noise_stddev == 0.0f) {
    reference::fused_gemm(x, w, y, epilogue(adc), key);
  } else {
    reference::fused_gemm(x, w, y, epilogue(GaussianNoise{noise_stddev}, adc), key);
  }
}

/// One weight with noise; `largest` is the largest magnitude of all.
inline float perturb(float w, float, const MultiplicativeWeightNoise& noise, float normal) {
  return std::fma(detail::product(w, noise.stddev), normal, w);
}
inline float perturb(float w, float largest, const AdditiveWeightNoise& noise, float normal) {
  return std::fma(detail::product(noise.stddev, largest), normal, w);
}
inline float perturb(float w, float, const DropConnect& noise, float normal) {
  return normal < noise.threshold() ? 0.0f : w;
}

/// The weights that lumina::pack_weights and lumina::encode_weights make of w with noise.
template <class Noise>
Matrix<float> perturb(MatrixView<const float> w, const Noise& noise, const NoiseKey& key) {
  float largest = 0.0f;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    for (std::size_t col = 0; col < w.cols(); ++col) {
      largest = std::fmax(largest, std::fabs(w(row, col)));
    }
  }
  Matrix<float> result(w.rows(), w.cols());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    for (std::size_t col = 0; col < w.cols(); ++col) {
      result(row, col) = perturb(w(row, col), largest, noise, standard_normal_at(key, row, col));
    }
  }
  return result;
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
