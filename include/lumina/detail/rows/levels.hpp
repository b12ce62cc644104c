// Weights to the levels of a device, as floats.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "../../quantizer.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// One output's levels: code·value, code = symmetric_code(w, step, max_code) (quantizer.hpp); zeros
/// where the step is 0. Of a caller's step a level may lie beyond float: it is the largest float
/// then.
class SymmetricLevels {
 public:
  SymmetricLevels(float step, std::int32_t max_code, float value)
      : step_(step), top_(static_cast<float>(max_code)), value_(value) {
    // As UniformQuantizer: a product instead of the quotient, where it cannot change a code.
    if (top_ <= 4095.0f && step > 0x1p-125f && step < 0x1p+125f) {
      inverse_step_ = 1.0f / step;
      surely_nearest_ = 0.5f - top_ * 0x1p-22f;
    }
  }

  /// `count` weights to `to`, at a vector's alignment; zeros behind them up to a whole vector.
  void quantize(const float* weights, std::size_t count, float* to) const {
    if (step_ == 0.0f) {
      std::fill_n(to, (count + Floats::size - 1) / Floats::size * Floats::size, 0.0f);
      return;
    }
    const SymmetricLevels self = *this;  // writing floats does not change it
    constexpr std::size_t kTogether = 4;
    std::size_t k = 0;
    for (; k + kTogether * Floats::size <= count; k += kTogether * Floats::size) {
      std::array<Floats, kTogether> values;
      unroll<kTogether>([&](auto i) __attribute__((always_inline)) {
        values[i] = Floats::load_unaligned(weights + k + i * Floats::size);
      });
      const auto levels = self.levels_of(values);
      unroll<kTogether>([&](auto i) __attribute__((always_inline)) {
        levels[i].store_aligned(to + k + i * Floats::size);
      });
    }
    for (; k < count; k += Floats::size) {
      const Floats values = k + Floats::size <= count ? Floats::load_unaligned(weights + k)
                                                      : load_first<Floats>(weights + k, count - k);
      self.levels_of(std::array<Floats, 1>{values})[0].store_aligned(to + k);
    }
  }

 private:
  using Floats = Native::Batch<float>;

  template <std::size_t Count>
  [[gnu::always_inline]] std::array<Floats, Count> levels_of(
      const std::array<Floats, Count>& values) const {
    const Floats top(top_), largest(std::numeric_limits<float>::max());
    std::array<Floats, Count> codes;
    Floats farthest(0.0f);
    unroll<Count>([&](auto i) __attribute__((always_inline)) {
      const Floats position =
          clamp_keeping_nan(product(values[i], Floats(inverse_step_)), -top, top);
      codes[i] = round_half_even(position);
      farthest = max_or_second(farthest, abs(position - codes[i]));  // NaN where the last one is
    });
    if (!all(farthest <= Floats(surely_nearest_))) [[unlikely]] {
      unroll<Count>([&](auto i) __attribute__((always_inline)) {
        codes[i] = symmetric_code(values[i], Floats(step_), top);
      });
    }
    unroll<Count>([&](auto i) __attribute__((always_inline)) {
      codes[i] = clamp_keeping_nan(product(codes[i], Floats(value_)), -largest, largest);
    });
    return codes;
  }

  float step_, top_, value_;
  float inverse_step_ = 0.0f;
  float surely_nearest_ = -1.0f;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
