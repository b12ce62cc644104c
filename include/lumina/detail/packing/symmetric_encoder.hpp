// One output's weights to symmetric codes, several vectors at a time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "../simd/nearest_code.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// SymmetricQuantizer's encode with `scale` for the step, for codes up to ±max_code ≤ 127, of
/// weights that are not NaN. Where the scale is 0 all codes are.
class SymmetricEncoder {
 public:
  SymmetricEncoder() = default;
  constexpr SymmetricEncoder(float scale, std::int32_t max_code) {
    const auto top = static_cast<float>(max_code);
    if (scale != 0.0f) nearest_ = {scale, 0.0f, -top, top};
    all_zero_ = scale == 0.0f;
  }

  constexpr bool all_zero() const { return all_zero_; }

  /// In each int32 a code plus kExcess, whose last byte is 0.
  template <class Floats, std::size_t Count>
  [[gnu::always_inline]] constexpr auto encode_lanes(
      const std::array<Floats, Count>& weights) const {
    std::array<rebind_t<Floats, std::int32_t>, Count> codes;
    unroll<Count>([&](auto i) __attribute__((always_inline)) {
      codes[i] = bits_as<std::int32_t>(nearest_.raised_code_of_number(weights[i]));
    });
    return codes;
  }
  static constexpr std::int32_t kExcess = kRaisedZero;

 private:
  NearestCode nearest_;
  bool all_zero_ = true;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
