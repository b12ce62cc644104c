// Codes of weights, or of x, turned on a device: each column a row of signed bytes
// (detail/training/code_columns.hpp is the CPU's).
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../platform/platform.hpp"
#include "encode_kernel.hpp"
#include "fixed_rows.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Rows of bytes, `stride` from row to row (a multiple of 16), and the sum of each.
struct ByteColumns {
  std::uint8_t* bytes;
  std::size_t stride;
  std::int32_t* sums;
};

inline constexpr std::size_t kTransposeShared = std::size_t{32} * kTurnedStride;

/// What `map` (encode_kernel.hpp) makes of `from`, its bits changed by `flip`, turned. Block (x, y)
/// has rows and columns of that number; sums are added to what stands there.
template <class Map>
__global__ void __launch_bounds__(kTurningThreads)
    transpose_codes(const InputRows<typename Map::Input> from, const ByteColumns to,
                    const __grid_constant__ Map map, const std::uint8_t flip) {
  using Input = typename Map::Input;
  let_next_grid_start();
  wait_for_previous_grid();
  std::byte* const bytes = dynamic_shared();
  const int first_row = static_cast<int>(blockIdx.x) * kTurnedRows;
  const int first_column = static_cast<int>(blockIdx.y) * 32;
  const int pair = static_cast<int>(threadIdx.x) % 16;
  const int left = from.depth - (first_column + 2 * pair);
#pragma unroll 4
  for (int i = static_cast<int>(threadIdx.x) / 16; i < kTurnedRows; i += kTurningThreads / 16) {
    const int row = first_row + i;
    Pair<std::uint8_t> codes(0);
    if (row < from.rows && left > 0) {
      const Input* const own =
          from.first + static_cast<std::size_t>(row) * from.stride + first_column + 2 * pair;
      const Pair<Input> inputs(own[0], left > 1 ? own[1] : Input{});
      codes = map(inputs);
      codes = {static_cast<std::uint8_t>(codes.first ^ flip),
               static_cast<std::uint8_t>(codes.second ^ flip)};
    }
    bytes[2 * pair * kTurnedStride + i] = std::byte{codes.first};
    bytes[(2 * pair + 1) * kTurnedStride + i] = std::byte{codes.second};
  }
  __syncthreads();
  const int own = static_cast<int>(threadIdx.x) / 8, thread = static_cast<int>(threadIdx.x) % 8;
  const bool there = first_column + own < from.depth;
  const std::size_t column = static_cast<std::size_t>(first_column + own);
  const auto first = static_cast<std::size_t>(first_row);
  const std::int32_t sum = store_turned(
      bytes + own * kTurnedStride, to.bytes + (there ? column * to.stride + first : 0),
      there && first + static_cast<std::size_t>(16 * thread) < to.stride,
      [](std::uint32_t four, std::int32_t before) { return dot_4(0x01010101u, four, before); });
  if (there && thread == 0) atomic_add(to.sums + column, sum);
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
