// What kernels see of a call: rows, panels, sums, and what may come near meanwhile. Plain pointers;
// a kernel knows neither where they come from nor who reads its sums.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows [rows, inputs], `stride` elements apart; a row that was made has zeros behind its end, to a
/// whole step of the kernel.
template <class Input>
struct StridedRows {
  const Input* first;
  std::size_t stride;
  std::size_t rows;
  std::size_t inputs;
};

/// Some columns of a column block, as panels.
template <class Word>
struct PanelView {
  const Word* first;
  std::size_t panel_size;  ///< words from one panel to the next
  Range columns;  ///< within the block, from a panel's first on; sums behind them do not matter
  bool in_call;   ///< of the whole call's panels: behind them lie the next ones
};

/// The same as they lie in w [out, in], which nobody has packed. All of the columns exist.
struct UnpackedView {
  const float* first;
  std::size_t stride;  ///< from one column of the product, a row of w, to the next
  Range columns;
};

/// Where the sums of a column block go, in rows `stride` apart.
template <class Sum>
struct SumBlock {
  Sum* first;
  std::size_t stride;
};

/// What comes near while a kernel works.
struct Ahead {
  /// The outputs that the sums become, for they will be written soon.
  const char* outputs;
  std::size_t output_row_bytes, output_bytes;
  std::size_t columns;
  /// Whether the weights behind these columns, or behind the last ones of the block, are far away.
  bool weights_are_far, next_weights_are_far;
  /// For kernels that fetch the rows of the next task (Kernel::fetches).
  Prefetcher* rows;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
