// Weights of floats as a source of panels: packed ones as they lie, a matrix as it is multiplied
// best.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../weights.hpp"
#include "../isa/native.hpp"
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

/// pack_weights, by the executor.
template <class Executor>
PackedWeights pack_weights_by(const Executor& executor, MatrixView<const float> w) {
  PackedWeights packed;
  float* const panels = reshape(packed, w.rows(), w.cols());
  if (panels == nullptr) return packed;
  run_tasks(executor, w.rows() * w.cols() >= Thresholds::packing_worth_threads,
            panel_count(w.rows()), [&](std::size_t panel) {
              const std::size_t first = panel * kPanelColumns;
              const std::size_t count = std::min(kPanelColumns, w.rows() - first);
              pack_panel({w.row(first), count, w.cols(), w.row_stride()},
                         panels + panel * packed.panel_size());
            });
  return packed;
}

/// f(the panels of w for a product with `rows` rows): packed on the way or, for many rows, before.
template <class Executor, class F>
bool with_panels(MatrixView<const float> w, std::size_t rows, const Executor& executor, F f) {
  if constexpr (!BringsWorkspace<Executor>) {
    if (rows > Thresholds::max_unpacked_chunks * Native::blocks.max_chunk_rows()) {
      const PackedWeights packed = pack_weights_by(executor, w);
      return f(panels_of(packed));
    }
  }
  return f(UnpackedWeights(w));
}
/// f(the panels).
template <class Executor, class F>
bool with_panels(const PackedWeights& weights, std::size_t, const Executor&, F f) {
  return f(panels_of(weights));
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
