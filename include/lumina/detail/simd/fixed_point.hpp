// Fixed point in vectors: floats to integers, and sums of products of their bytes back to floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/fixed_point.hpp"
#include "../base/unroll.hpp"
#include "vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// v·scale, limited to ±FixedPoint::kLargest; NaN stays NaN.
template <std::size_t Parts, class Floats>
[[gnu::always_inline]] constexpr Floats fixed_position(const Floats& v, const Floats& scale) {
  const Floats largest(static_cast<float>(FixedPoint<Parts>::kLargest));
  return clamp_keeping_nan(product(v, scale), Floats(0.0f) - largest, largest);
}

/// The nearest integer, ties to even, of such a position; of NaN any.
template <std::size_t Parts, class Floats>
[[gnu::always_inline]] constexpr auto nearest_fixed(const Floats& position) {
  if constexpr (Parts < 3) {
    return to_small_int(round_half_even(position));
  } else {
    // Half of it at a time; both differences are exact.
    const Floats high = round_half_even(product(position, Floats(0x1p-16f)));
    const Floats rest = fused_multiply_add(high, Floats(-0x1p+16f), position);
    return (to_small_int(high) << 16) + to_small_int(round_half_even(rest));
  }
}

/// The nearest float of Σ 256^i·sums[i], each of 32 bits with a sign.
template <class Floats, std::size_t Parts>
[[gnu::always_inline]] constexpr Floats nearest_float_of_parts(
    std::array<rebind_t<Floats, std::int32_t>, Parts> sums) {
  using Ints = rebind_t<Floats, std::int32_t>;
  static_assert(Parts <= 3);
  if constexpr (Parts == 1) {
    return nearest_floats(sums[0]);
  } else {
    // Carried upwards until all but the highest one's upper 24 bits are a number of 8·Parts bits:
    // two floats without rounding.
    const Ints byte(0xff);
    Ints low = sums[0] & byte;
    unroll<Parts - 1>([&](auto i) __attribute__((always_inline)) {
      sums[i + 1] = sums[i + 1] + (sums[i] >> 8);
      low = low + ((sums[i + 1] & byte) << (8 * (static_cast<int>(i) + 1)));
    });
    constexpr auto kAbove = static_cast<float>(std::int32_t{1} << (8 * Parts));
    return fused_multiply_add(nearest_floats(sums[Parts - 1] >> 8), Floats(kAbove),
                              nearest_floats(low));
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
