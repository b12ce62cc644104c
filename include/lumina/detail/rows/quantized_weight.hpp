// Rows of weights, each quantized at a scale of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/largest_magnitude.hpp"
#include "../simd/vectors.hpp"
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
      quantize(w_.row(rows.begin + row) + inputs.begin, inputs.size, facts.scale_of_row[row],
               to + row * stride);
    }
  }

 private:
  float scale_of(std::size_t row) const {
    if (scales_ != nullptr) return scales_[row];
    return weight_scale(largest_magnitude_bits<Native::Batch<float>>(w_.row(row), w_.cols()),
                        max_code_);
  }

  /// `count` weights, and zeros behind them up to a whole vector.
  void quantize(const float* weights, std::size_t count, float scale, float* to) const {
    using Floats = Native::Batch<float>;
    const Floats step(scale), top(static_cast<float>(max_code_));
    // Of a caller's scale a level may lie beyond float.
    const Floats largest(std::numeric_limits<float>::max());
    if (scale == 0.0f) {
      std::fill_n(to, count, 0.0f);
      return;
    }
    for (std::size_t i = 0; i < count; i += Floats::size) {
      const Floats values = i + Floats::size <= count ? Floats::load_unaligned(weights + i)
                                                      : load_first<Floats>(weights + i, count - i);
      const Floats levels = product(symmetric_code(values, step, top), step);
      clamp_keeping_nan(levels, -largest, largest).store_aligned(to + i);
    }
  }

  MatrixView<const float> w_;
  std::int32_t max_code_;
  const float* scales_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
