// What checks report: floats as bits. Zeros count as +0, and one NaN is as good as another.
#pragma once

#include <bit>
#include <cstdint>

namespace golden {

inline float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

inline std::uint32_t bits_of(float value) {
  if (value != value) return 0x7fc00000u;
  return value == 0.0f ? 0u : std::bit_cast<std::uint32_t>(value);
}

}  // namespace golden
