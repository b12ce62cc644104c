// Rows of floats, one for each warp: four times eight threads side by side, each eight of them with
// the 32 columns of a round of the noise (noise_lanes.hpp).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../../detail/layout/float_panels.hpp"
#include "../platform/platform.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"
#include "warp_reductions.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Warps of a block whose warps have a row each.
inline constexpr int kRowsOfBlock = 4;

__device__ __forceinline__ std::size_t row_of_warp() {
  return std::size_t{blockIdx.x} * kRowsOfBlock + threadIdx.x / 32;
}
inline LaunchShape shape_of_rows(std::size_t rows) {
  return {static_cast<unsigned>(ceil_div(rows, std::size_t{kRowsOfBlock})), 1, 32 * kRowsOfBlock, 0,
          true};
}

/// The magnitude's bits: those of Inf and NaN exceed all others.
__device__ __forceinline__ std::uint32_t magnitude_bits(float v) {
  return std::bit_cast<std::uint32_t>(v) & 0x7fffffffu;
}
inline constexpr std::uint32_t kInfinityBits = 0x7f800000u;

/// f(column) for the first of two neighbouring columns, for all columns up to `columns`, rounded up
/// to a multiple of 128: each of the warp's threads gets its own. begin(column block): before those
/// of a block; next(round): before the two pairs of each 32 columns.
template <class Begin, class Next, class F>
__device__ __forceinline__ void for_each_pair_of_row(std::size_t columns, const Begin& begin,
                                                     const Next& next, const F& f) {
  const int lane = static_cast<int>(threadIdx.x) % 32, thread = lane % 8;
  const std::size_t blocks = (columns + kBlockColumns - 1) / kBlockColumns;
#pragma unroll 1
  for (std::size_t block = static_cast<std::size_t>(lane / 8); block < blocks; block += 4) {
    begin(block);
#pragma unroll
    for (int round = 0; round < static_cast<int>(kBlockColumns) / 32; ++round) {
      next();
#pragma unroll
      for (int pair = 0; pair < kPairs<8>; ++pair) {
        f(block * kBlockColumns +
              static_cast<std::size_t>(32 * round + column_of_pair<8>(thread, pair)),
          pair);
      }
    }
  }
}

/// Two neighbours of a row, 0 behind its end.
__device__ __forceinline__ Pair<float> pair_of_row(const float* row, std::size_t column,
                                                   std::size_t columns) {
  return {column < columns ? row[column] : 0.0f, column + 1 < columns ? row[column + 1] : 0.0f};
}

/// The largest magnitude's bits of a row, of what of(its columns' values, column) makes of it.
template <class Of>
__device__ __forceinline__ std::uint32_t largest_of_row(const float* row, std::size_t columns,
                                                        const Of& of) {
  std::uint32_t largest = 0;
  for (std::size_t column = threadIdx.x % 32; column < columns; column += 32) {
    const std::uint32_t own = magnitude_bits(of(row[column], column));
    largest = largest < own ? own : largest;
  }
  return largest_of_warp(largest);
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
