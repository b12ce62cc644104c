// Comparing floats bit for bit: −0 differs from +0, but one NaN is as good as another. And codes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>

#include <lumina/matrix.hpp>

namespace test {

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr float kLargest = std::numeric_limits<float>::max();
inline constexpr float kSmallestNormal = std::numeric_limits<float>::min();
inline constexpr float kDenormal = std::numeric_limits<float>::denorm_min();

inline std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }
inline float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }

inline bool same_bits(float a, float b) { return bits_of(a) == bits_of(b) || (a != a && b != b); }
template <class Code>
requires std::is_integral_v<Code>
bool same_bits(Code a, Code b) { return a == b; }

/// "" where all elements are the same, else the first difference: one assertion for many numbers.
inline std::string difference(std::span<const float> actual, std::span<const float> expected) {
  std::ostringstream text;
  text.precision(9);
  if (actual.size() != expected.size()) {
    text << actual.size() << " elements instead of " << expected.size();
    return text.str();
  }
  for (std::size_t i = 0; i < actual.size(); ++i) {
    if (same_bits(actual[i], expected[i])) continue;
    text << "[" << i << "] is " << actual[i] << " instead of " << expected[i];
    return text.str();
  }
  return "";
}

template <class T>
std::string difference_of_matrices(lumina::MatrixView<const T> actual,
                                   lumina::MatrixView<const T> expected) {
  std::ostringstream text;
  text.precision(9);
  for (std::size_t row = 0; row < expected.rows(); ++row) {
    for (std::size_t col = 0; col < expected.cols(); ++col) {
      if (same_bits(actual(row, col), expected(row, col))) continue;
      text << "(" << row << ", " << col << ") is " << +actual(row, col) << " instead of "
           << +expected(row, col);
      return text.str();
    }
  }
  return "";
}

inline std::string difference(lumina::MatrixView<const float> actual,
                              lumina::MatrixView<const float> expected) {
  return difference_of_matrices(actual, expected);
}
inline std::string difference(lumina::MatrixView<const std::int8_t> actual,
                              lumina::MatrixView<const std::int8_t> expected) {
  return difference_of_matrices(actual, expected);
}
inline std::string difference(lumina::MatrixView<const std::uint8_t> actual,
                              lumina::MatrixView<const std::uint8_t> expected) {
  return difference_of_matrices(actual, expected);
}
inline std::string difference(lumina::MatrixView<const std::uint16_t> actual,
                              lumina::MatrixView<const std::uint16_t> expected) {
  return difference_of_matrices(actual, expected);
}

}  // namespace test
