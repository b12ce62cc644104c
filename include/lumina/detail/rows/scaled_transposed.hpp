// The columns of a matrix as rows, times a factor for each row of the matrix.
#pragma once

#include <cstddef>
#include <span>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../simd/vectors.hpp"
#include "row_source.hpp"
#include "transposed.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The columns of a matrix [depth, rows] as rows, input i times factors[i]; each product is
/// rounded.
class ScaledTransposedRows : public FloatRows {
 public:
  ScaledTransposedRows(MatrixView<const float> matrix, std::span<const float> factors)
      : columns_(matrix), factors_(factors) {}

  std::size_t rows() const { return columns_.rows(); }
  std::size_t depth() const { return columns_.depth(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    columns_.read(rows, inputs, to, stride);
    const float* const factors = factors_.data() + inputs.begin;
    for (std::size_t row = 0; row < rows.size; ++row, to += stride) {
      std::size_t i = 0;
      for (; i + Floats::size <= inputs.size; i += Floats::size) {
        product(Floats::load_aligned(to + i), Floats::load_unaligned(factors + i))
            .store_aligned(to + i);
      }
      for (; i < inputs.size; ++i) to[i] = product(to[i], factors[i]);
    }
  }

  /// Of each of these rows; NaN where one of its elements is, or infinite.
  void largest_magnitudes(const Range& rows, float* to) const {
    columns_.largest_magnitudes(rows, to, [this](const Floats& values, std::size_t input) {
      return product(values, Floats(factors_[input]));
    });
  }

 private:
  using Floats = Native::Batch<float>;

  TransposedRows columns_;
  std::span<const float> factors_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
