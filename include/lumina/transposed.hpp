// A matrix that lies as its transpose: [out, in] where memory has [in, out], row after row. What
// takes it (encode_weights, encode_tiles, analog_matmul) reads columns, and copies nothing.
//
//   lumina::analog_matmul(p, dac, lumina::transposed(v), codes, y, …)     y = p·v
#pragma once

#include <concepts>
#include <cstddef>

#include "config.hpp"
#include "detail/base/kept.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The transpose of a matrix. Made by transposed().
class TransposedView {
 public:
  explicit TransposedView(MatrixView<const float> matrix) : matrix_(matrix) {}

  std::size_t rows() const { return matrix_.cols(); }
  std::size_t cols() const { return matrix_.rows(); }
  float operator()(std::size_t row, std::size_t col) const { return matrix_(col, row); }
  const float* data() const { return matrix_.data(); }

  /// What lies in memory, [cols, rows].
  MatrixView<const float> matrix() const { return matrix_; }

 private:
  MatrixView<const float> matrix_;
};

/// The transpose of `matrix`, which must live as long as it is used.
template <class M>
requires(std::convertible_to<M, MatrixView<const float>>&& detail::stays<M>)  //
    TransposedView transposed(M&& matrix) {
  return TransposedView(matrix);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
