// 32-bit lanes of four signed bytes: the magnitudes and squares of each.
#pragma once

#include <cstdint>

#include "../../config.hpp"
#include "portable_batch.hpp"
#include "vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// |b| of every byte; not for −128.
template <Vector Ints>
[[gnu::always_inline]] inline Ints byte_magnitudes(const Ints& words) {
  return bits_as<std::int32_t>(abs(bits_as<std::int8_t>(words)));
}

/// (h·h + 64) >> 7 of every half, |h| ≤ 127.
template <Vector Halves>
[[gnu::always_inline]] inline Halves rounded_half_squares(const Halves& halves) {
  return (halves * halves + Halves(std::int16_t{64})) >> 7;
}

/// (b·b + 64) >> 7 of every byte; not for −128.
template <Vector Ints>
[[gnu::always_inline]] inline Ints rounded_byte_squares(const Ints& words) {
  const auto halves = bits_as<std::int16_t>(words);
  const auto even = rounded_half_squares((halves << 8) >> 8);
  const auto odd = rounded_half_squares(halves >> 8);
  return bits_as<std::int32_t>(even | (odd << 8));
}

// Machines without vectors have no lanes of bytes either, so theirs are in words.

[[gnu::always_inline]] inline PortableBatch<std::int32_t> byte_magnitudes(
    const PortableBatch<std::int32_t>& words) {
  return PortableBatch<std::int32_t>::map(
      [](std::int32_t word) {
        const auto bytes = static_cast<std::uint32_t>(word);
        const std::uint32_t negative = bytes >> 7 & 0x01010101u;
        return static_cast<std::int32_t>((bytes ^ negative * 0xff) + negative);
      },
      words);
}

[[gnu::always_inline]] inline PortableBatch<std::int32_t> rounded_byte_squares(
    const PortableBatch<std::int32_t>& words) {
  return PortableBatch<std::int32_t>::map(
      [](std::int32_t word) {
        std::uint32_t squares = 0;
        for (int shift = 0; shift < 32; shift += 8) {
          const std::int32_t byte = static_cast<std::int8_t>(word >> shift);
          squares |= static_cast<std::uint32_t>((byte * byte + 64) >> 7) << shift;
        }
        return static_cast<std::int32_t>(squares);
      },
      words);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
