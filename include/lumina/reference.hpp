// The oracle: everything again as plain loops, short enough to check by eye. Kernels are tested
// against it bit for bit. For tests and for those who want to know what a number should be.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <tuple>

#include "config.hpp"
#include "detail/portable_batch.hpp"
#include "detail/scalar_math.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Quantizer::step: no level is beyond float.
inline float step(float lo, float hi, int bits) {
  const auto max_code = static_cast<float>((1u << bits) - 1);
  const auto rounded = static_cast<float>((static_cast<double>(hi) - lo) / max_code);
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

/// What a stage does to one element; normals[i] are the element's own.
struct Element {
  float value;
  std::size_t row, column;
  std::uint64_t global_row;
  const float* normals;
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
  const Coordinates at{y.row, y.column, y.global_row};
  return stage.apply(Floats(y.value), at, ActiveLanes{1}, normals).get(0);
}

/// lumina::fused_gemm, w [out, in] unpacked; arguments are not checked.
template <class... Stages>
void fused_gemm(MatrixView<const float> x, MatrixView<const float> w, MatrixView<float> y,
                const Epilogue<Stages...>& epilogue, const NoiseKey& key) {
  for (std::size_t row = 0; row < y.rows(); ++row) {
    for (std::size_t column = 0; column < y.cols(); ++column) {
      float value = x.cols() == 0 ? 0.0f : dot(&x(row, 0), &w(column, 0), x.cols());
      std::size_t draw = 0;
      const auto apply_stage = [&](const auto& stage) {
        constexpr std::size_t count = detail::normals_of<std::decay_t<decltype(stage)>>;
        std::array<float, count + 1> normals{};
        for (std::size_t i = 0; i < count; ++i) {
          normals[i] = standard_normal_at(key, row, column, draw++);
        }
        value = apply(stage, {value, row, column, key.row_offset + row, normals.data()});
      };
      std::apply([&](const auto&... stage) { (apply_stage(stage), ...); }, epilogue.stages());
      y(row, column) = value;
    }
  }
}

/// lumina::fused_gemm_noise_quant; arguments are not checked.
template <int Bits>
void fused_gemm_noise_quant(MatrixView<const float> x, MatrixView<const float> w,
                            MatrixView<float> y, float noise_stddev, const Quantizer<Bits>& adc,
                            const NoiseKey& key) {
  if (noise_stddev == 0.0f) {
    reference::fused_gemm(x, w, y, epilogue(adc), key);
  } else {
    reference::fused_gemm(x, w, y, epilogue(GaussianNoise{noise_stddev}, adc), key);
  }
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
