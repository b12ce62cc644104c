// What is wrong with weights that photonic devices are programmed with.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/message.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Reports a result that is not [w.rows, `columns`], missing data, overlapping matrices and a
/// weight that is infinite or NaN.
inline bool photonic_weights_valid(const char* call, MatrixView<const float> w,
                                   MatrixView<float> result, std::size_t columns) {
  const auto refuse = [&](const Message& problem) {
    report_error((Message() << "lumina::" << call << ": w is " << Shape{w.rows(), w.cols()}
                            << ", the result is " << Shape{result.rows(), result.cols()}
                            << problem.c_str())
                     .c_str());
    return false;
  };
  if (result.rows() != w.rows() || result.cols() != columns) {
    return refuse(Message() << "; it must be " << Shape{w.rows(), columns});
  }
  if (w.rows() == 0 || w.cols() == 0) return true;
  if (w.data() == nullptr || result.data() == nullptr)
    return refuse(Message() << "; data is missing");
  if (overlap(w, result)) return refuse(Message() << "; they overlap");
  for (std::size_t row = 0; row < w.rows(); ++row) {
    for (std::size_t col = 0; col < w.cols(); ++col) {
      if (std::fabs(w(row, col)) <= std::numeric_limits<float>::max()) continue;
      return refuse(Message() << "; w(" << row << ", " << col << ") is infinite or NaN");
    }
  }
  return true;
}

/// max |w| of some rows.
inline double largest_weight(MatrixView<const float> w, std::size_t first, std::size_t rows) {
  float largest = 0.0f;
  for (std::size_t row = first; row < first + rows; ++row) {
    for (std::size_t col = 0; col < w.cols(); ++col) {
      largest = std::max(largest, std::fabs(w(row, col)));
    }
  }
  return static_cast<double>(largest);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
