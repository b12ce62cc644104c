// Panels: how weights lie in memory. 32 output columns side by side, input after input:
// panel[k][column]; the last panel is filled up with zeros. The same on every instruction set.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../config.hpp"
#include "../matrix.hpp"
#include "arch/native.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kPanelColumns = 32;

constexpr std::size_t panel_count(std::size_t outputs) {
  return outputs / kPanelColumns + (outputs % kPanelColumns != 0 ? 1 : 0);
}

/// Four rows of w at four neighbouring inputs, turned: to[k][column].
inline void transpose_4x4(const float* from, std::size_t from_stride, float* to,
                          std::size_t to_stride) {
  using Quad = Native::Quad;
  const Quad a = Quad::load_unaligned(from);
  const Quad b = Quad::load_unaligned(from + from_stride);
  const Quad c = Quad::load_unaligned(from + 2 * from_stride);
  const Quad d = Quad::load_unaligned(from + 3 * from_stride);
  const Quad ac_lo = zip_lo(a, c), ac_hi = zip_hi(a, c);
  const Quad bd_lo = zip_lo(b, d), bd_hi = zip_hi(b, d);
  zip_lo(ac_lo, bd_lo).store_aligned(to);
  zip_hi(ac_lo, bd_lo).store_aligned(to + to_stride);
  zip_lo(ac_hi, bd_hi).store_aligned(to + 2 * to_stride);
  zip_hi(ac_hi, bd_hi).store_aligned(to + 3 * to_stride);
}

/// Output rows [first, first + count) of w, count ≤ 32, to one panel of w.cols() × 32 floats.
inline void pack_panel(MatrixView<const float> w, std::size_t first, std::size_t count,
                       float* panel) {
  // Four rows at a time, each for the length of a cache line: rows whose distance is a multiple of
  // 4 KiB push each other out of the first-level cache.
  constexpr std::size_t kLine = kCacheLine / sizeof(float);
  for (std::size_t line = 0; line < w.cols(); line += kLine) {
    const std::size_t line_end = std::min(line + kLine, w.cols());
    for (std::size_t column = 0; column < kPanelColumns; column += 4) {
      std::size_t k = line;
      if (column + 4 <= count) {
        for (; k + 4 <= line_end; k += 4) {
          transpose_4x4(&w(first + column, k), w.row_stride(), panel + k * kPanelColumns + column,
                        kPanelColumns);
        }
      }
      for (; k < line_end; ++k) {
        for (std::size_t c = column; c < column + 4; ++c) {
          panel[k * kPanelColumns + c] = c < count ? w(first + c, k) : 0.0f;
        }
      }
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
