// The scale of symmetric codes of weights.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "../../quantizer.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The largest symmetric code of so many bits.
constexpr std::int32_t max_weight_code(int bits) { return (std::int32_t{1} << (bits - 1)) - 1; }

/// Weights as large as the largest magnitude get the code ±max_code. The smallest denormal float is
/// the smallest scale: it represents weights exactly for which max_code would be too fine.
constexpr float weight_scale(std::uint32_t largest_magnitude_bits, std::int32_t max_code) {
  const auto limit = std::bit_cast<float>(largest_magnitude_bits);
  if (limit == 0.0f) return 0.0f;
  return std::max(step_of(static_cast<double>(limit), max_code, 0.0),
                  std::numeric_limits<float>::denorm_min());
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
