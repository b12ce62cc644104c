// What all 32 threads of a warp make of a number of each.
#pragma once

#include <cstdint>

#include "../../config.hpp"
#include "../platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

__device__ __forceinline__ std::uint32_t largest_of_warp(std::uint32_t v) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) {
    const std::uint32_t other = shuffle_xor(v, mask);
    v = v < other ? other : v;
  }
  return v;
}

template <class Int>
__device__ __forceinline__ Int sum_of_warp(Int v) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) v += shuffle_xor(v, mask);
  return v;
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
