// Memory that many threads change.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../vector_types.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
/// *to = max(*to, v), of the device's memory.
__device__ __forceinline__ void atomic_largest(std::uint32_t* to, std::uint32_t v) {
  atomicMax(to, v);
}
/// *to += v.
__device__ __forceinline__ void atomic_add(std::int32_t* to, std::int32_t v) { atomicAdd(to, v); }

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
