// What is wrong with weights that are encoded: the first mistake is reported.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/message.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../simd/largest_magnitude.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What is wrong with w and its like.
inline Message encoding_error(MatrixView<const float> w) {
  return Message() << "lumina::encode_weights: w is " << Shape{w.rows(), w.cols()};
}

/// Reports missing data.
inline bool weights_there(MatrixView<const float> w) {
  if (w.data() != nullptr || w.rows() == 0 || w.cols() == 0) return true;
  report_error((encoding_error(w) << ", its data is missing").c_str());
  return false;
}

/// The largest magnitude of a row of w, as bits, or of some of its inputs. Reports the first weight
/// that is not a finite number; the result is kNotFinite then.
inline constexpr std::uint32_t kNotFinite = 0xffffffffu;
inline std::uint32_t checked_magnitude_bits(MatrixView<const float> w, std::size_t row,
                                            const Range& inputs) {
  constexpr auto kInfinite = std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
  const std::uint32_t largest =
      largest_magnitude_bits<Native::Batch<float>>(w.row(row) + inputs.begin, inputs.size);
  if (largest < kInfinite) return largest;
  std::size_t col = inputs.begin;
  while (col + 1 < inputs.end() && std::abs(w(row, col)) <= std::numeric_limits<float>::max()) {
    ++col;
  }
  report_error(
      (encoding_error(w) << "; w(" << row << ", " << col << ") is infinite or NaN").c_str());
  return kNotFinite;
}
inline std::uint32_t checked_magnitude_bits(MatrixView<const float> w, std::size_t row) {
  return checked_magnitude_bits(w, row, {0, w.cols()});
}

/// Reports a number of scales other than w.rows(), and a scale that is not positive and finite.
inline bool weight_scales_valid(MatrixView<const float> w, std::span<const float> scales) {
  if (scales.size() != w.rows()) {
    report_error((encoding_error(w)
                  << ", there are " << scales.size() << " scales; w needs one for each row")
                     .c_str());
    return false;
  }
  for (std::size_t row = 0; row < w.rows(); ++row) {
    if (scales[row] > 0.0f && scales[row] <= std::numeric_limits<float>::max()) continue;
    report_error(
        (encoding_error(w) << "; scales[" << row << "] is not positive and finite").c_str());
    return false;
  }
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
