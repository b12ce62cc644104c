// How large the elements of a matrix are.
#pragma once

#include <lumina/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace example {

/// For each share, 0 … 1, the magnitude that this share of the elements does not exceed; 1: the
/// largest.
inline std::vector<float> magnitude_quantiles(const lumina::Matrix<float>& m,
                                              std::span<const double> shares) {
  std::vector<float> magnitudes;
  for (const float v : m.elements()) magnitudes.push_back(std::fabs(v));
  std::vector<float> quantiles;
  for (const double share : shares) {
    const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(magnitudes.size() - 1));
    std::nth_element(magnitudes.begin(), magnitudes.begin() + at, magnitudes.end());
    quantiles.push_back(magnitudes[static_cast<std::size_t>(at)]);
  }
  return quantiles;
}

inline float magnitude_quantile(const lumina::Matrix<float>& m, double share) {
  return magnitude_quantiles(m, {&share, 1})[0];
}

}  // namespace example
