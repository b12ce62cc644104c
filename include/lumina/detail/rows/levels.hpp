// Weights to the levels of a device, as floats.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../simd/nearest_code.hpp"
#include "../simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// One output's levels: code·value, code as a SymmetricQuantizer with this step has it; zeros where
/// the step is 0. Of a caller's step a level may lie beyond float: it is the largest float then.
class SymmetricLevels {
 public:
  constexpr SymmetricLevels(float step, std::int32_t max_code, float value)
      : nearest_(step, 0.0f, -static_cast<float>(max_code), static_cast<float>(max_code)),
        all_zero_(step == 0.0f),
        value_(value) {}

  constexpr bool all_zero() const { return all_zero_; }
  /// Of some weights, where not all levels are 0.
  template <class Vector>
  [[gnu::always_inline]] constexpr Vector level_of(const Vector& weights) const {
    const Vector largest(std::numeric_limits<float>::max());
    return clamp_keeping_nan(product(nearest_.code_or_nan(weights), Vector(value_)), -largest,
                             largest);
  }

  /// `count` weights to `to`, at a vector's alignment; zeros behind them up to a whole vector.
  void quantize(const float* weights, std::size_t count, float* to) const {
    if (all_zero_) {
      std::fill_n(to, (count + Floats::size - 1) / Floats::size * Floats::size, 0.0f);
      return;
    }
    const SymmetricLevels self = *this;  // writing floats does not change it
    constexpr std::size_t kTogether = 4;
    std::size_t k = 0;
    for (; k + kTogether * Floats::size <= count; k += kTogether * Floats::size) {
      unroll<kTogether>([&](auto i) __attribute__((always_inline)) {
        const std::size_t at = k + i * Floats::size;
        self.level_of(Floats::load_unaligned(weights + at)).store_aligned(to + at);
      });
    }
    for (; k < count; k += Floats::size) {
      const Floats values = k + Floats::size <= count ? Floats::load_unaligned(weights + k)
                                                      : load_first<Floats>(weights + k, count - k);
      self.level_of(values).store_aligned(to + k);
    }
  }

 private:
  using Floats = Native::Batch<float>;

  NearestCode nearest_;
  bool all_zero_;
  float value_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
