// CRC-32 (ISO 3309, IEEE 802.3: polynomial 0x04c11db7, reflected), as zlib's crc32() and Python's
// zlib.crc32: what tells that bytes have changed on their way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "../../config.hpp"
#include "little_endian.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// [i][byte]: what a byte adds to the sum when i bytes have come behind it.
inline constexpr auto kCrc32Tables = [] {
  std::array<std::array<std::uint32_t, 256>, 4> tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xedb88320u : 0u);
    tables[0][byte] = sum;
  }
  for (std::size_t i = 1; i < tables.size(); ++i) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[i - 1][byte];
      tables[i][byte] = before >> 8 ^ tables[0][before & 0xff];
    }
  }
  return tables;
}();

/// Four bytes at a time: their four tables are looked up side by side.
inline std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t sum = 0xffffffffu;
  std::size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    sum ^= load_u32(bytes.data() + i);
    sum = kCrc32Tables[3][sum & 0xff] ^ kCrc32Tables[2][sum >> 8 & 0xff] ^
          kCrc32Tables[1][sum >> 16 & 0xff] ^ kCrc32Tables[0][sum >> 24];
  }
  for (; i < bytes.size(); ++i) {
    sum = sum >> 8 ^ kCrc32Tables[0][(sum ^ static_cast<std::uint32_t>(bytes[i])) & 0xff];
  }
  return ~sum;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
