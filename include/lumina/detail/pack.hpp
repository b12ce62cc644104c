// Panels: how weights lie in memory. 32 output columns side by side, input after input:
// panel[k][column]; the last panel is filled up with zeros. The same on every instruction set.
#pragma once

#include <algorithm>
#include <array>
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

/// Four neighbouring elements of four rows, turned: result[k] has element k of each row.
template <class Quad, class T>
[[gnu::always_inline]] inline std::array<Quad, 4> transposed_4x4(const T* from,
                                                                 std::size_t row_stride) {
  const Quad a = Quad::load_unaligned(from);
  const Quad b = Quad::load_unaligned(from + row_stride);
  const Quad c = Quad::load_unaligned(from + 2 * row_stride);
  const Quad d = Quad::load_unaligned(from + 3 * row_stride);
  const Quad ac_lo = zip_lo(a, c), ac_hi = zip_hi(a, c);
  const Quad bd_lo = zip_lo(b, d), bd_hi = zip_hi(b, d);
  return {zip_lo(ac_lo, bd_lo), zip_hi(ac_lo, bd_lo), zip_lo(ac_hi, bd_hi), zip_hi(ac_hi, bd_hi)};
}

/// The same to memory, one aligned Quad in each row.
[[gnu::always_inline]] inline void transpose_4x4(const float* from, std::size_t from_stride,
                                                 float* to, std::size_t to_stride) {
  const auto turned = transposed_4x4<Native::Quad>(from, from_stride);
  for (std::size_t i = 0; i < 4; ++i) turned[i].store_aligned(to + i * to_stride);
}

/// Output rows w [count, inputs], count ≤ 32, to `inputs` rows of a panel.
inline void pack_panel(MatrixView<const float> w, float* panel) {
  // Four rows at a time, each for the length of a cache line: rows whose distance is a multiple of
  // 4 KiB push each other out of the first-level cache.
  constexpr std::size_t kLine = kCacheLine / sizeof(float);
  for (std::size_t line = 0; line < w.cols(); line += kLine) {
    const std::size_t line_end = std::min(line + kLine, w.cols());
    for (std::size_t column = 0; column < kPanelColumns; column += 4) {
      std::size_t k = line;
      if (column + 4 <= w.rows()) {
        for (; k + 4 <= line_end; k += 4) {
          transpose_4x4(&w(column, k), w.row_stride(), panel + k * kPanelColumns + column,
                        kPanelColumns);
        }
      }
      for (; k < line_end; ++k) {
        for (std::size_t c = column; c < column + 4; ++c) {
          panel[k * kPanelColumns + c] = c < w.rows() ? w(c, k) : 0.0f;
        }
      }
    }
  }
}

/// Weights as they are, for what packs them in blocks.
class PlainRows {
 public:
  explicit PlainRows(MatrixView<const float> w) : w_(w) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t cols() const { return w_.cols(); }

  /// f(block) with outputs [first, first + count): [count, inputs], one block after the other; all
  /// but the last one have a multiple of 128 inputs.
  template <class F>
  void for_each_block(std::size_t first, std::size_t count, F f) const {
    f(MatrixView<const float>(w_.row(first), count, w_.cols(), w_.row_stride()));
  }

 private:
  MatrixView<const float> w_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
