// Products of codes on Hopper where there are few tiles: a block of 64 rows whose loads are all
// under way while it draws its normals.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"
#include "warpgroup_tile.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// `Rounds` times 32 columns. As many stages as there are steps is best.
template <int Rounds, int StageCount>
struct FewRowsBlocks {
  static constexpr int rounds = Rounds;
  static constexpr int rows = kWarpgroupRows, columns = 32 * Rounds, threads = 128;
  static constexpr int residents = 4;
  using Ring = Stages<rows, columns, StageCount, 1>;
};

template <class Blocks, class FinishT>
__global__ void __launch_bounds__(Blocks::threads, Blocks::residents)
    multiply_codes_of_few_rows(const __grid_constant__ TensorOperands operands,
                               const __grid_constant__ FinishT finish) {
  if constexpr (kHasTensorMemory) {
    using Ring = typename Blocks::Ring;
    constexpr int kRounds = Blocks::rounds, kSums = Blocks::columns / 2;
    const int first_row = static_cast<int>(blockIdx.x) * Blocks::rows;
    const int column = static_cast<int>(blockIdx.y) * Blocks::columns;
    const int lane = static_cast<int>(threadIdx.x) % 32, thread = lane % 4;
    const int warps_row = first_row + static_cast<int>(threadIdx.x) / 32 * 16;
    using Rows = TileRows<FinishT>;
    const int row = Rows::row(warps_row, 0, lane / 4);
    const int steps = operands.steps();
    const Ring ring;

    const auto load = [&](int step) {
      const int stage = step % Ring::count;
      barrier_expect(ring.barrier(stage), Ring::bytes);
      load_tile(ring.w(stage), &operands.w, step * kTileDepth, column, ring.barrier(stage));
      load_tile(ring.x(stage), &operands.x, step * kTileDepth, first_row, ring.barrier(stage));
    };
    if (threadIdx.x == 0) {
      for (int stage = 0; stage < Ring::count; ++stage) barrier_init(ring.barrier(stage), 1);
      barrier_init_done();
      wait_for_previous_grid();  // which may have made x, or weights
      for (int step = 0; step < Ring::count && step < steps; ++step) load(step);
    }

    using Numbers = typename FinishT::template Numbers<4, kRounds>;
    [[maybe_unused]] Numbers ahead[Rows::each];
    if constexpr (FinishT::kDrawsAhead) {
#pragma unroll
      for (int number = 0; number < Rows::each; ++number) {
        ahead[number] = finish.template draw<4, kRounds>(row + 8 * number, column, thread);
      }
    }
    wait_for_previous_grid();  // scales, and what stages read, may be its work too
    __syncthreads();           // the barriers are there

    int sums[1][kSums];
    for (int step = 0; step < steps; ++step) {
      const int stage = step % Ring::count;
      barrier_wait(ring.barrier(stage), step / Ring::count & 1);
      multiply_stage<1, Blocks::columns>(sums, ring.x(stage), ring.w(stage), step > 0);
      warpgroup_wait<1>();
      if (step >= 1 && step - 1 + Ring::count < steps) {
        __syncthreads();  // all warps are through with the step before
        if (threadIdx.x == 0) load(step - 1 + Ring::count);
      }
    }
    finish_products(sums);
    let_next_grid_start();

    sums_to_floats(finish, warps_row, column, thread, sums);
#pragma unroll
    for (int number = 0; number < Rows::each; ++number) {
      const auto value = [&](int round, int pair) {
        const int* const two = &sums[0][4 * (4 * round + pair) + 2 * number];
        return Pair<float>(std::bit_cast<float>(two[0]), std::bit_cast<float>(two[1]));
      };
      if constexpr (FinishT::kDrawsAhead) {
        finish.template finish<4, kRounds>(row + 8 * number, column, thread, ahead[number], value);
      } else {
        finish.template finish<4, kRounds>(row + 8 * number, column, thread, value);
      }
    }
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
