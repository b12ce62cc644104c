// Rows of a matrix, as they are.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../kernels/views.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

class MatrixRows : public FloatRows {
 public:
  explicit MatrixRows(MatrixView<const float> matrix) : matrix_(matrix) {}

  std::size_t rows() const { return matrix_.rows(); }
  std::size_t depth() const { return matrix_.cols(); }

  StridedRows<float> in_place(const Range& rows) const {
    return {matrix_.row(rows.begin), matrix_.row_stride(), rows.size, matrix_.cols()};
  }
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      std::copy_n(matrix_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
  }

 private:
  MatrixView<const float> matrix_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
