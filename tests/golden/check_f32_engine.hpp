// The f32 engine: dot products as they are, and behind all kinds of stages. On a machine without
// FMA instructions a product is rounded before it is added; there the bounds of docs/numerics.md,
// section 4, take the place of equality.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

#include <lumina/fused_gemm.hpp>

#include "bits.hpp"
#include "f32_vectors.hpp"
#include "operands.hpp"

namespace golden {

/// Memory for the largest layer.
struct F32Workspace {
  float x[kMaxF32X];
  float w[kMaxF32W];
  float bias[kMaxF32Out];
  float y[kMaxF32Y];
};

inline lumina::RuntimeQuantizer f32_adc() { return {kF32AdcBits, kF32AdcLo, kF32AdcHi}; }

inline auto f32_epilogue(std::span<const float> bias) {
  return lumina::epilogue(lumina::AddBias{bias}, lumina::Attenuation{kAttenuation},
                          lumina::ShotNoise{kShot}, lumina::GaussianNoise{kGaussian}, f32_adc());
}

/// How far outputs may be apart where one side fuses products and sums and the other does not.
class F32Bounds {
 public:
  F32Bounds(const F32Layer& layer, const F32Workspace& memory) : layer_(layer), memory_(memory) {}

  double of_sum(std::size_t row, std::size_t col) const {
    return 2 * gamma(layer_.in) * magnitude(row, col);
  }
  /// In front of the ADC.
  double of_value(std::size_t row, std::size_t col) const {
    const double bias = std::fabs(static_cast<double>(memory_.bias[col]));
    const double attenuated = kAttenuation * (magnitude(row, col) + bias);
    const double apart = 2 * gamma(layer_.in + 2) * attenuated;
    const double noise = kLargestNormal * (kShot * std::sqrt(attenuated) + kGaussian);
    return apart + kLargestNormal * kShot * std::sqrt(apart) + 2 * gamma(5) * (attenuated + noise);
  }

 private:
  static constexpr double kLargestNormal = 6.67;

  /// The relative error of so many roundings.
  static double gamma(std::size_t roundings) {
    const double units = static_cast<double>(roundings) * 0x1p-24;
    return units / (1 - units);
  }
  /// Σ |x|·|w|
  double magnitude(std::size_t row, std::size_t col) const {
    double sum = 0;
    for (std::size_t k = 0; k < layer_.in; ++k) {
      sum += std::fabs(static_cast<double>(memory_.x[row * layer_.in + k]) *
                       static_cast<double>(memory_.w[col * layer_.in + k]));
    }
    return sum;
  }

  const F32Layer& layer_;
  const F32Workspace& memory_;
};

/// weights_of(view of w): what fused_gemm shall take, say pack_weights(view), or the view itself,
/// for which nothing is allocated.
template <class Report, class WeightsOf>
void check_f32_engine(Report&& report, F32Workspace& memory, WeightsOf&& weights_of) {
  std::size_t index = 0;
  for (const F32Layer& layer : kF32Layers) {
    fill_units(layer.x_seed, layer.batch, layer.in, memory.x);
    fill_weights(layer.w_seed, layer.out, layer.in, memory.w);
    fill_units(layer.bias_seed, 1, layer.out, memory.bias);
    const lumina::MatrixView<const float> x(memory.x, layer.batch, layer.in),
        w(memory.w, layer.out, layer.in);
    const lumina::MatrixView<float> y(memory.y, layer.batch, layer.out);
    const lumina::NoiseKey key{layer.noise_seed, layer.noise_stream, layer.row_offset};
    const auto& weights = weights_of(w);
    const F32Bounds bounds(layer, memory);
    const auto compare = [&](const auto& check) {
      for (std::size_t row = 0; row < layer.batch; ++row) {
        for (std::size_t col = 0; col < layer.out; ++col) {
          check(index + row * layer.out + col, row, col);
        }
      }
    };

    lumina::fused_gemm(x, weights, y, lumina::epilogue());
    compare([&](std::size_t i, std::size_t row, std::size_t col) {
      if constexpr (lumina::detail::kHasFma) {
        report("f32 dot product", i, kF32Sums[i], bits_of(y(row, col)));
      } else {
        const double apart = static_cast<double>(y(row, col)) - float_of(kF32Sums[i]);
        report("f32 dot product within its bound", i, 1,
               std::fabs(apart) <= bounds.of_sum(row, col));
      }
    });

    const std::span<const float> bias(memory.bias, layer.out);
    lumina::fused_gemm(x, weights, y, f32_epilogue(bias), key);
    compare([&](std::size_t i, std::size_t row, std::size_t col) {
      if constexpr (lumina::detail::kHasFma) {
        report("f32 layer", i, kF32Outputs[i], bits_of(y(row, col)));
      } else {
        // Values less than a step apart have neighbouring codes.
        const auto code = f32_adc().encode(y(row, col));
        const auto expected = f32_adc().encode(float_of(kF32Outputs[i]));
        report("f32 layer: bound below a step of the ADC", i, 1,
               bounds.of_value(row, col) < 0.99 * static_cast<double>(f32_adc().step()));
        report("f32 layer: neighbouring codes", i, 1, code <= expected + 1 && expected <= code + 1);
      }
    });
    index += layer.batch * layer.out;
  }
  report("f32: all outputs used", 0, std::size(kF32Sums), index);
}

/// The same with weights as they lie.
template <class Report>
void check_f32_engine(Report&& report, F32Workspace& memory) {
  check_f32_engine(
      report, memory, [](const auto& w) -> const auto& { return w; });
}

}  // namespace golden
