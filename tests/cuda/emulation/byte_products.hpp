// Products of matrices of bytes, depth 32: most of an emulation's time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace emulated {

/// 32 bytes of a row or column, widened.
struct Bytes32 {
  std::int16_t k[32];

  /// Four of them, from k = 4·word on.
  void set_unsigned(std::size_t word, std::uint32_t bytes) {
    for (std::size_t i = 0; i < 4; ++i) k[4 * word + i] = static_cast<std::uint8_t>(bytes >> 8 * i);
  }
  void set_signed(std::size_t word, std::uint32_t bytes) {
    for (std::size_t i = 0; i < 4; ++i) k[4 * word + i] = static_cast<std::int8_t>(bytes >> 8 * i);
  }
};

/// sums[row][column], n_b of them a row.
#if defined(__GNUC__) && !defined(__clang__)
[[gnu::optimize("O3")]]
#endif
[[gnu::noinline]] inline void
multiply_bytes(const Bytes32* a, std::size_t n_a, const Bytes32* b, std::size_t n_b, int* sums) {
  for (std::size_t row = 0; row < n_a; ++row) {
    for (std::size_t column = 0; column < n_b; ++column) {
      int sum = 0;
      for (int k = 0; k < 32; ++k) sum += a[row].k[k] * b[column].k[k];
      sums[row * n_b + column] = sum;
    }
  }
}

}  // namespace emulated
