// How the work of a kernel is cut for an architecture's registers.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A tile is the sums that stay in registers over the whole depth. A task makes the sums of
/// chunk_tiles tiles of rows, 128 columns wide, which wait on the stack for their epilogue.
struct Blocks {
  struct TileWidth {
    std::size_t max_rows, columns;
  };

  /// Tiles of up to max_rows rows are `columns` wide; further below more rows, and narrower.
  TileWidth tile_widths[3];
  std::size_t chunk_tiles;

  constexpr std::size_t max_tile_rows() const {
    std::size_t rows = 0;
    for (const TileWidth& width : tile_widths) rows = width.max_rows > rows ? width.max_rows : rows;
    return rows;
  }
  constexpr std::size_t max_chunk_rows() const { return chunk_tiles * max_tile_rows(); }
  /// The columns of a tile of 1 … max_tile_rows() rows.
  constexpr std::size_t tile_columns(std::size_t rows) const {
    for (const TileWidth& width : tile_widths) {
      if (rows <= width.max_rows) return width.columns;
    }
    return 0;
  }
  /// The most rows of which tiles are at least this wide.
  constexpr std::size_t max_rows_of_width(std::size_t columns) const {
    std::size_t rows = 0;
    for (const TileWidth& width : tile_widths)
      rows = width.columns >= columns ? width.max_rows : rows;
    return rows;
  }
  /// The same for rows that come in groups, which tiles do not cut.
  constexpr Blocks with_rows_in_groups_of(std::size_t group) const {
    Blocks result = *this;
    for (TileWidth& width : result.tile_widths) {
      const bool tallest = width.max_rows == max_tile_rows();
      width.max_rows = tallest && width.max_rows < group ? group : width.max_rows / group * group;
    }
    return result;
  }
  /// The same for rows of which each is several: as many of these in a task.
  constexpr Blocks with_rows_in_parts(std::size_t parts) const {
    Blocks result = *this;
    if (chunk_tiles >= parts) {
      result.chunk_tiles /= parts;
    } else {  // an even number, as rows are cut (split_into_even_sizes)
      for (TileWidth& width : result.tile_widths) {
        if (width.max_rows == 0) continue;
        width.max_rows = std::max<std::size_t>(width.max_rows / parts / 2 * 2, 2);
      }
    }
    return result;
  }
  /// The same with a group of rows for every row; a task has about twice as many of them then.
  constexpr Blocks with_groups_for_rows(std::size_t group) const {
    Blocks result = *this;
    for (TileWidth& width : result.tile_widths) width.max_rows *= group;
    result.chunk_tiles = chunk_tiles * 2 < group ? 1 : chunk_tiles * 2 / group;
    return result;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
