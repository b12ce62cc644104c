// One output's weights to symmetric codes, several vectors at a time.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// SymmetricQuantizer's encode with `scale` for the step, for codes up to ±max_code ≤ 127, of
/// weights that are not NaN. Where the scale is 0 all codes are.
class SymmetricEncoder {
 public:
  SymmetricEncoder() = default;
  SymmetricEncoder(float scale, std::int32_t max_code) : scale_(scale), max_code_(max_code) {
    if (scale > 0x1p-125f && scale < 0x1p+125f) {
      inverse_ = 1.0f / scale;
      surely_nearest_ = 0.5f - static_cast<float>(max_code) * 0x1p-22f;
    }
  }

  bool all_zero() const { return scale_ == 0.0f; }

  /// In each int32 a code plus kExcess, whose last byte is 0.
  template <class Floats, std::size_t Count>
  [[gnu::always_inline]] auto encode_lanes(const std::array<Floats, Count>& weights) const {
    using Ints = rebind_t<Floats, std::int32_t>;
    // A product instead of the quotient, where it cannot change a code.
    std::array<Ints, Count> codes;
    Ints farthest(0);  // the distance from a code, as bits: the order is that of the floats
    unroll<Count>([&](auto i) __attribute__((always_inline)) {
      const Floats inverse(inverse_);
      codes[i] = clamped(chain_multiply_add(weights[i], inverse, Floats(kRoundingShift)));
      const Floats minus_code = Floats(kRoundingShift) - bits_as<float>(codes[i]);
      const Floats distance = chain_multiply_add(weights[i], inverse, minus_code);
      farthest = max(farthest, bits_as<std::int32_t>(distance) & Ints(0x7fffffff));
    });
    if (!all(bits_as<float>(farthest) <= Floats(surely_nearest_))) [[unlikely]] {
      unroll<Count>([&](auto i) __attribute__((always_inline)) {
        codes[i] = clamped(quotient(weights[i], Floats(scale_)) + Floats(kRoundingShift));
      });
    }
    return codes;
  }
  static constexpr auto kExcess = std::bit_cast<std::int32_t>(kRoundingShift);

 private:
  /// ±max_code at most. The bits of positive floats have the order of the floats, those of negative
  /// ones are negative.
  template <class Floats>
  [[gnu::always_inline]] auto clamped(const Floats& raised) const {
    using Ints = rebind_t<Floats, std::int32_t>;
    return min(max(bits_as<std::int32_t>(raised), Ints(kExcess - max_code_)),
               Ints(kExcess + max_code_));
  }

  float scale_ = 0.0f;
  std::int32_t max_code_ = 0;
  // Without clamping w·inverse_ and w/scale_ differ by less than 4·2^-24·max_code: three roundings.
  // Where the product is farther than that from a tie, both have the same nearest integer; where
  // it is clamped, it is farther than a half from the code. The values here say that the product
  // is never to be trusted.
  float inverse_ = 0.0f;
  float surely_nearest_ = -1.0f;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
