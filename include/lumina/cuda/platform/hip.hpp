// The platform HIP, for hipcc. Kernels compile; nobody has run them. A warp is 32 neighbouring
// threads here too, where the hardware's has 64. What multiplies matrices of bytes is software,
// asynchronous copies are plain ones, and what only Hopper has is empty.
//
// Compile with -std=c++20 -ffp-contract=off: hipcc contracts by default, which changes numbers.
// Quotients and roots are right by default (-fhip-fp32-correctly-rounded-divide-sqrt).
#pragma once

#include <hip/hip_runtime.h>

#include <cstddef>
#include <cstdint>

#include "hip/hopper.hpp"
#include "hip/runtime.hpp"
#include "software_matrix.hpp"
#include "vector_types.hpp"

// (A kernel's parameters are in constant memory anyway.)
#if !defined(__grid_constant__)
#define __grid_constant__
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {

__device__ __forceinline__ std::byte* dynamic_shared() {
  extern __shared__ __align__(1024) std::byte lumina_shared_memory[];
  return lumina_shared_memory;
}

/// Its offset from the block's first byte.
__device__ __forceinline__ SharedAddress shared_address(const void* at) {
  return static_cast<SharedAddress>(static_cast<const std::byte*>(at) - dynamic_shared());
}

__device__ __forceinline__ void copy_16_async(SharedAddress to, const void* from, unsigned bytes) {
  std::byte* const at = dynamic_shared() + to;
  if (bytes == 16) {
    *reinterpret_cast<Words4*>(at) = *static_cast<const Words4*>(from);
    return;
  }
  for (unsigned i = 0; i < 16; ++i) {
    at[i] = i < bytes ? static_cast<const std::byte*>(from)[i] : std::byte{0};
  }
}

__device__ __forceinline__ void copy_4_async(SharedAddress to, const void* from, bool there) {
  *reinterpret_cast<std::uint32_t*>(dynamic_shared() + to) =
      there ? *static_cast<const std::uint32_t*>(from) : 0;
}

__device__ __forceinline__ void commit_copies() {}

template <int N>
__device__ __forceinline__ void wait_copies() {}

template <class T>
__device__ __forceinline__ T load_constant(const T* from) {
  return *from;
}

/// Between the 32 threads that CUDA has in a warp, where the hardware has 64.
template <class T>
__device__ __forceinline__ T shuffle_xor(T v, int mask) {
  return __shfl_xor(v, mask, 32);
}

/// v of that lane of the 32. The compiler is not to know it again, or it would keep the bytes of
/// all that a warp multiplies in registers, each in one of its own.
__device__ __forceinline__ std::uint32_t from_lane(std::uint32_t v, unsigned lane) {
  std::uint32_t its = __shfl(v, static_cast<int>(lane), 32);
  asm volatile("" : "+v"(its));
  return its;
}

__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], SharedAddress at) {
  load_matrices_by_lanes(
      r, at, threadIdx.x % 32, [](SharedAddress v, unsigned lane) { return from_lane(v, lane); },
      [](SharedAddress word) {
        return *reinterpret_cast<const std::uint32_t*>(dynamic_shared() + word);
      });
}

__device__ __forceinline__ void multiply_16x8x32(int (&d)[4], const std::uint32_t (&a)[4],
                                                 std::uint32_t b0, std::uint32_t b1) {
  multiply_16x8x32_by_lanes(d, a, b0, b1, threadIdx.x % 32,
                            [](std::uint32_t v, unsigned lane) { return from_lane(v, lane); });
}

/// (Here, for not every HIP has it.)
__device__ __forceinline__ void __syncwarp() {
  __builtin_amdgcn_fence(__ATOMIC_ACQ_REL, "wavefront");
  __builtin_amdgcn_wave_barrier();
}

__device__ __forceinline__ void atomic_largest(std::uint32_t* to, std::uint32_t v) {
  atomicMax(to, v);
}
__device__ __forceinline__ void atomic_add(std::int32_t* to, std::int32_t v) { atomicAdd(to, v); }

__device__ __forceinline__ void wait_for_previous_grid() {}
__device__ __forceinline__ void let_next_grid_start() {}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
