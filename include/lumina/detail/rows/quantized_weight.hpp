// Rows of weights, each quantized at a scale of its own.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/largest_magnitude.hpp"
#include "levels.hpp"
#include "row_source.hpp"
#include "weight_scale.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of w, each quantized at a scale of its own; one whose scale is 0 becomes one of zeros.
class QuantizedWeightRows : public FloatRows {
 public:
  /// `scales`: one for each row; nullptr: those for the largest magnitude in the row.
  QuantizedWeightRows(MatrixView<const float> w, std::int32_t max_code, const float* scales)
      : w_(w), max_code_(max_code), scales_(scales) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t depth() const { return w_.cols(); }

  /// The scales of a panel's rows, which take a look at all of their inputs.
  struct Facts {
    float scale_of_row[kPanelColumns];
  };
  Facts facts(const Range& rows) const {
    Facts result;
    for (std::size_t row = 0; row < rows.size; ++row) {
      result.scale_of_row[row] = scale_of(rows.begin + row);
    }
    return result;
  }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    read(rows, inputs, to, stride, facts(rows));
  }
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride,
            const Facts& facts) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float scale = facts.scale_of_row[row];
      SymmetricLevels(scale, max_code_, scale)
          .quantize(w_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
  }

 private:
  float scale_of(std::size_t row) const {
    if (scales_ != nullptr) return scales_[row];
    return weight_scale(largest_magnitude_bits<Native::Batch<float>>(w_.row(row), w_.cols()),
                        max_code_);
  }

  MatrixView<const float> w_;
  std::int32_t max_code_;
  const float* scales_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
