// Rows of floats that tasks make for themselves (PreparedOperands).
#pragma once

#include <algorithm>
#include <cstddef>

#include "../config.hpp"
#include "../matrix.hpp"
#include "../quantizer.hpp"
#include "arch/native.hpp"
#include "pack.hpp"
#include "pieces.hpp"
#include "simd.hpp"
#include "transpose.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of x behind a DAC.
template <class Arch>
class QuantizedRows {
 public:
  QuantizedRows(MatrixView<const float> x, const UniformQuantizer& dac) : x_(x), dac_(dac) {}

  std::size_t depth() const { return x_.cols(); }

  void prepare(const Piece& rows, const Piece& inputs, float* to, std::size_t stride) const {
    using Floats = typename Arch::template Batch<float>;
    const UniformQuantizer dac = dac_;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float* const from = x_.row(rows.begin + row) + inputs.begin;
      float* const own = to + row * stride;
      std::size_t i = 0;
      for (; i + Floats::size <= inputs.size; i += Floats::size) {
        dac.quantize_lanes(Floats::load_unaligned(from + i)).store_aligned(own + i);
      }
      if (i < inputs.size) {
        const Floats rest = load_first<Floats>(from + i, inputs.size - i);
        store_first(dac.quantize_lanes(rest), own + i, inputs.size - i);
      }
    }
  }

 private:
  MatrixView<const float> x_;
  UniformQuantizer dac_;
};

/// The columns of a matrix as rows: those of its transpose, of which no other copy is made.
class TransposedRows {
 public:
  explicit TransposedRows(MatrixView<const float> matrix) : matrix_(matrix) {}

  std::size_t depth() const { return matrix_.rows(); }

  void prepare(const Piece& rows, const Piece& inputs, float* to, std::size_t stride) const {
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

 private:
  void copy(std::size_t column, std::size_t first, std::size_t count, float* to) const {
    for (std::size_t i = 0; i < count; ++i) to[i] = matrix_(first + i, column);
  }

  MatrixView<const float> matrix_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
