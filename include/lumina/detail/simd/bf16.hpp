// bf16: floats of 8 significant bits, which are the upper halves of those of 24. Integers up to
// ±256 are exact, and a float is the sum of three.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kBf16Parts = 3;

/// Every lane's bf16 below it, towards 0.
template <class Floats>
[[gnu::always_inline]] inline Floats bf16_towards_zero(const Floats& v) {
  using Words = rebind_t<Floats, std::uint32_t>;
  return bits_as<float>(bits_as<std::uint32_t>(v) & Words(0xffff0000u));
}

/// Every lane's nearest bf16, ties to even. Not for NaN; infinite from 0x1.ff·2^127 on.
template <class Floats>
[[gnu::always_inline]] inline Floats nearest_bf16(const Floats& v) {
  using Words = rebind_t<Floats, std::uint32_t>;
  const Words bits = bits_as<std::uint32_t>(v);
  const Words odd = (bits >> 16) & Words(1u);
  return bits_as<float>((bits + odd + Words(0x7fffu)) & Words(0xffff0000u));
}

/// Three bf16, as floats, whose sum is g: the nearest one, the nearest to what is left, and the
/// rest. Each difference is exact: it has at most 16 bits, then 8. That holds from 2^-103 on;
/// below, the lower parts may be denormal, which bf16 has with fewer bits and matrix units take for
/// 0, so that less than 2^-126 is lost. Infinities and NaN are one part, and 0 or NaN.
template <class Floats>
[[gnu::always_inline]] inline std::array<Floats, kBf16Parts> split_in_bf16(const Floats& g) {
  const Floats rounds_to_infinity(0x1.ffp+127f);
  Floats high = nearest_bf16(g);
  Floats rest = g - high;
  if (!all(abs(g) < rounds_to_infinity)) [[unlikely]] {
    const Floats largest(std::numeric_limits<float>::max()), zero(0.0f);
    const Floats nan(std::numeric_limits<float>::quiet_NaN());
    high = select(abs(g) < rounds_to_infinity, high, bf16_towards_zero(g));
    rest = select(abs(g) <= largest, g - high, zero);
    high = select(abs(g) <= Floats(std::numeric_limits<float>::infinity()), high, nan);
  }
  const Floats middle = nearest_bf16(rest);
  return {high, middle, rest - middle};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
