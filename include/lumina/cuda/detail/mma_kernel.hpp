// Products of codes on mma.sync, for every GPU since Ampere: 16-byte asynchronous copies fill a
// ring of stages in shared memory, warps multiply 16 rows by 8 columns by 32 inputs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/base/unroll.hpp"
#include "../platform/platform.hpp"
#include "operands.hpp"
#include "pair.hpp"
#include "sum_planes.hpp"
#include "tile_rows.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// The block sizes of such a kernel: `Warps` below each other, each with RowTiles times 16 rows and
/// Rounds times 32 columns; `StageDepth` inputs in each of `Stages` stages; `Residents`: how many
/// blocks a multiprocessor shall hold.
template <int Warps, int RowTiles, int Rounds, int StageDepth, int Stages, int Residents>
struct MmaBlocks {
  static constexpr int warps = Warps, row_tiles = RowTiles, rounds = Rounds, stages = Stages;
  static constexpr int stage_depth = StageDepth, residents = Residents;
  static constexpr int threads = 32 * Warps;
  static constexpr int rows = 16 * Warps * RowTiles;
  static constexpr int columns = 32 * Rounds;
  /// `planes`: how many x has.
  static constexpr int stage_bytes(int planes = 1) {
    return (rows * planes + columns) * StageDepth;
  }
  static constexpr std::size_t shared_bytes_of(int planes) {
    return static_cast<std::size_t>(stage_bytes(planes)) * Stages;
  }
  static constexpr std::size_t shared_bytes = shared_bytes_of(1);
};

/// A block's sums of a tile of rows and columns: what a thread of it has. `Planes`: SumPlanes; the
/// planes of x lie one behind the other.
template <class Blocks, class Planes = SumPlanes<0, 8>>
class MmaTile {
 public:
  /// [the planes' sums, 16 rows each][8 columns][row r: columns 2t, 2t + 1; row r + 8: the same],
  /// lane = 4·r + t.
  using Sums = int[Planes::sums * Blocks::row_tiles][4 * Blocks::rounds][4];

  __device__ __forceinline__ MmaTile(const CodeOperands& operands, int first_row, int first_column)
      : operands_(operands),
        first_row_(first_row),
        first_column_(first_column),
        shared_(shared_address(dynamic_shared())) {}

  /// The tile's first row that this warp multiplies.
  __device__ __forceinline__ int warps_first_row() const {
    return first_row_ + static_cast<int>(threadIdx.x) / 32 * 16 * Blocks::row_tiles;
  }

  /// sums += the product; behind(step) is called with the sums of all inputs up to step's end.
  template <class Behind>
  __device__ __forceinline__ void multiply(Sums& sums, const Behind& behind) {
    constexpr int kStages = Blocks::stages;
    const int steps = (operands_.depth + Blocks::stage_depth - 1) / Blocks::stage_depth;
#pragma unroll
    for (int step = 0; step < kStages - 1; ++step) {
      if (step < steps) load(step);
      commit_copies();
    }
    for (int step = 0; step < steps; ++step) {
      wait_copies<kStages - 2>();
      __syncthreads();  // everybody's copies have landed, and the stage before is free
      if (step + kStages - 1 < steps) load(step + kStages - 1);
      commit_copies();
      multiply_stage(sums, stage(step));
      behind(step);
    }
  }

 private:
  static constexpr int kDepth = Blocks::stage_depth;
  static constexpr int kChunks = kDepth / 16;
  static constexpr int kRowsOfX = Blocks::rows * Planes::inputs;  // of all planes

  __device__ __forceinline__ SharedAddress stage(int step) const {
    return shared_ +
           static_cast<SharedAddress>(step % Blocks::stages * Blocks::stage_bytes(Planes::inputs));
  }

  /// Asks for a stage's copies. What does not exist becomes 0.
  __device__ __forceinline__ void load(int step) const {
    constexpr int kCopies = (kRowsOfX + Blocks::columns) * kChunks;
    static_assert(kCopies % Blocks::threads == 0);
    const SharedAddress to = stage(step);
#pragma unroll
    for (int i = 0; i < kCopies / Blocks::threads; ++i) {
      const int copy = static_cast<int>(threadIdx.x) + i * Blocks::threads;
      const int row = copy / kChunks, chunk = copy % kChunks, k = step * kDepth + chunk * 16;
      const bool of_x = row < kRowsOfX;
      const ByteRows& from = of_x ? operands_.x : operands_.w;
      const int own = of_x ? first_row_ + row % Blocks::rows : first_column_ + row - kRowsOfX;
      const unsigned bytes = own < from.rows ? bytes_from(k, operands_.depth) : 0;
      const int before = of_x ? row / Blocks::rows * from.rows : 0;  // rows of other planes
      copy_16_async(to + place_in_tile<kDepth>(row, chunk),
                    bytes != 0 ? from.at(before + own, k) : from.first, bytes);
    }
  }

  __device__ __forceinline__ void multiply_stage(Sums& sums, SharedAddress stage) const {
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int in_eight = lane % 8, eight = lane / 8;  // of the rows that a lane points to
    const SharedAddress w = stage + kRowsOfX * kDepth;
#pragma unroll
    for (int part = 0; part < kDepth / 32; ++part) {
      std::uint32_t x[Planes::inputs * Blocks::row_tiles][4];
#pragma unroll
      for (int tile = 0; tile < Planes::inputs * Blocks::row_tiles; ++tile) {
        const int plane = tile / Blocks::row_tiles, in_plane = tile % Blocks::row_tiles;
        const int row = plane * Blocks::rows + (warp * Blocks::row_tiles + in_plane) * 16 +
                        eight % 2 * 8 + in_eight;
        load_matrices(x[tile], stage + place_in_tile<kDepth>(row, 2 * part + eight / 2));
      }
#pragma unroll
      for (int column = 0; column < 4 * Blocks::rounds; column += 2) {
        std::uint32_t two[4];
        load_matrices(two, w + place_in_tile<kDepth>((column + eight / 2) * 8 + in_eight,
                                                     2 * part + eight % 2));
        unroll<Planes::sums>([&](auto sum) __attribute__((always_inline)) {
          if constexpr (sum > 0) Planes::template to_weights_of<sum>(two);
          constexpr int kTile = sum * Blocks::row_tiles;
          constexpr int kOfX = Planes::input_of(sum) * Blocks::row_tiles;
#pragma unroll
          for (int tile = 0; tile < Blocks::row_tiles; ++tile) {
            multiply_16x8x32(sums[kTile + tile][column], x[kOfX + tile], two[0], two[1]);
            multiply_16x8x32(sums[kTile + tile][column + 1], x[kOfX + tile], two[2], two[3]);
          }
        });
      }
    }
  }

  const CodeOperands& operands_;
  int first_row_, first_column_;
  SharedAddress shared_;
};

/// A tile of y: block (x, y) of the grid has the rows and the columns of that number.
template <class Blocks, class FinishT>
__global__ void __launch_bounds__(Blocks::threads, Blocks::residents)
    multiply_codes(const __grid_constant__ CodeOperands operands,
                   const __grid_constant__ FinishT finish) {
  const int first_column = static_cast<int>(blockIdx.y) * Blocks::columns;
  MmaTile<Blocks> tile(operands, static_cast<int>(blockIdx.x) * Blocks::rows, first_column);
  typename MmaTile<Blocks>::Sums sums = {};
  wait_for_previous_grid();
  tile.multiply(sums, [](int) {});
  let_next_grid_start();

  const int lane = static_cast<int>(threadIdx.x) % 32, thread = lane % 4;
  using Rows = TileRows<FinishT>;
  static_assert(Blocks::row_tiles % Rows::tiles == 0);
#pragma unroll
  for (int tile16 = 0; tile16 < Blocks::row_tiles; tile16 += Rows::tiles) {
#pragma unroll
    for (int number = 0; number < Rows::each; ++number) {
      const int row = Rows::row(tile.warps_first_row() + 16 * tile16, number, lane / 4);
      const auto facts = facts_of_row(finish, row);
      finish.template finish<4, Blocks::rounds>(
          row, first_column, thread, [&](int round, int pair) {
            const int eight = 4 * round + pair;
            return value_of_parts<FinishT>(
                finish.column(first_column + 8 * eight + 2 * thread), facts, [&](int part) {
                  const int(&own)[4] = sums[tile16 + Rows::tile_of(part)][eight];
                  const int half = Rows::half_of(number, part);
                  return Pair<std::int32_t>(own[2 * half], own[2 * half + 1]);
                });
          });
    }
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
