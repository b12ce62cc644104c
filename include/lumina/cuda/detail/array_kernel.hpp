// Products on arrays: a block multiplies array after array of its tile of y. Where one ends, its
// sums go through its stages into partial sums, which stay in registers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../platform/platform.hpp"
#include "mma_kernel.hpp"
#include "operands.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// A tile of y: block (x, y) of the grid has the rows and the columns of that number. `FinishT`: an
/// ArrayFinish. Arrays end where steps do.
template <class Blocks, class FinishT>
__global__ void __launch_bounds__(Blocks::threads, Blocks::residents)
    multiply_arrays(const __grid_constant__ CodeOperands operands,
                    const __grid_constant__ FinishT finish) {
  using Tile = MmaTile<Blocks, typename FinishT::Planes>;
  static_assert(kCodeRowBytes % Blocks::stage_depth == 0);
  constexpr int kTiles = Blocks::row_tiles, kRounds = Blocks::rounds;
  const int first_column = static_cast<int>(blockIdx.y) * Blocks::columns;
  const int lane = static_cast<int>(threadIdx.x) % 32, thread = lane % 4;
  Tile tile(operands, static_cast<int>(blockIdx.x) * Blocks::rows, first_column);
  const auto row_of = [&](int tile16, int half) {
    return tile.warps_first_row() + 16 * tile16 + 8 * half + lane / 4;
  };
  typename Tile::Sums sums = {};
  Pair<float> partial_sums[kTiles][2][4 * kRounds] = {};
  int array = 0, end = finish.tiling().bytes(0);

  wait_for_previous_grid();
  if (!finish.has_work(static_cast<int>(blockIdx.x) * Blocks::rows, Blocks::rows)) return;
  const auto units = finish.units();
  tile.multiply(sums, [&](int step) {
    if ((step + 1) * Blocks::stage_depth != end) return;
#pragma unroll
    for (int tile16 = 0; tile16 < kTiles; ++tile16) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        finish.template add<kRounds>(
            units, array, row_of(tile16, half), first_column, thread,
            [&](int sum, int round, int pair) {
              const int(&own)[4] = sums[sum * kTiles + tile16][4 * round + pair];
              return Pair<std::int32_t>(own[2 * half], own[2 * half + 1]);
            },
            partial_sums[tile16][half]);
        __syncwarp();  // or compilers keep what they have read of the columns, in registers
      }
    }
#pragma unroll
    for (auto& of_tile : sums) {
#pragma unroll
      for (auto& of_eight : of_tile) {
#pragma unroll
        for (int& sum : of_eight) sum = 0;
      }
    }
    ++array;
    end += finish.tiling().bytes(array);
  });
  let_next_grid_start();

#pragma unroll
  for (int tile16 = 0; tile16 < kTiles; ++tile16) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      finish.template finish<kRounds>(
          row_of(tile16, half), first_column, thread,
          [&](int round, int pair) { return partial_sums[tile16][half][4 * round + pair]; });
    }
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
