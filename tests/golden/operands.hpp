// Operands of the golden layers, from the words of FastRng(seed), row after row; exact everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

#include <lumina/fast_rng.hpp>

namespace golden {

/// (word >> 40)·2^-23 − 1: a multiple of 2^-23 in [−1, 1).
inline float unit(std::uint64_t word) { return static_cast<float>(word >> 40) * 0x1p-23f - 1.0f; }

inline void fill_units(std::uint64_t seed, std::size_t rows, std::size_t cols, float* to) {
  lumina::FastRng rng(seed);
  for (std::size_t i = 0; i < rows * cols; ++i) to[i] = unit(rng());
}

/// The same, row r divided by 2^(r mod 4), so that outputs differ in their scales.
inline void fill_weights(std::uint64_t seed, std::size_t rows, std::size_t cols, float* to) {
  fill_units(seed, rows, cols, to);
  for (std::size_t row = 0; row < rows; ++row) {
    const float factor = 1.0f / static_cast<float>(1 << row % 4);
    for (std::size_t col = 0; col < cols; ++col) to[row * cols + col] *= factor;
  }
}

/// Codes of so many bits: the upper ones of each word.
inline void fill_codes(std::uint64_t seed, std::size_t count, int bits, std::uint8_t* to) {
  lumina::FastRng rng(seed);
  for (std::size_t i = 0; i < count; ++i) to[i] = static_cast<std::uint8_t>(rng() >> (64 - bits));
}

}  // namespace golden
