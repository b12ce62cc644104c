// Products of codes on Hopper where there are many tiles: a warpgroup loads, and two others take
// turns, one multiplying its tile while the other makes noise and stores.
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

struct PingPongBlocks {
  static constexpr int row_tiles = 2;  ///< of 64 rows, of a warpgroup
  static constexpr int rows = kWarpgroupRows * row_tiles, columns = 128, threads = 3 * 128;
  /// Registers of a thread that loads, and of one that multiplies.
  static constexpr int loading_registers = 40, multiplying_registers = 232;
  using Ring = Stages<rows, columns, 6, 2>;
  /// Barriers of a stage.
  enum Barrier { kFull, kEmpty };
};

/// Tiles of y, by columns of tiles: neighbours in time share weights.
struct TileOrder {
  int rows_of_tiles, tiles;

  __device__ __forceinline__ int row(int tile) const {
    return tile % rows_of_tiles * PingPongBlocks::rows;
  }
  __device__ __forceinline__ int column(int tile) const {
    return tile / rows_of_tiles * PingPongBlocks::columns;
  }
};

using PingPongSums = int[PingPongBlocks::row_tiles][PingPongBlocks::columns / 2];

/// Through the epilogue with a tile: a loop over groups, of a row of y and 128 columns, that is not
/// unrolled, so that its code stays in the cache of instructions. Registers have no run-time index:
/// a group's values are chosen among those of all, before the others or, where stages need the
/// registers, two by two.
template <class FinishT>
__device__ __forceinline__ void finish_tile(const FinishT& finish, int warps_row, int column,
                                            int thread, PingPongSums& sums) {
  using Rows = TileRows<FinishT>;
  constexpr int kEach = Rows::each, kGroups = kEach * PingPongBlocks::row_tiles;
  constexpr int kRounds = PingPongBlocks::columns / 32;
  const auto values_of = [&](int group, int eight) {
    const int* const two = &sums[group / kEach][4 * eight + group % kEach * 2];
    return Pair<float>(std::bit_cast<float>(two[0]), std::bit_cast<float>(two[1]));
  };
  sums_to_floats(finish, warps_row, column, thread, sums);
#pragma unroll 1
  for (int group = 0; group < kGroups; ++group) {
    const int row = Rows::row(warps_row + group / kEach * kWarpgroupRows, group % kEach,
                              static_cast<int>(threadIdx.x) % 32 / 4);
    if constexpr (FinishT::kDrawsAhead && !FinishT::kObserved) {
      Pair<float> values[4 * kRounds];
#pragma unroll
      for (int known = 0; known < kGroups; ++known) {
        if (group != known) continue;
#pragma unroll
        for (int eight = 0; eight < 4 * kRounds; ++eight) values[eight] = values_of(known, eight);
      }
      finish.template finish<4, kRounds>(
          row, column, thread, [&](int round, int pair) { return values[4 * round + pair]; });
    } else {
      finish.template finish<4, kRounds>(row, column, thread, [&](int round, int pair) {
        Pair<float> values = values_of(0, 4 * round + pair);
#pragma unroll
        for (int known = 1; known < kGroups; ++known) {
          if (group == known) values = values_of(known, 4 * round + pair);
        }
        return values;
      });
    }
  }
}

template <class FinishT>
__global__ void __launch_bounds__(PingPongBlocks::threads, 1)
    multiply_codes_in_turns(const __grid_constant__ TensorOperands operands, const TileOrder order,
                            const __grid_constant__ FinishT finish) {
  if constexpr (kHasTensorMemory) {
    using Blocks = PingPongBlocks;
    using Ring = Blocks::Ring;
    constexpr int kPairOfGroups = 2 * 128;
    const int role = static_cast<int>(threadIdx.x) / 128;
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int warp = static_cast<int>(threadIdx.x) / 32 % 4;
    const int steps = operands.steps();
    const int first_tile = static_cast<int>(blockIdx.x), tiles_on = static_cast<int>(gridDim.x);
    const Ring ring;

    if (threadIdx.x == 0) {
      for (int stage = 0; stage < Ring::count; ++stage) {
        barrier_init(ring.barrier(stage, Blocks::kFull), 1);
        barrier_init(ring.barrier(stage, Blocks::kEmpty), 4);  // the warps of a group
      }
      barrier_init_done();
    }
    __syncthreads();

    if (role == 0) {
      fewer_registers<Blocks::loading_registers>();
      if (threadIdx.x == 0) {
        wait_for_previous_grid();
        RingPosition<Ring::count> at{0, 1};
        for (int tile = first_tile; tile < order.tiles; tile += tiles_on) {
          for (int step = 0; step < steps; ++step, at.next()) {
            const SharedAddress full = ring.barrier(at.stage, Blocks::kFull);
            barrier_wait(ring.barrier(at.stage, Blocks::kEmpty), at.phase);
            barrier_expect(full, Ring::bytes);
            load_tile(ring.x(at.stage), &operands.x, step * kTileDepth, order.row(tile), full);
            load_tile(ring.w(at.stage), &operands.w, step * kTileDepth, order.column(tile), full);
          }
        }
      }
    } else {
      more_registers<Blocks::multiplying_registers>();
      wait_for_previous_grid();  // scales, and what stages read, may be its work too
      const int group = role - 1;
      const auto release = [&](int stage) {
        if (lane == 0) barrier_arrive(ring.barrier(stage, Blocks::kEmpty));
      };
      // Named barriers 1 and 2: the turn of group 0 and of group 1 to multiply.
      if (group == 1) named_barrier_arrive(1, kPairOfGroups);
      long long loads = 0;  // of all tiles before
      int turn = 0;
      for (int tile = first_tile; tile < order.tiles; tile += tiles_on, loads += steps, ++turn) {
        if (turn % 2 != group) continue;
        PingPongSums sums;
        RingPosition<Ring::count> at{static_cast<int>(loads % Ring::count),
                                     static_cast<int>(loads / Ring::count & 1)};
        int before = 0;
        named_barrier_sync(1 + group, kPairOfGroups);
        for (int step = 0; step < steps; ++step, at.next()) {
          barrier_wait(ring.barrier(at.stage, Blocks::kFull), at.phase);
          multiply_stage<Blocks::row_tiles, Blocks::columns>(sums, ring.x(at.stage),
                                                             ring.w(at.stage), step > 0);
          if (step + 1 == steps) named_barrier_arrive(2 - group, kPairOfGroups);
          warpgroup_wait<1>();
          if (step > 0) release(before);
          before = at.stage;
        }
        finish_products(sums);
        release(before);
        finish_tile(finish, order.row(tile) + warp * 16, order.column(tile), lane % 4, sums);
      }
      let_next_grid_start();
    }
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
