// Weights that nobody has packed, as a source of panels: tasks pack them as they go, part by part,
// and multiply each part at once, so that packed weights never lie anywhere but in the first-level
// cache.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../kernels/unpacked_microkernel.hpp"
#include "../kernels/views.hpp"
#include "../layout/float_panels.hpp"
#include "float_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A source of panels (engine/concepts.hpp): w [out, in] as the caller has it.
class UnpackedWeights {
 public:
  using Word = float;
  /// A task's own memory for a part.
  struct Scratch {
    alignas(kCacheLine) float panels[Native::unpacked_part_floats];
  };

  explicit UnpackedWeights(MatrixView<const float> w) : w_(w) {}

  /// Bytes of a column block, were there one.
  std::size_t block_bytes() const { return w_.cols() * kBlockColumns * sizeof(float); }

  /// f(view, which of the inputs it has) with a column block's weights, `columns` of it: as many at
  /// a time as a tile for so many rows has, and as many inputs as the scratch holds. Few rows take
  /// most inputs of whole panels as they lie in w.
  template <class Kernel, class F>
  void for_each_part(std::size_t block, std::size_t columns, const Range& inputs, std::size_t rows,
                     Scratch& scratch, F&& f) const {
    const std::size_t at_once = std::max(kPanelColumns, Kernel::tile_columns(rows));
    for (std::size_t column = 0; column < columns; column += at_once) {
      const Range now{column, std::min(at_once, columns - column)};
      const std::size_t first = block * kBlockColumns + column;
      std::size_t done = 0;
      if constexpr (Native::unpacked_rows > 0) {
        if (rows <= Native::unpacked_rows && now.size % kPanelColumns == 0) {
          done = inputs.size / kUnpackedInputs * kUnpackedInputs;
          const UnpackedView view{w_.row(first) + inputs.begin, w_.row_stride(), now};
          if (done > 0) f(view, Range{0, done});
        }
      }
      const std::size_t most = part_inputs(now.size);
      while (done == 0 || done < inputs.size) {
        const Range part{done, std::min(most, inputs.size - done)};
        pack(first, now.size, {inputs.begin + done, part.size}, scratch);
        f(PanelView<float>{scratch.panels, part.size * kPanelColumns, now, false}, part);
        done += most;
      }
    }
  }

 private:
  /// The most inputs of a part with so many outputs (128 at most): some cache lines.
  static constexpr std::size_t part_inputs(std::size_t outputs) {
    constexpr std::size_t kLine = kCacheLine / sizeof(float);
    return Native::unpacked_part_floats / round_up(outputs, kPanelColumns) / kLine * kLine;
  }

  /// Panels of inputs.size × 32 floats of `count` outputs, or of those that exist.
  void pack(std::size_t first, std::size_t count, const Range& inputs, Scratch& scratch) const {
    float* to = scratch.panels;
    for (std::size_t output = first; output < first + count; output += kPanelColumns) {
      const std::size_t there = std::min(kPanelColumns, w_.rows() - output);
      pack_panel({w_.row(output) + inputs.begin, there, inputs.size, w_.row_stride()}, to);
      to += inputs.size * kPanelColumns;
    }
  }

  MatrixView<const float> w_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
