// Random inputs: zeros would let the processor run cooler and faster than real data does.
#pragma once

#include <cstddef>
#include <cstdint>

#include <lumina/fast_rng.hpp>
#include <lumina/matrix.hpp>

namespace bench {

/// Uniform in [lo, hi).
inline lumina::Matrix<float> random_matrix(std::size_t rows, std::size_t cols, float lo, float hi,
                                           std::uint64_t seed) {
  lumina::Matrix<float> matrix(rows, cols);
  lumina::FastRng rng(seed);
  for (std::size_t i = 0; i < rows * cols; ++i) matrix.data()[i] = lo + (hi - lo) * rng.uniform();
  return matrix;
}

}  // namespace bench
