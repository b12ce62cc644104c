// Panels: how weights lie in memory. 32 output columns side by side, input after input:
// panel[k][column]; the last panel is filled up with zeros. The same on every instruction set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "../config.hpp"
#include "../matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kPanelColumns = 32;

constexpr std::size_t panel_count(std::size_t outputs) {
  return outputs / kPanelColumns + (outputs % kPanelColumns != 0 ? 1 : 0);
}

/// Output rows [first, first + count) of w, count ≤ 32, to one panel of w.cols() × 32 floats.
inline void pack_panel(MatrixView<const float> w, std::size_t first, std::size_t count,
                       float* panel) {
  // A block goes through a small copy, because rows of w whose distance is a multiple of 4 KiB
  // would push each other out of the cache while it is turned.
  constexpr std::size_t kDepth = 16;
  alignas(kCacheLine) float block[kPanelColumns][kDepth] = {};
  for (std::size_t k0 = 0; k0 < w.cols(); k0 += kDepth) {
    const std::size_t depth = std::min(kDepth, w.cols() - k0);
    for (std::size_t column = 0; column < count; ++column) {
      std::memcpy(block[column], &w(first + column, k0), depth * sizeof(float));
    }
    for (std::size_t k = 0; k < depth; ++k) {
      for (std::size_t column = 0; column < kPanelColumns; ++column) {
        panel[(k0 + k) * kPanelColumns + column] = block[column][k];
      }
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
