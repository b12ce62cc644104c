// Rows of weights, block by block on their way into panels.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../rows/row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// f(block) with these rows of the source, at most 32: [rows.size, inputs], one block after the
/// other; all but the last one have a multiple of 128 inputs. Rows that are made lie in 16 KiB on
/// the stack.
template <RowSource Rows, class F>
void for_each_block(const Rows& source, const Range& rows, F f) {
  if constexpr (InPlaceRows<Rows>) {
    const auto own = source.in_place(rows);
    f(MatrixView<const float>(own.first, own.rows, own.inputs, own.stride));
  } else {
    alignas(kCacheLine) float block[kPanelColumns * kBlockColumns];
    const auto facts = facts_of(source, rows);
    for (std::size_t begin = 0; begin < source.depth(); begin += kBlockColumns) {
      const Range inputs{begin, std::min(kBlockColumns, source.depth() - begin)};
      read_with_facts(source, rows, inputs, block, kBlockColumns, facts);
      f(MatrixView<const float>(block, rows.size, inputs.size, kBlockColumns));
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
