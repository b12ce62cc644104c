// How a call is cut into tasks: chunks of rows × groups of column blocks. Tasks that follow each
// other share a group, so that its weights stay near.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "thresholds.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The rows of a call in tiles of at most max_tile_rows, and these in chunks of at most
/// chunk_tiles: a chunk is what a task has. All are as even as they can be.
struct Chunks {
  std::size_t rows, tiles, count;

  static constexpr Chunks of(std::size_t rows, std::size_t max_tile_rows, std::size_t chunk_tiles) {
    const std::size_t tiles = ceil_div(rows, max_tile_rows);
    return {rows, tiles, ceil_div(tiles, chunk_tiles)};
  }
  constexpr Range rows_of(std::size_t chunk) const {
    const Range own = split_evenly(tiles, count, chunk);
    const std::size_t begin = split_into_even_sizes(rows, tiles, own.begin).begin;
    return {begin, split_into_even_sizes(rows, tiles, own.end() - 1).end() - begin};
  }
  /// The most rows of a chunk.
  constexpr std::size_t most_rows() const {
    return std::min(rows, ceil_div(tiles, count) * split_into_even_sizes(rows, tiles, 0).size);
  }
};

struct Schedule {
  Chunks chunks;
  std::size_t columns;
  std::size_t groups;  ///< of column blocks

  /// A block by itself, where rows are read in place. Rows that are made are made once for each
  /// task: few groups mean that this is not done again and again, but each thread wants tasks, and
  /// a group's weights, `block_bytes` for each block, should stay near.
  static Schedule plan(const Chunks& chunks, std::size_t columns, bool makes_rows,
                       std::size_t block_bytes, std::size_t threads) {
    const std::size_t blocks = ceil_div(columns, kBlockColumns);
    if (!makes_rows) return {chunks, columns, blocks};
    const std::size_t far =
        chunks.count == 1 ? 1 : ceil_div(blocks * block_bytes, Thresholds::near_bytes);
    const std::size_t shared = threads == 1 ? 1 : ceil_div(4 * threads, chunks.count);
    return {chunks, columns, std::min(blocks, std::max(far, shared))};
  }

  std::size_t tasks() const { return chunks.count * groups; }
  std::size_t chunk(std::size_t task) const { return task % chunks.count; }
  Range blocks_of(std::size_t task) const {
    return split_evenly(ceil_div(columns, kBlockColumns), groups, task / chunks.count);
  }
  std::size_t columns_of(std::size_t block) const {
    return std::min(kBlockColumns, columns - block * kBlockColumns);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
