// What only Hopper has (cuda/tensor_memory.hpp, cuda/warpgroup.hpp, cuda/tensor_maps.hpp), so that
// kernels which name it compile; none of it is ever called.
#pragma once

#include <hip/hip_runtime.h>

#include <cstddef>
#include <cstdint>

#include "../vector_types.hpp"
#include "runtime.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
inline constexpr bool kHasTensorMemory = false;

struct TensorMap {};

template <class... Arguments>
Error make_tensor_map(TensorMap&, const Arguments&...) {
  return hipErrorNotSupported;
}

__device__ __forceinline__ void barrier_init(SharedAddress, int) {}
__device__ __forceinline__ void barrier_init_done() {}
__device__ __forceinline__ void barrier_expect(SharedAddress, int) {}
__device__ __forceinline__ void barrier_arrive(SharedAddress) {}
__device__ __forceinline__ void barrier_wait(SharedAddress, int) {}
__device__ __forceinline__ void load_tile(SharedAddress, const TensorMap*, int, int,
                                          SharedAddress) {}

__device__ __forceinline__ std::uint64_t tile_descriptor(SharedAddress) { return 0; }
template <int N>
__device__ __forceinline__ void keep_registers(int (&)[N]) {}
template <int Columns>
__device__ __forceinline__ void multiply_64xNx32(int (&)[Columns / 2], std::uint64_t, std::uint64_t,
                                                 bool) {}
__device__ __forceinline__ void warpgroup_begin() {}
__device__ __forceinline__ void warpgroup_commit() {}
template <int N>
__device__ __forceinline__ void warpgroup_wait() {}
__device__ __forceinline__ void named_barrier_sync(int, int) {}
__device__ __forceinline__ void named_barrier_arrive(int, int) {}
template <int N>
__device__ __forceinline__ void more_registers() {}
template <int N>
__device__ __forceinline__ void fewer_registers() {}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
