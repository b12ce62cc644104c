// Cutting lengths into pieces, and putting them together.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <limits>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What no memory has elements for; something small may be added to it.
inline constexpr std::size_t kTooMany = std::numeric_limits<std::size_t>::max() / 2;

/// The product of lengths, or kTooMany where it is at least that.
template <std::same_as<std::size_t>... Lengths>
constexpr std::size_t size_product(std::size_t length, Lengths... others) {
  bool overflows = false;
  ((overflows |= __builtin_mul_overflow(length, others, &length)), ...);
  const bool empty = ((others == 0) || ... || (length == 0 && !overflows));
  return empty ? 0 : overflows || length > kTooMany ? kTooMany : length;
}

struct Range {
  std::size_t begin, size;
  constexpr std::size_t end() const { return begin + size; }
};

/// `length` cut into `parts` pieces whose lengths differ by one at most: piece number `index`.
constexpr Range split_evenly(std::size_t length, std::size_t parts, std::size_t index) {
  const std::size_t shorter = length / parts;
  const std::size_t longer_ones = length % parts;
  return {index * shorter + std::min(index, longer_ones), shorter + (index < longer_ones ? 1 : 0)};
}

/// The same in pairs: all pieces but the last one have even sizes, which is where compilers make
/// the best tiles. `parts` is at most half of length, or 1.
constexpr Range split_into_even_sizes(std::size_t length, std::size_t parts, std::size_t index) {
  const Range pairs = split_evenly(length / 2 + length % 2, parts, index);
  return {2 * pairs.begin, std::min(2 * pairs.size, length - 2 * pairs.begin)};
}

constexpr std::size_t ceil_div(std::size_t a, std::size_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}
constexpr std::size_t round_up(std::size_t a, std::size_t multiple) {
  return ceil_div(a, multiple) * multiple;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
