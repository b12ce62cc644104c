// The scratch of a task of a call on arrays: rows in front of the arrays, what is known of them,
// the sums of one array, and those of all so far.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"
#include "../rows/array_rows.hpp"
#include "../rows/input_digits.hpp"
#include "schedule.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// How a call's rows are cut into chunks, and what a chunk needs. `planes`: rows that a kernel
/// multiplies for each row, and for each plane of its digits where rows have such.
template <class K, class Rows>
struct ArrayLayout {
  using Element = typename Rows::Element;
  static constexpr std::size_t kPlanes = Rows::planes;
  static constexpr bool kDigits = RowsOfDigits<Rows>;
  static constexpr std::size_t kMaxInputPlanes = kDigits ? InputDigits::kMaxPlanes : 1;
  /// An even number, for rows are cut in pairs (Chunks). With planes of digits no more than a tile
  /// has: a matrix unit takes no others.
  static constexpr std::size_t tile_rows(std::size_t input_planes) {
    const std::size_t rows = K::blocks.max_tile_rows() / (kPlanes * input_planes);
    return kDigits ? std::max<std::size_t>(2, rows / 2 * 2)
                   : round_up(std::max<std::size_t>(1, rows), 2);
  }
  /// The most rows of a tile times planes of digits.
  static constexpr std::size_t kTileRows = [] {
    std::size_t most = 0;
    for (std::size_t planes = 1; planes <= kMaxInputPlanes; ++planes) {
      most = std::max(most, tile_rows(planes) * planes);
    }
    return most;
  }();
  /// With several arrays fewer tiles of rows in a chunk: sums, partial sums and the rows of an
  /// array should stay in the first-level cache together.
  static constexpr std::size_t max_chunk_tiles(const Tiling& tiles) {
    return tiles.count == 1 ? K::blocks.chunk_tiles
                            : std::min<std::size_t>(2, K::blocks.chunk_tiles);
  }
  static constexpr std::size_t kMaxRows = kTileRows * K::blocks.chunk_tiles;
  /// Room for rows that are made: for one tile of them at least Rows::row_multiple inputs.
  static constexpr std::size_t kElements = std::max(K::Arch::row_scratch_bytes / sizeof(Element),
                                                    kTileRows* kPlanes* Rows::row_multiple);

  std::size_t rows;    ///< the most of a chunk
  std::size_t inputs;  ///< of one row, with what fills them up
  bool whole_rows;     ///< there is room for the inputs of all arrays
  std::size_t numbers, flags, sums, partial_sums, end;  ///< in bytes from the beginning
  std::size_t totals;                                   ///< the same, of an array's digits

  static constexpr std::size_t padded_inputs(const Tiling& tiles) {
    return tiles.sum_of(tiles.count, round_up(tiles.long_size, Rows::row_multiple),
                        round_up(tiles.short_size, Rows::row_multiple));
  }
  static constexpr Chunks chunks(std::size_t batch, const Tiling& tiles, std::size_t input_planes) {
    const std::size_t tile = tile_rows(input_planes);
    const std::size_t row =
        std::max<std::size_t>(padded_inputs(tiles), Rows::row_multiple) * kPlanes * input_planes;
    return Chunks::of(batch, tile,
                      std::clamp<std::size_t>(kElements / row / tile, 1, max_chunk_tiles(tiles)));
  }

  /// For the largest task.
  constexpr ArrayLayout(std::size_t batch, const Tiling& tiles, std::size_t input_planes)
      : rows(chunks(batch, tiles, input_planes).most_rows()), inputs(padded_inputs(tiles)) {
    const std::size_t kernel_rows = rows * kPlanes * input_planes;
    whole_rows = kernel_rows * inputs <= kElements;
    if (!whole_rows) {
      inputs = std::min(round_up(tiles.largest(), Rows::row_multiple),
                        kElements / kernel_rows / Rows::row_multiple * Rows::row_multiple);
    }
    const std::size_t row_bytes = kernel_rows * inputs * sizeof(Element);
    const std::size_t known_arrays = whole_rows ? tiles.count : 1;
    const std::size_t row_floats = rows * kBlockColumns * sizeof(float);
    numbers = round_up(row_bytes, kCacheLine);
    flags = numbers + rows * input_planes * known_arrays * sizeof(RowNumbers);
    sums = round_up(flags + rows, kCacheLine);
    partial_sums = sums + kernel_rows * kBlockColumns * sizeof(typename K::Sum);
    totals = partial_sums + row_floats;
    end = totals + (kDigits ? row_floats : 0);
  }
  static constexpr std::size_t bytes(std::size_t batch, const Tiling& tiles,
                                     std::size_t input_planes) {
    return batch == 0 ? 0 : ArrayLayout(batch, tiles, input_planes).end;
  }
  /// No call needs more.
  static constexpr std::size_t kMaxBytes = [] {
    // Whole rows of more arrays than one have at least row_multiple inputs for each.
    constexpr std::size_t kNumbers = kElements / Rows::row_multiple * sizeof(RowNumbers);
    return round_up(kElements * sizeof(Element), kCacheLine) + kNumbers +
           kMaxRows * (sizeof(RowNumbers) + 1) + 2 * kCacheLine +
           kMaxRows * kBlockColumns *
               (kPlanes * sizeof(typename K::Sum) + (kDigits ? 2 : 1) * sizeof(float));
  }();
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
