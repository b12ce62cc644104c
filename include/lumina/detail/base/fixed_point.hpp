// Floats in fixed point: a row of numbers as integers over its largest magnitude, for products that
// are exact (docs/numerics.md, "Integer split").
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../config.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// How the floats of a row become integers of 8·Parts bits: v to the nearest of v·scale, at most
/// ±kLargest, which is worth `unit` each.
template <std::size_t Parts>
struct FixedPoint {
  static constexpr std::int32_t kLargest = (std::int32_t{1} << (8 * Parts - 1)) - 1;
  /// Rows whose magnitudes all lie below have the unit of one that reaches it.
  static constexpr float kSmallestRange = 0x1p-80f;

  float scale = 0.0f;
  float unit = std::numeric_limits<float>::quiet_NaN();

  constexpr FixedPoint() = default;
  /// `largest`: the row's largest magnitude. Of a row with infinities or NaN everything is NaN.
  constexpr explicit FixedPoint(float largest) {
    if (!(largest <= std::numeric_limits<float>::max())) return;
    scale = static_cast<float>(kLargest) / (largest < kSmallestRange ? kSmallestRange : largest);
    unit = 1.0f / scale;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
