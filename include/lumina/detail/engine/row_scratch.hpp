// A task's own memory for the rows of its chunk in the form that tiles read, where they are not
// read from x itself.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows begin at multiples of `Multiple` elements. A chunk whose rows do not fit at once is
/// multiplied in blocks of the depth.
template <class Input, std::size_t Bytes, std::size_t Multiple>
struct RowWorkspace {
  static constexpr std::size_t kElements = Bytes / sizeof(Input);
  static constexpr std::size_t kMultiple = Multiple;

  alignas(kCacheLine) Input elements[kElements];

  /// As many tiles in a chunk as fit at once, so that its rows are made once for all panels of a
  /// task; at least one, and `most` at most.
  static constexpr std::size_t chunk_tiles(std::size_t depth, std::size_t tile_rows,
                                           std::size_t most) {
    const std::size_t row = round_up(std::max<std::size_t>(depth, 1), Multiple);
    return std::clamp<std::size_t>(kElements / row / tile_rows, 1, most);
  }
  /// What `rows` rows take of it, all or block by block.
  static constexpr std::size_t bytes(std::size_t depth, std::size_t rows) {
    return rows * std::min(round_up(depth, Multiple), block_depth(rows)) * sizeof(Input);
  }
  /// The most inputs of a block for `rows` rows.
  static constexpr std::size_t block_depth(std::size_t rows) {
    return kElements / rows / Multiple * Multiple;
  }
  static constexpr std::size_t blocks(std::size_t depth, std::size_t rows) {
    return std::max<std::size_t>(1, ceil_div(depth, block_depth(rows)));
  }
  /// Which inputs are block number `index` of `blocks`.
  static constexpr Range block(std::size_t depth, std::size_t rows, std::size_t index,
                               std::size_t blocks) {
    const std::size_t begin = index * block_depth(rows);
    return {begin, blocks == 1 ? depth : std::min(block_depth(rows), depth - begin)};
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
