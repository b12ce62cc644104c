// Rows of a matrix times a factor for each column.
#pragma once

#include <cstddef>
#include <span>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../base/scalar_math.hpp"
#include "../simd/largest_magnitude.hpp"
#include "../simd/vectors.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of a matrix [rows, depth] times a factor for each column; each product is rounded.
template <class Arch>
class ScaledRows : public FloatRows {
 public:
  ScaledRows(MatrixView<const float> matrix, std::span<const float> factors)
      : matrix_(matrix), factors_(factors) {}

  std::size_t rows() const { return matrix_.rows(); }
  std::size_t depth() const { return matrix_.cols(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    using Floats = typename Arch::template Batch<float>;
    const float* const factors = factors_.data() + inputs.begin;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float* const from = matrix_.row(rows.begin + row) + inputs.begin;
      float* const own = to + row * stride;
      std::size_t i = 0;
      for (; i + Floats::size <= inputs.size; i += Floats::size) {
        product(Floats::load_unaligned(from + i), Floats::load_unaligned(factors + i))
            .store_aligned(own + i);
      }
      for (; i < inputs.size; ++i) own[i] = product(from[i], factors[i]);
    }
  }

  /// Of each of these rows; NaN where one of its elements is, or infinite.
  void largest_magnitudes(const Range& rows, float* to) const {
    using Floats = typename Arch::template Batch<float>;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float* const from = matrix_.row(rows.begin + row);
      LargestMagnitude<Floats> largest;
      std::size_t i = 0;
      for (; i + Floats::size <= depth(); i += Floats::size) {
        largest.add(
            product(Floats::load_unaligned(from + i), Floats::load_unaligned(&factors_[i])));
      }
      if (i < depth()) {
        largest.add(product(load_first<Floats>(from + i, depth() - i),
                            load_first<Floats>(&factors_[i], depth() - i)));
      }
      to[row] = largest.of_all_lanes();
    }
  }

 private:
  MatrixView<const float> matrix_;
  std::span<const float> factors_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
