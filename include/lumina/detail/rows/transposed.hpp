// The columns of a matrix as rows.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../simd/largest_magnitude.hpp"
#include "../simd/transpose.hpp"
#include "../simd/vectors.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The columns of a matrix as rows: those of its transpose, of which no other copy is made.
class TransposedRows : public FloatRows {
 public:
  explicit TransposedRows(MatrixView<const float> matrix) : matrix_(matrix) {}

  std::size_t rows() const { return matrix_.cols(); }
  std::size_t depth() const { return matrix_.rows(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    constexpr std::size_t kSide = 4;
    const std::size_t whole = inputs.size / kSide * kSide;
    for (std::size_t i = 0; i < whole; i += kSide) {
      const float* const from = matrix_.row(inputs.begin + i) + rows.begin;
      std::size_t row = 0;
      for (; row + kSide <= rows.size; row += kSide) {
        const auto turned = transposed_4x4<Native::Quad>(from + row, matrix_.row_stride());
        for (std::size_t j = 0; j < kSide; ++j) {
          turned[j].store_aligned(to + (row + j) * stride + i);
        }
      }
      for (; row < rows.size; ++row)
        copy(rows.begin + row, inputs.begin + i, kSide, to + row * stride + i);
    }
    for (std::size_t row = 0; row < rows.size; ++row) {
      copy(rows.begin + row, inputs.begin + whole, inputs.size - whole, to + row * stride + whole);
    }
  }

  /// Of each of these rows; NaN where one of its elements is, or infinite.
  void largest_magnitudes(const Range& rows, float* to) const {
    largest_magnitudes(rows, to, [](const auto& values, std::size_t) { return values; });
  }
  /// The same of f(elements of some rows, which input of theirs they are).
  template <class F>
  void largest_magnitudes(const Range& rows, float* to, const F& f) const {
    using Floats = Native::Batch<float>;
    for (std::size_t row = 0; row < rows.size; row += Floats::size) {
      const std::size_t count = std::min(Floats::size, rows.size - row);
      const bool whole = rows.begin + row + Floats::size <= matrix_.cols();
      LargestMagnitude<Floats> largest;
      for (std::size_t i = 0; i < depth(); ++i) {
        const float* const from = matrix_.row(i) + rows.begin + row;
        largest.add(f(whole ? Floats::load_unaligned(from) : load_first<Floats>(from, count), i));
      }
      alignas(kCacheLine) float lanes[Floats::size];
      largest.lanes().store_aligned(lanes);
      std::copy_n(lanes, count, to + row);
    }
  }

 private:
  void copy(std::size_t column, std::size_t first, std::size_t count, float* to) const {
    for (std::size_t i = 0; i < count; ++i) to[i] = matrix_(first + i, column);
  }

  MatrixView<const float> matrix_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
