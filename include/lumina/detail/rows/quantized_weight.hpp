// Rows of weights, each quantized at a scale of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

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

/// Rows of weights, each quantized with a scale for the largest magnitude in that row of `w`; a row
/// of zeros becomes one of zeros.
template <RowSource Rows>
class QuantizedWeightRows : public FloatRows {
 public:
  static constexpr std::size_t row_multiple = Rows::row_multiple;

  QuantizedWeightRows(MatrixView<const float> w, const Rows& rows, std::int32_t max_code)
      : w_(w), rows_(rows), max_code_(max_code) {}

  std::size_t rows() const { return rows_.rows(); }
  std::size_t depth() const { return rows_.depth(); }

  /// The scales of a panel's rows, which take a look at all of their inputs.
  struct Facts {
    float scale_of_row[kPanelColumns];
  };
  Facts facts(const Range& rows) const {
    Facts result;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float* const first = w_.row(rows.begin + row);
      result.scale_of_row[row] =
          weight_scale(largest_magnitude_bits<Native::Batch<float>>(first, w_.cols()), max_code_);
    }
    return result;
  }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    read(rows, inputs, to, stride, facts(rows));
  }
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride,
            const Facts& facts) const {
    rows_.read(rows, inputs, to, stride);
    for (std::size_t row = 0; row < rows.size; ++row) {
      quantize(to + row * stride, inputs.size, facts.scale_of_row[row]);
    }
  }

 private:
  /// `count` weights, and what lies behind them up to a whole vector.
  void quantize(float* weights, std::size_t count, float scale) const {
    using Floats = Native::Batch<float>;
    const Floats step(scale), top(static_cast<float>(max_code_));
    if (scale == 0.0f) {
      std::fill_n(weights, count, 0.0f);
      return;
    }
    for (std::size_t i = 0; i < count; i += Floats::size) {
      const Floats values = i + Floats::size <= count ? Floats::load_aligned(weights + i)
                                                      : load_first<Floats>(weights + i, count - i);
      product(symmetric_code(values, step, top), step).store_aligned(weights + i);
    }
  }

  MatrixView<const float> w_;
  Rows rows_;
  std::int32_t max_code_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
