// What the threads of a warp do together. All 32 call each of these.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "../vector_types.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
/// v of the thread whose lane differs by the bits of the mask.
__device__ __forceinline__ std::uint32_t shuffle_xor(std::uint32_t v, int mask) {
  return __shfl_xor_sync(0xffffffffu, v, mask);
}
__device__ __forceinline__ std::int32_t shuffle_xor(std::int32_t v, int mask) {
  return __shfl_xor_sync(0xffffffffu, v, mask);
}
__device__ __forceinline__ float shuffle_xor(float v, int mask) {
  return __shfl_xor_sync(0xffffffffu, v, mask);
}

/// Four matrices of 8 rows of 16 bytes: lane l says where row l % 8 of matrix l / 8 is, aligned to
/// 16, and gets in r[i] the bytes 4·(l % 4) … + 3 of row l / 4 of matrix i.
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], SharedAddress at) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(at)
               : "memory");
}

/// d += A·B: A 16 × 32 unsigned bytes, B 32 × 8 signed bytes. Lane 4g + t has of A the bytes
/// 4t … 4t + 3 (a[0], a[1]) and 16 + 4t … (a[2], a[3]) of rows g (a[0], a[2]) and g + 8; of B those
/// of column g (b0, b1); of the sums columns 2t, 2t + 1 of row g (d[0], d[1]) and of row g + 8.
__device__ __forceinline__ void multiply_16x8x32(int (&d)[4], const std::uint32_t (&a)[4],
                                                 std::uint32_t b0, std::uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

/// sum + the products of four unsigned bytes and four signed ones. (A thread by itself.)
__device__ __forceinline__ std::int32_t dot_4(std::uint32_t bytes_u8, std::uint32_t bytes_s8,
                                              std::int32_t sum) {
  std::int32_t result;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(result) : "r"(bytes_u8), "r"(bytes_s8), "r"(sum));
  return result;
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
