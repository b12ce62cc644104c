// A fuzzer's bytes as numbers. Where the bytes end, zeros follow: any byte string is a whole
// problem, and one cut short is still nearly the same.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "support/same_bits.hpp"

namespace fuzz {

class Input {
 public:
  /// Floats where something changes.
  static constexpr std::array kEdges{
      0.0f,
      1.0f,
      -0.0f,
      -1.0f,
      0.5f,
      -0.5f,
      test::kInf,
      -test::kInf,
      test::kNaN,
      test::kLargest,
      -test::kLargest,
      test::kLargest / 2,
      -test::kLargest / 2,
      test::kSmallestNormal,
      -test::kSmallestNormal,
      test::kDenormal,
      -test::kDenormal,
      1e-30f,
      1e30f,
      -1e30f,
      3.0f,
      255.0f,
      65535.0f,
      0x1p-125f,
      0x1p125f,
  };

  Input(const std::uint8_t* data, std::size_t size) : left_(data, size) {}

  bool empty() const { return left_.empty(); }

  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const std::uint8_t first = left_.front();
    left_ = left_.subspan(1);
    return first;
  }
  bool flag() { return (byte() & 1) != 0; }
  /// True once in `times`; bytes of 0 say no.
  bool rarely(unsigned times) { return byte() % times == times - 1; }

  /// lo … hi, which may be 65536 apart.
  std::size_t integer(std::size_t lo, std::size_t hi) {
    std::size_t value = byte();
    if (hi - lo > 255) value = value << 8 | byte();
    return lo + value % (hi - lo + 1);
  }
  std::uint32_t word() {
    std::uint32_t value = 0;
    for (int i = 0; i < 4; ++i) value = value << 8 | byte();
    return value;
  }

  template <class T, std::size_t N>
  T one_of(const std::array<T, N>& values) {
    return values[byte() % N];
  }

  /// Any bit pattern, or one of kEdges.
  float any_float() {
    const std::uint8_t kind = byte();
    return kind < 0x80 ? kEdges[kind % kEdges.size()] : std::bit_cast<float>(word());
  }
  /// Finite, of a size that layers have; exact, so that ties are frequent.
  float plain_float() {
    const auto numerator = static_cast<float>(static_cast<std::int8_t>(byte()));
    return numerator * 0x1p-5f;
  }

 private:
  std::span<const std::uint8_t> left_;
};

}  // namespace fuzz
