// Weights that nobody has packed: tasks pack them as they go, piece by piece, and multiply each
// piece at once, so that packed weights never lie anywhere but in the first-level cache.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "float_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// w [out, in] as the caller has it.
class UnpackedWeights {
 public:
  /// A task's own memory for a piece.
  struct Workspace {
    alignas(kCacheLine) float panels[Native::unpacked_part_floats];
  };

  explicit UnpackedWeights(MatrixView<const float> w) : w_(w) {}

  std::size_t rows() const { return w_.rows(); }  ///< outputs
  std::size_t cols() const { return w_.cols(); }  ///< inputs
  /// Floats in a panel, were there one.
  std::size_t panel_size() const { return cols() * kPanelColumns; }

  /// The most inputs of a piece with so many outputs (128 at most): some cache lines.
  static constexpr std::size_t piece_inputs(std::size_t outputs) {
    constexpr std::size_t kLine = kCacheLine / sizeof(float);
    return sizeof(Workspace::panels) / sizeof(float) / round_up(outputs, kPanelColumns) / kLine *
           kLine;
  }

  const float* inputs(std::size_t output, std::size_t first) const {
    return w_.row(output) + first;
  }
  std::size_t row_stride() const { return w_.row_stride(); }

  /// Packs these inputs of these outputs, or of those that exist: panels of inputs.size × 32
  /// floats.
  void pack(const Range& outputs, const Range& inputs, Workspace& workspace) const {
    float* to = workspace.panels;
    for (std::size_t first = outputs.begin; first < outputs.end(); first += kPanelColumns) {
      const std::size_t count = std::min(kPanelColumns, w_.rows() - first);
      pack_panel({w_.row(first) + inputs.begin, count, inputs.size, w_.row_stride()}, to);
      to += inputs.size * kPanelColumns;
    }
  }

 private:
  MatrixView<const float> w_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
