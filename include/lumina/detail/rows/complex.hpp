// Complex weights as rows of real ones.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of real weights [2·out, 2·in], for pairs w [out, 2·in]: (re, −im) … makes the real part,
/// (im, re) … the imaginary one.
class ComplexRows : public FloatRows {
 public:
  explicit ComplexRows(MatrixView<const float> pairs) : pairs_(pairs) {}

  std::size_t rows() const { return 2 * pairs_.rows(); }
  std::size_t depth() const { return pairs_.cols(); }

  /// `rows`: whole pairs of them.
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; row += 2) {
      const float* const from = pairs_.row((rows.begin + row) / 2) + inputs.begin;
      float* const real = to + row * stride;
      float* const imaginary = real + stride;
      for (std::size_t k = 0; k < inputs.size; k += 2) {
        real[k] = from[k];
        real[k + 1] = -from[k + 1];
        imaginary[k] = from[k + 1];
        imaginary[k + 1] = from[k];
      }
    }
  }

 private:
  MatrixView<const float> pairs_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
