// What products of codes read, and where a tile of it lies in shared memory.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../coded_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Rows of bytes that begin at multiples of 16 bytes, of which `depth` count.
struct ByteRows {
  const void* first;
  std::size_t stride;  ///< in bytes
  int rows;

  __device__ __forceinline__ const std::byte* at(int row, int k) const {
    return static_cast<const std::byte*>(first) + static_cast<std::size_t>(row) * stride + k;
  }
};

/// x [rows, depth] of unsigned codes times w [columns, depth] of signed ones.
struct CodeOperands {
  ByteRows x, w;
  int depth;
};

/// How many of 16 inputs from k on there are.
__device__ __forceinline__ unsigned bytes_from(int k, int depth) {
  return static_cast<unsigned>(depth - k < 0 ? 0 : depth - k > 16 ? 16 : depth - k);
}

/// Where 16 bytes, number `chunk`, of a row lie in a tile with rows of Bytes (64 or 128): exchanged
/// so that eight rows' chunks of one number are in different banks. With 128 it is the swizzle of
/// tensor maps and wgmma.
template <int Bytes>
__device__ __forceinline__ std::uint32_t place_in_tile(int row, int chunk) {
  static_assert(Bytes == 64 || Bytes == 128);
  const int turned = Bytes == 128 ? chunk ^ (row & 7) : chunk ^ ((row >> 1) & 3);
  return static_cast<std::uint32_t>(row * Bytes + turned * 16);
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
