// What is wrong with weights that are encoded: the first mistake is reported.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../transposed.hpp"
#include "../base/message.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/largest_magnitude.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What is wrong with w and its like.
template <class Weights>
Message encoding_error(const Weights& w) {
  return Message() << "lumina::encode_weights: w is " << Shape{w.rows(), w.cols()};
}

/// Reports missing data.
template <class Weights>
bool weights_there(const Weights& w) {
  if (w.data() != nullptr || w.rows() == 0 || w.cols() == 0) return true;
  report_error((encoding_error(w) << ", its data is missing").c_str());
  return false;
}

/// The largest magnitude of a row of w, as bits, or of some of its inputs. Reports the first weight
/// that is not a finite number; the result is kNotFinite then.
inline constexpr std::uint32_t kNotFinite = 0xffffffffu;
inline constexpr auto kInfiniteBits =
    std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
template <class Weights>
void report_not_finite(const Weights& w, std::size_t row, const Range& inputs) {
  std::size_t col = inputs.begin;
  while (col + 1 < inputs.end() && std::abs(w(row, col)) <= std::numeric_limits<float>::max()) {
    ++col;
  }
  report_error(
      (encoding_error(w) << "; w(" << row << ", " << col << ") is infinite or NaN").c_str());
}
inline std::uint32_t checked_magnitude_bits(MatrixView<const float> w, std::size_t row,
                                            const Range& inputs) {
  const std::uint32_t largest =
      largest_magnitude_bits<Native::Batch<float>>(w.row(row) + inputs.begin, inputs.size);
  if (largest < kInfiniteBits) return largest;
  report_not_finite(w, row, inputs);
  return kNotFinite;
}
inline std::uint32_t checked_magnitude_bits(MatrixView<const float> w, std::size_t row) {
  return checked_magnitude_bits(w, row, {0, w.cols()});
}

/// f(output, the largest magnitude of its weights from these inputs, as bits) for one output after
/// the other, until a weight is not finite, which is reported; the result is false then.
template <class F>
bool for_each_magnitude(MatrixView<const float> w, const Range& inputs, F f) {
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const std::uint32_t largest = checked_magnitude_bits(w, row, inputs);
    if (largest == kNotFinite) return false;
    f(row, largest);
  }
  return true;
}
template <class F>
bool for_each_magnitude(const TransposedView& w, const Range& inputs, F f) {
  for (std::size_t first = 0; first < w.rows(); first += kPanelColumns) {
    const std::size_t count = std::min(kPanelColumns, w.rows() - first);
    std::uint32_t largest[kPanelColumns] = {};
    for (std::size_t input = inputs.begin; input < inputs.end(); ++input) {
      const float* const from = w.matrix().row(input) + first;
      for (std::size_t i = 0; i < count; ++i) {
        largest[i] = std::max(largest[i], std::bit_cast<std::uint32_t>(from[i]) & 0x7fffffffu);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      if (largest[i] >= kInfiniteBits) {
        report_not_finite(w, first + i, inputs);
        return false;
      }
      f(first + i, largest[i]);
    }
  }
  return true;
}

/// Reports a number of scales other than w.rows(), and a scale that is not positive and finite.
template <class Weights>
bool weight_scales_valid(const Weights& w, std::span<const float> scales) {
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
