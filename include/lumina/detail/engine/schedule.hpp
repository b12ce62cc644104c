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
  /// The same rows in more chunks, none higher than before. (Kernels cut each into tiles anew.)
  constexpr Chunks cut_into(std::size_t chunks) const { return {rows, chunks, chunks}; }

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
  /// task: few groups mean that this is not done again and again, but a group's weights,
  /// `block_bytes` for each block, should stay near. Threads get more groups and chunks where they
  /// are done sooner then.
  static constexpr Schedule plan(const Chunks& chunks, std::size_t columns, bool makes_rows,
                                 std::size_t block_bytes, std::size_t threads) {
    const std::size_t blocks = ceil_div(columns, kBlockColumns);
    std::size_t near_groups = 1;
    if (chunks.count > 1 && block_bytes > 0) {
      near_groups = std::min(blocks, ceil_div(blocks * block_bytes, Thresholds::near_bytes));
    }
    const Schedule for_one{chunks, columns, makes_rows ? near_groups : blocks};
    if (threads <= 1 || blocks == 0) return for_one;
    Schedule best = for_one;
    std::size_t least = best.time(makes_rows, threads);
    for (std::size_t groups = for_one.groups; groups <= blocks; ++groups) {
      // As many tasks for each thread as this are balanced whatever the rows.
      const std::size_t most = std::min(ceil_div(chunks.rows, 2), 4 * threads / groups);
      for (std::size_t count = chunks.count; count <= std::max(most, chunks.count); ++count) {
        const Chunks cut = count == chunks.count ? chunks : chunks.cut_into(count);
        const Schedule schedule{cut, columns, groups};
        const std::size_t time = schedule.time(makes_rows, threads);
        if (time >= least) continue;
        best = schedule;
        least = time;
      }
      if (groups >= 4 * threads) break;
    }
    return best;
  }

  constexpr std::size_t tasks() const { return chunks.count * groups; }
  std::size_t chunk(std::size_t task) const { return task % chunks.count; }
  Range blocks_of(std::size_t task) const {
    return split_evenly(ceil_div(columns, kBlockColumns), groups, task / chunks.count);
  }
  std::size_t columns_of(std::size_t block) const {
    return std::min(kBlockColumns, columns - block * kBlockColumns);
  }

 private:
  /// How long `threads` threads take, roughly, in quarters of what a row and a column block take:
  /// a block's weights cost as much as two rows more, and making a row a quarter of a block.
  constexpr std::size_t time(bool makes_rows, std::size_t threads) const {
    const std::size_t blocks = ceil_div(ceil_div(columns, kBlockColumns), groups);
    const std::size_t rows = chunks.most_rows();
    return ceil_div(tasks(), threads) * (4 * blocks * (rows + 2) + (makes_rows ? rows : 0));
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
