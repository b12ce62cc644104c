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
  return {index * shorter + std::min(index, longer_ones),
          shorter + (index < longer_ones ? 1 : 0)};
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
        chunks_(divide_rounding_up(y.rows(), Arch::chunk_rows)) {
    for (std::size_t draw = 0; draw < kDraws; ++draw) {
      field_state_[draw] = noise_field_state(key, draw);
    }
  }

  std::size_t tasks() const {
    return chunks_ * divide_rounding_up(y_.cols(), kNoisePanelColumns);
  }

  /// Tasks that follow each other use the same weights.
  void run(std::size_t task) const {
    const std::size_t panel = task / chunks_;
    const std::size_t chunk = task % chunks_;
    const Piece rows = even_piece(y_.rows(), chunks_, chunk);
    const std::size_t columns =
        std::min(kNoisePanelColumns, y_.cols() - panel * kNoisePanelColumns);
    alignas(kCacheLine) float sums[Arch::chunk_rows * kTileStride];
    multiply(panel, chunk, columns, rows, sums);
    std::size_t i = 0;
    for (; i + 2 <= rows.size; i += 2) {
      finish_rows<2>(rows.begin + i, panel, columns, sums + i * kTileStride);
    }
    if (i < rows.size) finish_rows<1>(rows.begin + i, panel, columns, sums + i * kTileStride);
  }

 private:
  using Floats = typename Arch::template Batch<float>;
  static constexpr std::size_t kDraws = normals_of<EpilogueT>;
  static constexpr std::size_t kVectors = kNoiseBlockColumns / Floats::size;

  /// The dot products of a task. While a tile computes, it brings the weights that the next
  /// tiles read first into the second-level cache: left to themselves they would come too late.
  void multiply(std::size_t panel, std::size_t chunk, std::size_t columns, Piece rows,
                float* sums) const {
    const std::size_t depth = x_.cols();
    const std::size_t tiles = divide_rounding_up(rows.size, Arch::max_tile_rows);
    const std::size_t widest = Arch::tile_columns(even_sized_piece(rows.size, tiles, 0).size);
    const std::size_t padded_columns = panel_count(columns) * kPanelColumns;
    const std::size_t first_panel = panel * (kNoisePanelColumns / kPanelColumns);

    for (std::size_t column = 0; column < padded_columns;) {
      std::size_t width = widest;
      while (column + width > padded_columns) width /= 2;
      const float* const weights =
          weights_.panel(first_panel + column / kPanelColumns) + column % kPanelColumns;
      const bool new_weights = column + width < padded_columns ? chunk == 0 : chunk + 1 == chunks_;
      const std::size_t share = new_weights ? width * depth / tiles : 0;
      for (std::size_t tile = 0; tile < tiles; ++tile) {
        const Piece piece = even_sized_piece(rows.size, tiles, tile);
        const TileOperands operands{
            .x = &x_(rows.begin + piece.begin, 0),
            .x_stride = x_.row_stride(),
            .depth = depth,
            .weights = weights,
            .panel_size = weights_.panel_size(),
            .next_weights = Prefetch::spread(weights + tiles * share + tile * share,
                                             share * sizeof(float), depth)};
        tile_kernel<Arch>(piece.size, width)(operands, sums + piece.begin * kTileStride + column);
      }
      column += width;
    }
  }

  /// The epilogue of Rows neighbouring rows: their generators' long chains of operations run side
  /// by side.
  template <std::size_t Rows>
  void finish_rows(std::size_t first_row, std::size_t panel, std::size_t columns,
                   const float* sums) const {
    NoiseLanes<Arch> lanes[Rows][kDraws + 1];  // + 1: arrays are never empty
    unroll<Rows * kDraws>([&](auto i) __attribute__((always_inline)) {
      constexpr std::size_t row = i / kDraws, draw = i % kDraws;
      const std::uint64_t row_state =
          noise_row_state(field_state_[draw], row_offset_ + first_row + row);
      lanes[row][draw] = NoiseLanes<Arch>(noise_panel_state(row_state, panel));
    });
    const std::size_t first_column = panel * kNoisePanelColumns;
    for (std::size_t column = 0; column < columns; column += kNoiseBlockColumns) {
      std::array<typename NoiseLanes<Arch>::Block, kDraws> normals[Rows];
      unroll<Rows * kDraws>([&](auto i) __attribute__((always_inline)) {
        normals[i / kDraws][i % kDraws] = lanes[i / kDraws][i % kDraws].next_block();
      });
      const bool whole = columns - column >= kNoiseBlockColumns;
      unroll<Rows>([&](auto i) __attribute__((always_inline)) {
        const Coordinates at{first_row + i, first_column + column, row_offset_ + first_row + i};
        const float* const block = sums + i * kTileStride + column;
        if (whole) {
          finish_block(at, normals[i], block);
        } else {
          finish_last_block(at, columns - column, normals[i], block);
        }
      });
    }
  }

  /// 32 columns of a row to y.
  template <class Normals>
  [[gnu::always_inline]] void finish_block(const Coordinates& at, const Normals& normals,
                                           const float* sums) const {
    unroll<kVectors>([&](auto i) __attribute__((always_inline)) {
      finish_vector<i>(at, {Floats::size}, normals, sums)
          .store_unaligned(&y_(at.row, at.column + i * Floats::size));
    });
  }

  /// The last, fewer than 32, columns of a row to y.
  template <class Normals>
  void finish_last_block(const Coordinates& at, std::size_t columns, const Normals& normals,
                         const float* sums) const {
    unroll<kVectors>([&](auto i) __attribute__((always_inline)) {
      constexpr std::size_t first = i * Floats::size;
      if (first >= columns) return;
      const ActiveLanes active{std::min(Floats::size, columns - first)};
      store_first(finish_vector<i>(at, active, normals, sums), &y_(at.row, at.column + first),
                  active.count);
    });
  }

  /// Vector number I of a block of 32 columns.
  template <std::size_t I, class Normals>
  [[gnu::always_inline]] Floats finish_vector(const Coordinates& block, const ActiveLanes& active,
                                              const Normals& normals, const float* sums) const {
    std::array<Floats, kDraws> own;
    for (std::size_t draw = 0; draw < kDraws; ++draw) own[draw] = normals[draw][I];
    const Coordinates at{block.row, block.column + I * Floats::size, block.global_row};
    return epilogue_.apply(Floats::load_aligned(sums + I * Floats::size), at, active, own);
  }

  MatrixView<const float> x_;
  const PackedWeights& weights_;
  MatrixView<float> y_;
  const EpilogueT& epilogue_;
  std::uint64_t row_offset_;
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
  const double work = static_cast<double>(y.rows()) * static_cast<double>(y.cols()) *
                      static_cast<double>(x.cols());
  if (work < kSmallestParallelWork) {
    Serial()(call.tasks(), body);
  } else {
    executor(call.tasks(), body);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
