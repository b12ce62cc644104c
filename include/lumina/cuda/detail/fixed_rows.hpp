// Rows, or columns, of floats in fixed point on a device, as the bytes that a product of codes
// multiplies (docs/numerics.md, "Integer split"; detail/rows/split_rows.hpp is the CPU's).
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/base/fixed_point.hpp"
#include "../../detail/random/noise_field.hpp"
#include "../../detail/simd/fixed_point.hpp"
#include "../../detail/simd/stochastic_code.hpp"
#include "../platform/platform.hpp"
#include "noise_lanes.hpp"
#include "pair.hpp"
#include "rows_of_warps.hpp"
#include "tile_rows.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

struct FloatMatrix {
  const float* first;
  std::size_t stride, rows, columns;

  constexpr const float* row(std::size_t number) const { return first + number * stride; }
};

/// Rows of bytes, `stride` from row to row (a multiple of 16), where PartRows has the parts of each
/// row; what 1 of it is worth, and the sums of each part.
struct FixedBytes {
  std::uint8_t* bytes;
  std::size_t stride;
  float* units;
  std::int32_t* sums;

  template <int Parts>
  __device__ __forceinline__ std::uint8_t* at(std::size_t row, int part, std::size_t k) const {
    return bytes + PartRows<Parts>::of_x(row, static_cast<std::size_t>(part)) * stride + k;
  }
};

/// The numbers that round a single part at random.
struct RoundingNumbers {
  NoiseField field;
  std::uint64_t first_row;  ///< of the field
  std::size_t first_block;  ///< of columns

  __device__ __forceinline__ NoiseLanes<8> lanes(std::size_t row, std::size_t block) const {
    return {field.row(first_row + row).seed_of(first_block + block),
            static_cast<int>(threadIdx.x) % 8};
  }
};

/// Integers plus 2^(8·Parts − 1), whose bytes are the parts, lowest first.
template <int Parts>
__device__ __forceinline__ Pair<std::uint32_t> fixed_bytes(const Pair<float>& values, float scale,
                                                           const Pair<float>& uniform) {
  constexpr auto kParts = static_cast<std::size_t>(Parts);
  const Pair<float> position = fixed_position<kParts>(values, Pair<float>(scale));
  Pair<std::int32_t> integers;
  if constexpr (Parts == 1) {
    integers = to_small_int(stochastic_code(position, uniform));
  } else {
    integers = nearest_fixed<kParts>(position);
  }
  return bits_as<std::uint32_t>(integers) + Pair<std::uint32_t>(1u << (8 * Parts - 1));
}
/// A part of two neighbours.
__device__ __forceinline__ std::uint16_t part_of(const Pair<std::uint32_t>& two, int part) {
  return static_cast<std::uint16_t>((two.first >> (8 * part) & 0xff) |
                                    (two.second >> (8 * part) & 0xff) << 8);
}

/// Rows of `from`, times a factor for each column: a warp for each. No sums.
template <int Parts>
__global__ void __launch_bounds__(32 * kRowsOfBlock)
    fix_rows(const FloatMatrix from, const float* factors, const FixedBytes to,
             const RoundingNumbers rounding) {
  let_next_grid_start();
  wait_for_previous_grid();
  const std::size_t row = row_of_warp();
  if (row >= from.rows) return;
  const float* const own = from.row(row);
  const std::uint32_t largest = largest_of_row(own, from.columns, [&](float v, std::size_t column) {
    return multiply(v, load_constant(factors + column));
  });
  const FixedPoint<static_cast<std::size_t>(Parts)> point(std::bit_cast<float>(largest));
  if (threadIdx.x % 32 == 0) to.units[row] = point.unit;

  [[maybe_unused]] NoiseLanes<8> lanes;
  NoiseLanes<8>::Round uniform{};
  for_each_pair_of_row(
      from.columns,
      [&](std::size_t block) {
        if constexpr (Parts == 1) lanes = rounding.lanes(row, block);
      },
      [&] {
        if constexpr (Parts == 1) uniform = lanes.next_uniform_round();
      },
      [&](std::size_t column, int pair) {
        if (column >= from.columns) return;
        const Pair<float> values =
            pair_of_row(own, column, from.columns) * pair_of_row(factors, column, from.columns);
        const Pair<std::uint32_t> two = fixed_bytes<Parts>(values, point.scale, uniform[pair]);
#pragma unroll
        for (int part = 0; part < Parts; ++part) {
          *reinterpret_cast<std::uint16_t*>(to.at<Parts>(row, part, column)) = part_of(two, part);
        }
      });
}

/// Rows that a block of measure_columns looks at.
inline constexpr int kMeasuredRows = 64;

/// The largest magnitudes' bits of columns, where they are larger than what stands there.
template <class Element>
__global__ void __launch_bounds__(128)
    measure_columns(const FloatMatrix from, Element* largest_of_columns) {
  let_next_grid_start();
  wait_for_previous_grid();
  const std::size_t column = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  const std::size_t first = std::size_t{blockIdx.y} * kMeasuredRows;
  if (column >= from.columns) return;
  const std::size_t end = std::min(first + kMeasuredRows, from.rows);
  std::uint32_t largest = 0;
#pragma unroll 8
  for (std::size_t row = first; row < end; ++row) {
    largest = std::max(largest, magnitude_bits(from.row(row)[column]));
  }
  atomic_largest(largest_of_columns + column, largest);
}

/// What a block of fix_columns and of transpose_codes turns: 32 columns, of so many rows.
inline constexpr int kTurnedRows = 128;
inline constexpr int kTurningThreads = 256;
/// Rows of bytes in shared memory: in other banks.
inline constexpr int kTurnedStride = kTurnedRows + 4;

/// A thread's 16 of the bytes of a turned row, to `to` if they are there; the sum of all bytes of
/// the row, by eight threads: sum_of(four of them, sum).
template <class SumOf>
__device__ __forceinline__ std::int32_t store_turned(const std::byte* row, std::uint8_t* to,
                                                     bool there, const SumOf& sum_of) {
  const auto* const words = reinterpret_cast<const std::uint32_t*>(row) + threadIdx.x % 8 * 4;
  const Words4 four{words[0], words[1], words[2], words[3]};
  if (there) *reinterpret_cast<Words4*>(to + threadIdx.x % 8 * 16) = four;
  std::int32_t sum = sum_of(four.x, sum_of(four.y, sum_of(four.z, sum_of(four.w, 0))));
#pragma unroll
  for (int mask = 1; mask < 8; mask *= 2) sum += shuffle_xor(sum, mask);
  return sum;
}

template <int Parts>
inline constexpr std::size_t kFixColumnsShared =
    sizeof(float) * kTurnedRows * 34 + std::size_t{Parts} * 32 * kTurnedStride;

/// Columns of `from` as rows: block (x, y) has rows and columns of that number. Sums are added to
/// what stands there.
template <int Parts>
__global__ void __launch_bounds__(kTurningThreads)
    fix_columns(const FloatMatrix from, const std::uint32_t* largest_of_columns,
                const FixedBytes to, const RoundingNumbers rounding) {
  let_next_grid_start();
  wait_for_previous_grid();
  constexpr int kStride = 34;  // four columns of eight rows' floats are in different banks
  auto* const floats = reinterpret_cast<float*>(dynamic_shared());
  std::byte* const bytes = dynamic_shared() + sizeof(float) * kTurnedRows * kStride;
  const std::size_t first_row = std::size_t{blockIdx.x} * kTurnedRows;
  const std::size_t first_column = std::size_t{blockIdx.y} * 32;
  {
    const std::size_t in_tile = threadIdx.x % 32, column = first_column + in_tile;
#pragma unroll 8
    for (int i = static_cast<int>(threadIdx.x) / 32; i < kTurnedRows; i += kTurningThreads / 32) {
      const std::size_t row = first_row + static_cast<std::size_t>(i);
      const bool there = row < from.rows && column < from.columns;
      floats[i * kStride + static_cast<int>(in_tile)] = there ? from.row(row)[column] : 0.0f;
    }
  }
  __syncthreads();

  const int own = static_cast<int>(threadIdx.x) / 8, thread = static_cast<int>(threadIdx.x) % 8;
  const std::size_t column = first_column + static_cast<std::size_t>(own);
  const bool there = column < from.columns;
  const FixedPoint<static_cast<std::size_t>(Parts)> point(
      std::bit_cast<float>(there ? largest_of_columns[column] : 0u));
  if (there && blockIdx.x == 0 && thread == 0) to.units[column] = point.unit;

  const auto row_of_bytes = [&](int part) { return bytes + (part * 32 + own) * kTurnedStride; };
  [[maybe_unused]] NoiseLanes<8> lanes;
  if constexpr (Parts == 1) lanes = rounding.lanes(column, blockIdx.x);
#pragma unroll
  for (int round = 0; round < kTurnedRows / 32; ++round) {
    NoiseLanes<8>::Round uniform{};
    if constexpr (Parts == 1) uniform = lanes.next_uniform_round();
#pragma unroll
    for (int pair = 0; pair < kPairs<8>; ++pair) {
      const int i = 32 * round + column_of_pair<8>(thread, pair);
      const Pair<float> values(floats[i * kStride + own], floats[(i + 1) * kStride + own]);
      Pair<std::uint32_t> two = fixed_bytes<Parts>(values, point.scale, uniform[pair]);
      if (first_row + static_cast<std::size_t>(i) >= from.rows) two.first = 0;
      if (first_row + static_cast<std::size_t>(i) + 1 >= from.rows) two.second = 0;
#pragma unroll
      for (int part = 0; part < Parts; ++part) {
        *reinterpret_cast<std::uint16_t*>(row_of_bytes(part) + i) = part_of(two, part);
      }
    }
  }
  __syncwarp();  // eight threads have a row
  const bool in_row = there && first_row + static_cast<std::size_t>(16 * thread) < to.stride;
#pragma unroll
  for (int part = 0; part < Parts; ++part) {
    const std::int32_t sum = store_turned(
        row_of_bytes(part), there ? to.at<Parts>(column, part, first_row) : to.bytes, in_row,
        [](std::uint32_t four, std::int32_t before) { return dot_4(four, 0x01010101u, before); });
    if (there && thread == 0) {
      atomic_add(
          to.sums + column * static_cast<std::size_t>(Parts) + static_cast<std::size_t>(part), sum);
    }
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
