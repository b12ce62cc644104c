// Rows of weights into panels of floats (layout/float_panels.hpp).
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/transpose.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Four inputs of Column::size outputs to four rows of a panel, which begin at `to`.
[[gnu::always_inline]] inline void pack_four_inputs(const float* from, std::size_t row_stride,
                                                    float* to) {
  const auto columns = Native::turned(from, row_stride);
  for (std::size_t k = 0; k < 4; ++k) columns[k].store_aligned(to + k * kPanelColumns);
}

/// Output rows w [count, inputs], count ≤ 32, to `inputs` rows of a panel.
inline void pack_panel(MatrixView<const float> w, float* panel) {
  // A vector of outputs at a time, each for the length of a few cache lines: more rows, whose
  // distance may be a multiple of 4 KiB, would push each other out of the first-level cache, and so
  // would longer ones the panel.
  constexpr std::size_t kPiece = 32;
  constexpr std::size_t kOutputs = Native::Column::size;
  for (std::size_t begin = 0; begin < w.cols(); begin += kPiece) {
    const std::size_t end = std::min(begin + kPiece, w.cols());
    for (std::size_t column = 0; column < kPanelColumns; column += kOutputs) {
      std::size_t k = begin;
      if (column + kOutputs <= w.rows()) {
        for (; k + 4 <= end; k += 4) {
          pack_four_inputs(&w(column, k), w.row_stride(), panel + k * kPanelColumns + column);
        }
      }
      const std::size_t there = std::min(column + kOutputs, w.rows());
      for (; k < end; ++k) {
        float* const to = panel + k * kPanelColumns;
        if (there < column + kOutputs) Native::Column(0.0f).store_aligned(to + column);
        for (std::size_t c = column; c < there; ++c) to[c] = w(c, k);
      }
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
