// Sums of floats and of their squares, in an order that no instruction set changes.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Σ v and Σ v² of many floats, and how many. The squares are exact in double, so it does not
/// matter whether a compiler contracts them with the sums.
struct Moments {
  double sum = 0.0, squares = 0.0;
  std::uint64_t count = 0;

  /// Another row: eight chains over ascending k, added to each other in ascending order.
  void add(const float* values, std::size_t size) {
    constexpr std::size_t kChains = 8;
    double sums[kChains] = {}, sums_of_squares[kChains] = {};
    std::size_t k = 0;
    const auto take = [&](std::size_t chain) {
      const auto value = static_cast<double>(values[k + chain]);
      sums[chain] += value;
      sums_of_squares[chain] += value * value;
    };
    for (; k + kChains <= size; k += kChains) {
      for (std::size_t chain = 0; chain < kChains; ++chain) take(chain);
    }
    for (std::size_t chain = 0; chain < size - k; ++chain) take(chain);
    for (std::size_t chain = 0; chain < kChains; ++chain) {
      sum += sums[chain];
      squares += sums_of_squares[chain];
    }
    count += size;
  }
  void add(MatrixView<const float> matrix) {
    for (std::size_t row = 0; row < matrix.rows(); ++row) add(matrix.row(row), matrix.cols());
  }

  /// √(Σ(v − mean)² / (n − 1)), the sample's; 0 of fewer than two values.
  double deviation() const {
    if (count < 2) return 0.0;
    const double of_mean = sum * sum / static_cast<double>(count);
    const double variance = (squares - of_mean) / static_cast<double>(count - 1);
    return variance > 0.0 ? std::sqrt(variance) : 0.0;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
