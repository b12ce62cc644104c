// What the kernels for Hopper have in common: stages of shared memory that the copy engine fills
// (TMA), multiplied by a warpgroup of 128 threads (wgmma).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"
#include "tile_rows.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Inputs in a stage: rows of 128 bytes.
inline constexpr int kTileDepth = 128;
/// Rows of x that one wgmma multiplies.
inline constexpr int kWarpgroupRows = 64;

/// Codes of x and w as the copy engine knows them, in boxes of as many rows as a tile has.
struct TensorOperands {
  TensorMap x, w;
  int depth;

  constexpr int steps() const { return (depth + kTileDepth - 1) / kTileDepth; }
};

/// `Count` stages of `Rows` rows of x and `Columns` of w, and what stands for them: barriers in
/// front of the stages, `PerStage` for each.
template <int Rows, int Columns, int Count, int PerStage>
class Stages {
 public:
  static constexpr int count = Count;
  static constexpr int x_bytes = Rows * kTileDepth;
  static constexpr int bytes = x_bytes + Columns * kTileDepth;

  /// For so many steps, with what it takes to begin at a multiple of 1024.
  static constexpr std::size_t shared_bytes(int steps) {
    return kSwizzleBytes + kBarrierBytes + static_cast<std::size_t>(bytes) * std::min(Count, steps);
  }

  __device__ __forceinline__ Stages()
      : first_((shared_address(dynamic_shared()) + kSwizzleBytes - 1) & ~(kSwizzleBytes - 1)) {}

  __device__ __forceinline__ SharedAddress x(int stage) const {
    return first_ + kBarrierBytes + static_cast<SharedAddress>(stage * bytes);
  }
  __device__ __forceinline__ SharedAddress w(int stage) const { return x(stage) + x_bytes; }
  __device__ __forceinline__ SharedAddress barrier(int stage, int which = 0) const {
    return first_ + static_cast<SharedAddress>(8 * (PerStage * stage + which));
  }

 private:
  static constexpr SharedAddress kSwizzleBytes = 1024;  ///< what the swizzle repeats after
  static constexpr SharedAddress kBarrierBytes = kSwizzleBytes;
  static_assert(8 * PerStage * Count <= kBarrierBytes && bytes % kSwizzleBytes == 0 &&
                x_bytes % kSwizzleBytes == 0);

  SharedAddress first_;
};

/// Which stage comes next, and how often the ring was gone round.
template <int Count>
struct RingPosition {
  int stage, phase;

  __device__ __forceinline__ void next() {
    if (++stage == Count) stage = 0, phase ^= 1;
  }
};

/// sums (+)= a stage: RowTiles times 64 rows of x from `x` on, `Columns` of w. Committed, not
/// waited for.
template <int RowTiles, int Columns>
__device__ __forceinline__ void multiply_stage(int (&sums)[RowTiles][Columns / 2], SharedAddress x,
                                               SharedAddress w, bool keep) {
  const std::uint64_t of_x = tile_descriptor(x), of_w = tile_descriptor(w);
#pragma unroll
  for (int tile = 0; tile < RowTiles; ++tile) keep_registers(sums[tile]);
  warpgroup_begin();
#pragma unroll
  for (int part = 0; part < kTileDepth / 32; ++part) {
#pragma unroll
    for (int tile = 0; tile < RowTiles; ++tile) {
      multiply_64xNx32<Columns>(sums[tile],
                                of_x + tile * (kWarpgroupRows * kTileDepth / 16) + 2 * part,
                                of_w + 2 * part, keep || part > 0);
    }
  }
  warpgroup_commit();
}

/// Waits until no product is under way.
template <int RowTiles, int Sums>
__device__ __forceinline__ void finish_products(int (&sums)[RowTiles][Sums]) {
  warpgroup_wait<0>();
#pragma unroll
  for (int tile = 0; tile < RowTiles; ++tile) keep_registers(sums[tile]);
}

/// Sums of codes become floats where they lie: their scales are read once for all rows. Those of
/// several parts where the first of the rows lies. `first_row`: of the warp's 16 in the first tile.
template <int RowTiles, int Sums, class FinishT>
__device__ __forceinline__ void sums_to_floats(const FinishT& finish, int first_row, int column,
                                               int thread, int (&sums)[RowTiles][Sums]) {
  using Rows = TileRows<FinishT>;
  static_assert(Rows::tiles == 1);
  using RowFactsT = decltype(facts_of_row(finish, 0));
  RowFactsT facts[RowTiles][Rows::each];
#pragma unroll
  for (int tile = 0; tile < RowTiles; ++tile) {
#pragma unroll
    for (int number = 0; number < Rows::each; ++number) {
      facts[tile][number] =
          facts_of_row(finish, Rows::row(first_row + tile * kWarpgroupRows, number,
                                         static_cast<int>(threadIdx.x) % 32 / 4));
    }
  }
#pragma unroll
  for (int eight = 0; eight < Sums / 4; ++eight) {
    const auto values = finish.column(column + 8 * eight + 2 * thread);
#pragma unroll
    for (int tile = 0; tile < RowTiles; ++tile) {
#pragma unroll
      for (int number = 0; number < Rows::each; ++number) {
        int* const four = &sums[tile][4 * eight];
        const Pair<float> value =
            value_of_parts<FinishT>(values, facts[tile][number], [&](int part) {
              const int half = Rows::half_of(number, part);
              return Pair<std::int32_t>(four[2 * half], four[2 * half + 1]);
            });
        four[2 * number] = std::bit_cast<int>(value.first);
        four[2 * number + 1] = std::bit_cast<int>(value.second);
      }
    }
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
