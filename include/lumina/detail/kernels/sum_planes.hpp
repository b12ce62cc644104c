// Sums beside the dot product that kernels make of the same weights: a set of them is a bit mask.
// The planes of a row of inputs lie side by side as neighbouring rows, the dot product's first.
#pragma once

#include <bit>
#include <cstddef>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr unsigned kMagnitudes = 1;     ///< Σ |w|·|x|
inline constexpr unsigned kSquaredInputs = 2;  ///< Σ |w|·x²
inline constexpr unsigned kSquares = 4;        ///< Σ w²·x²

/// How many sums a set makes, with the dot product.
constexpr std::size_t plane_count(unsigned set) {
  return 1 + static_cast<std::size_t>(std::popcount(set));
}
/// Which of them one of the set is.
constexpr std::size_t plane_of(unsigned set, unsigned sum) { return plane_count(set & (sum - 1)); }

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
