// Shared memory, copies to it that the thread does not wait for, and reads of what no one writes.
#pragma once

#include <cuda_runtime.h>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../vector_types.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
/// The block's dynamic shared memory, aligned to 1024 bytes: all that a kernel has.
__device__ __forceinline__ std::byte* dynamic_shared() {
  extern __shared__ __align__(1024) std::byte lumina_shared_memory[];
  return lumina_shared_memory;
}

__device__ __forceinline__ SharedAddress shared_address(const void* at) {
  return static_cast<SharedAddress>(__cvta_generic_to_shared(at));
}

/// 16 bytes, both places aligned to 16: the first `bytes` of them (0 … 16) from memory, zeros
/// behind.
__device__ __forceinline__ void copy_16_async(SharedAddress to, const void* from, unsigned bytes) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to),
               "l"(__cvta_generic_to_global(from)), "r"(bytes)
               : "memory");
}

/// 4 bytes, both places aligned to 4; zeros unless `there`.
__device__ __forceinline__ void copy_4_async(SharedAddress to, const void* from, bool there) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to),
               "l"(__cvta_generic_to_global(from)), "r"(there ? 4u : 0u)
               : "memory");
}

/// The thread's copies since the last commit are a group.
__device__ __forceinline__ void commit_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

/// Waits until at most the last N of the thread's groups are under way.
template <int N>
__device__ __forceinline__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

/// *from, aligned to its size of 1, 2, 4, 8 or 16 bytes, which nothing writes while the kernel
/// runs.
template <class T>
__device__ __forceinline__ T load_constant(const T* from) {
  if constexpr (std::is_arithmetic_v<T>) {
    return __ldg(from);
  } else if constexpr (sizeof(T) == 16) {
    return std::bit_cast<T>(__ldg(reinterpret_cast<const uint4*>(from)));
  } else if constexpr (sizeof(T) == 8) {
    return std::bit_cast<T>(__ldg(reinterpret_cast<const uint2*>(from)));
  } else {
    static_assert(sizeof(T) == 4);
    return std::bit_cast<T>(__ldg(reinterpret_cast<const unsigned*>(from)));
  }
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
