// The loops over blocks of a fused call; no instructions of any particular machine.
//
// A task is a chunk of rows × a noise panel of 128 columns. Its dot products are made tile by tile
// and wait on the stack, close to the core, until the chunk's epilogue takes them row by row:
// noise, quantization, and the one store to y.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "../config.hpp"
#include "../epilogue.hpp"
#include "../executor.hpp"
#include "../matrix.hpp"
#include "../noise.hpp"
#include "../weights.hpp"
#include "noise_lanes.hpp"
#include "tile.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `length` cut into `parts` pieces whose lengths differ by one at most: piece number `index`.
struct Piece {
  std::size_t begin, size;
};
constexpr Piece even_piece(std::size_t length, std::size_t parts, std::size_t index) {
  const std::size_t shorter = length / parts;
  const std::size_t longer_ones = length % parts;
  return {index * shorter + std::min(index, longer_ones), shorter + (index < longer_ones ? 1 : 0)};
}
/// The same in pairs: all pieces but the last one have even sizes, which is where compilers make
/// the best tiles. `parts` is at most half of length, or 1.
constexpr Piece even_sized_piece(std::size_t length, std::size_t parts, std::size_t index) {
  const Piece pairs = even_piece(length / 2 + length % 2, parts, index);
  return {2 * pairs.begin, std::min(2 * pairs.size, length - 2 * pairs.begin)};
}
constexpr std::size_t divide_rounding_up(std::size_t a, std::size_t b) {
  return a / b + (a % b != 0 ? 1 : 0);
}

/// Weights of a noise panel that stay in the second-level cache from one chunk to the next.
inline constexpr std::size_t kNearBytes = std::size_t{1} << 20;

/// One call: its operands, and the numbering of its tasks.
template <class Arch, class EpilogueT>
class FusedGemm {
 public:
  FusedGemm(MatrixView<const float> x, const PackedWeights& weights, MatrixView<float> y,
            const EpilogueT& epilogue, const NoiseKey& key)
      : x_(x),
        weights_(weights),
        y_(y),
        epilogue_(epilogue),
        row_offset_(key.row_offset),
        tiles_(divide_rounding_up(y.rows(), Arch::max_tile_rows)),
        chunks_(divide_rounding_up(tiles_, Arch::chunk_tiles)) {
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      field_state_[draw] = noise_field_state(key, draw);
    }
  }

  std::size_t tasks() const { return chunks_ * divide_rounding_up(y_.cols(), kNoisePanelColumns); }

  /// Tasks that follow each other use the same weights.
  void run(std::size_t task) const {
    const std::size_t panel = task / chunks_;
    const std::size_t chunk = task % chunks_;
    const std::size_t columns =
        std::min(kNoisePanelColumns, y_.cols() - panel * kNoisePanelColumns);
    alignas(kCacheLine) float sums[Arch::chunk_tiles * Arch::max_tile_rows * kTileStride];
    multiply(chunk, panel, columns, sums);

    const Piece tiles = even_piece(tiles_, chunks_, chunk);
    const std::size_t begin = rows_of_tile(tiles.begin).begin;
    const Piece last = rows_of_tile(tiles.begin + tiles.size - 1);
    const std::size_t end = last.begin + last.size;
    constexpr std::size_t at_once = Arch::epilogue_rows;
    std::size_t row = begin;
    for (; row + at_once <= end; row += at_once) {
      finish_rows<at_once>(row, panel, columns, sums + (row - begin) * kTileStride);
    }
    for (; row < end; ++row) {
      finish_rows<1>(row, panel, columns, sums + (row - begin) * kTileStride);
    }
  }

 private:
  using Floats = typename Arch::template Batch<float>;
  static constexpr std::size_t kDraws = normals_of<EpilogueT>;
  static constexpr std::size_t kVectors = kNoiseBlockColumns / Floats::size;

  Piece rows_of_tile(std::size_t tile) const { return even_sized_piece(y_.rows(), tiles_, tile); }

  /// The dot products of a task. While a tile computes, it brings the weights that the next tiles
  /// read first into the second-level cache, and before it the lines of y that its results will
  /// fill: left to themselves they would come too late.
  void multiply(std::size_t chunk, std::size_t panel, std::size_t columns, float* sums) const {
    const std::size_t depth = x_.cols();
    const Piece tiles = even_piece(tiles_, chunks_, chunk);
    const std::size_t first_row = rows_of_tile(tiles.begin).begin;
    const std::size_t widest = Arch::tile_columns(rows_of_tile(tiles.begin).size);
    const std::size_t padded_columns = panel_count(columns) * kPanelColumns;
    const std::size_t first_panel = panel * (kNoisePanelColumns / kPanelColumns);
    const bool panels_stay_near = kNoisePanelColumns * depth * sizeof(float) <= kNearBytes;

    for (std::size_t column = 0; column < padded_columns;) {
      std::size_t width = widest;
      while (column + width > padded_columns) width /= 2;
      const float* const weights =
          weights_.panel(first_panel + column / kPanelColumns) + column % kPanelColumns;
      const bool next_is_far =
          column + width < padded_columns ? chunk == 0 || !panels_stay_near : chunk + 1 == chunks_;
      const std::size_t share = next_is_far ? width * depth / tiles.size : 0;
      for (std::size_t tile = 0; tile < tiles.size; ++tile) {
        const Piece rows = rows_of_tile(tiles.begin + tile);
        for (std::size_t row = rows.begin; row < rows.begin + rows.size; ++row) {
          prefetch_for_writing(y_.row(row) + panel * kNoisePanelColumns + column,
                               std::min(width, columns - std::min(columns, column)));
        }
        const TileOperands operands{
            .x = x_.row(rows.begin),
            .x_stride = x_.row_stride(),
            .depth = depth,
            .weights = weights,
            .panel_size = weights_.panel_size(),
            .next_weights = Prefetch::spread(weights + tiles.size * share + tile * share,
                                             share * sizeof(float), depth)};
        tile_kernel<Arch>(rows.size, width)(operands,
                                            sums + (rows.begin - first_row) * kTileStride + column);
      }
      column += width;
    }
  }

  /// The epilogue of Rows neighbouring rows: their generators' long chains of operations run side
  /// by side. Members are copied first, for the compiler cannot know that y does not contain them.
  template <std::size_t Rows>
  void finish_rows(std::size_t first_row, std::size_t panel, std::size_t columns,
                   const float* sums) const {
    const EpilogueT epilogue = epilogue_;
    const MatrixView<float> y = y_;
    const std::uint64_t global_row = row_offset_ + first_row;
    const std::size_t first_column = panel * kNoisePanelColumns;

    NoiseLanes<Arch> lanes[Rows][kDraws + 1];  // + 1: arrays are never empty
    unroll<Rows * kDraws>([&](auto i) __attribute__((always_inline)) {
      constexpr std::size_t row = i / kDraws, draw = i % kDraws;
      const std::uint64_t row_state = noise_row_state(field_state_[draw], global_row + row);
      lanes[row][draw] = NoiseLanes<Arch>(noise_panel_state(row_state, panel));
    });
    // finish(row, vector, values): one vector of a block of 32 columns, through all stages.
    const auto for_block = [&](std::size_t column, auto finish) __attribute__((always_inline)) {
      typename NoiseLanes<Arch>::Block normals[Rows][kDraws + 1];
      unroll<Rows * kDraws>([&](auto i) __attribute__((always_inline)) {
        normals[i / kDraws][i % kDraws] = lanes[i / kDraws][i % kDraws].next_block();
      });
      unroll<Rows * kVectors>([&](auto i) __attribute__((always_inline)) {
        constexpr std::size_t row = i / kVectors, vector = i % kVectors;
        std::array<Floats, kDraws> own;
        for (std::size_t draw = 0; draw < kDraws; ++draw) own[draw] = normals[row][draw][vector];
        finish(Coordinates{first_row + row, first_column + column + vector * Floats::size,
                           global_row + row},
               Floats::load_aligned(sums + row * kTileStride + column + vector * Floats::size),
               own);
      });
    };

    std::size_t column = 0;
    for (; column + kNoiseBlockColumns <= columns; column += kNoiseBlockColumns) {
      for_block(
          column, [&](const Coordinates& at, const Floats& sum, const auto& normals)
                      __attribute__((always_inline)) {
                        epilogue.apply(sum, at, ActiveLanes{Floats::size}, normals)
                            .store_unaligned(&y(at.row, at.column));
                      });
    }
    if (column < columns) {
      for_block(column, [&](const Coordinates& at, const Floats& sum, const auto& normals) {
        if (at.column >= y.cols()) return;
        const ActiveLanes active{std::min(Floats::size, y.cols() - at.column)};
        store_first(epilogue.apply(sum, at, active, normals), &y(at.row, at.column), active.count);
      });
    }
  }

  MatrixView<const float> x_;
  const PackedWeights& weights_;
  MatrixView<float> y_;
  const EpilogueT& epilogue_;
  std::uint64_t row_offset_;
  std::size_t tiles_;
  std::size_t chunks_;
  std::array<std::uint64_t, kDraws> field_state_{};
};

/// Multiplications below which a call stays on one thread: about 10 µs of work.
inline constexpr double kSmallestParallelWork = 1 << 20;

template <class Arch, class EpilogueT, class Executor>
void run_fused_gemm(MatrixView<const float> x, const PackedWeights& weights, MatrixView<float> y,
                    const EpilogueT& epilogue, const NoiseKey& key, const Executor& executor) {
  if (y.rows() == 0 || y.cols() == 0) return;
  const FusedGemm<Arch, EpilogueT> call(x, weights, y, epilogue, key);
  const auto body = [&call](std::size_t task) { call.run(task); };
  const double work =
      static_cast<double>(y.rows()) * static_cast<double>(y.cols()) * static_cast<double>(x.cols());
  if (work < kSmallestParallelWork) {
    Serial()(call.tasks(), body);
  } else {
    executor(call.tasks(), body);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
