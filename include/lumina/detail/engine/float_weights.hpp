// Weights of floats as a source of panels: packed ones as they lie, a matrix as it is multiplied
// best.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../weights.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../packing/float_panels.hpp"
#include "../packing/packed_panels.hpp"
#include "../packing/unpacked_weights.hpp"
#include "tasks.hpp"
#include "thresholds.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline PackedPanels<float, 1> panels_of(const PackedWeights& weights) {
  return {weights.panel(0), weights.panel_size()};
}

/// pack_weights, by the executor; false after an error.
template <class Executor>
bool pack_weights_by(const Executor& executor, MatrixView<const float> w, PackedWeights& packed) {
  float* const panels = reshape(packed, w.rows(), w.cols());
  if (packed.rows() != w.rows()) return false;
  run_tasks(executor, w.rows() * w.cols() >= Thresholds::packing_worth_threads,
            panel_count(w.rows()), [&](std::size_t panel) {
              const std::size_t first = panel * kPanelColumns;
              const std::size_t count = std::min(kPanelColumns, w.rows() - first);
              pack_panel({w.row(first), count, w.cols(), w.row_stride()},
                         panels + panel * packed.panel_size());
            });
  return true;
}

/// f(panels, the columns of y that they make), whole column blocks, for all of w in a product with
/// `rows` rows; whether all were true. Weights are packed on the way or, for many rows, before:
/// some column blocks at a time, so that they are near when they are multiplied, and each thread
/// has some.
template <class Executor, class F>
bool with_panels(MatrixView<const float> w, std::size_t rows, const Executor& executor, F f) {
  if constexpr (!BringsWorkspace<Executor>) {
    if (rows > Thresholds::max_unpacked_chunks * Native::blocks.max_chunk_rows()) {
      const std::size_t block_bytes = kBlockColumns * w.cols() * sizeof(float) + 1;
      const std::size_t chunks = ceil_div(rows, Native::blocks.max_chunk_rows());
      const std::size_t at_once = std::max<std::size_t>(Thresholds::near_bytes / block_bytes,
                                                        ceil_div(threads_of(executor), chunks));
      const std::size_t blocks = ceil_div(w.rows(), kBlockColumns);
      const std::size_t groups = ceil_div(blocks, std::max<std::size_t>(1, at_once));
      PackedWeights packed;
      for (std::size_t group = 0; group < groups; ++group) {
        const Range own = split_evenly(blocks, groups, group);
        const std::size_t first = own.begin * kBlockColumns;
        const std::size_t count = std::min(own.size * kBlockColumns, w.rows() - first);
        if (!pack_weights_by(executor, {w.row(first), count, w.cols(), w.row_stride()}, packed) ||
            !f(panels_of(packed), Range{first, count})) {
          return false;
        }
      }
      return true;
    }
  }
  return f(UnpackedWeights(w), Range{0, w.rows()});
}
/// f(the panels, all columns).
template <class Executor, class F>
bool with_panels(const PackedWeights& weights, std::size_t, const Executor&, F f) {
  return f(panels_of(weights), Range{0, weights.rows()});
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
