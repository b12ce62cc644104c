// Numbers in files: least significant byte first on every machine, at any address.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Numbers in memory have the bytes that they have in files.
inline constexpr bool kLittleEndian = std::endian::native == std::endian::little;

inline std::uint32_t load_u32(const std::byte* from) {
  if constexpr (kLittleEndian) {
    std::uint32_t value;
    std::memcpy(&value, from, sizeof(value));
    return value;
  } else {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<std::uint32_t>(from[i]);
    return value;
  }
}
inline std::uint64_t load_u64(const std::byte* from) {
  return load_u32(from) | std::uint64_t{load_u32(from + 4)} << 32;
}

inline void store_u32(std::uint32_t value, std::byte* to) {
  for (std::size_t i = 0; i < 4; ++i, value >>= 8) to[i] = static_cast<std::byte>(value & 0xff);
}
inline void store_u64(std::uint64_t value, std::byte* to) {
  store_u32(static_cast<std::uint32_t>(value), to);
  store_u32(static_cast<std::uint32_t>(value >> 32), to + 4);
}

/// `count` floats or 32-bit integers, from and to files.
template <class T>
void load_all(const std::byte* from, std::size_t count, T* to) {
  static_assert(sizeof(T) == 4);
  if (count == 0) return;
  if constexpr (kLittleEndian) {
    std::memcpy(to, from, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) to[i] = std::bit_cast<T>(load_u32(from + 4 * i));
  }
}
template <class T>
void store_all(const T* from, std::size_t count, std::byte* to) {
  static_assert(sizeof(T) == 4);
  if (count == 0) return;
  if constexpr (kLittleEndian) {
    std::memcpy(to, from, count * sizeof(T));
  } else {
    for (std::size_t i = 0; i < count; ++i) {
      store_u32(std::bit_cast<std::uint32_t>(from[i]), to + 4 * i);
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
