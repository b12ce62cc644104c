// Barriers in shared memory that copies arrive at, and tiles that the copy engine brings (sm_90a).
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include "../vector_types.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
/// Whether this pass of the compiler is for a GPU that has what is below and in warpgroup.hpp; the
/// functions are empty where not. (The host's pass sees the kernels as Hopper's does.)
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
inline constexpr bool kHasTensorMemory = true;
#else
inline constexpr bool kHasTensorMemory = false;
#endif

/// A matrix of bytes in device memory, as the copy engine knows it; from make_tensor_map().
using TensorMap = CUtensorMap;

/// A barrier, 8 bytes of shared memory, aligned to 8, of phases that end with `count` arrivals and
/// all expected bytes. One thread; before others use it: barrier_init_done() and __syncthreads().
__device__ __forceinline__ void barrier_init([[maybe_unused]] SharedAddress bar,
                                             [[maybe_unused]] int count) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(bar), "r"(count) : "memory");
#endif
}

/// The thread's barriers are there for the copy engine too.
__device__ __forceinline__ void barrier_init_done() {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

/// Arrives, and the phase waits for so many bytes more.
__device__ __forceinline__ void barrier_expect([[maybe_unused]] SharedAddress bar,
                                               [[maybe_unused]] int bytes) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(bar), "r"(bytes)
               : "memory");
#endif
}

__device__ __forceinline__ void barrier_arrive([[maybe_unused]] SharedAddress bar) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(bar) : "memory");
#endif
}

/// Waits until the phase of that parity has ended: the first is 0, and the one before it is over.
__device__ __forceinline__ void barrier_wait([[maybe_unused]] SharedAddress bar,
                                             [[maybe_unused]] int parity) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile(
      "{\n"
      ".reg .pred ended;\n"
      "again_%=:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 ended, [%0], %1;\n"
      "@!ended bra again_%=;\n"
      "}" ::"r"(bar),
      "r"(parity)
      : "memory");
#endif
}

/// Has the map's box of bytes from column k of row `row` on, each row 128 bytes, brought to `to`, a
/// multiple of 1024: zeros for what is outside of the matrix, chunks of 16 bytes swizzled (chunk c
/// of row r is at c ^ r % 8). All bytes of the box arrive at `bar`. One thread.
__device__ __forceinline__ void load_tile([[maybe_unused]] SharedAddress to,
                                          [[maybe_unused]] const TensorMap* map,
                                          [[maybe_unused]] int k, [[maybe_unused]] int row,
                                          [[maybe_unused]] SharedAddress bar) {
#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3, %4}], [%2];" ::"r"(to),
      "l"(map), "r"(bar), "r"(k), "r"(row)
      : "memory");
#endif
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
