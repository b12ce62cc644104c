// Floats of a GPU: each function is one IEEE operation, rounded once, whatever the compiler is told
// about contraction and approximations (but for -ftz, which no function escapes). What is not
// nvcc's device code is plain C++, so that the vectors made of these (pair.hpp) are tested with the
// host's compiler; hipcc needs -ffp-contract=off.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/base/scalar_math.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

constexpr float add(float a, float b) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) return __fadd_rn(a, b);
#endif
  return a + b;
}
constexpr float subtract(float a, float b) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) return __fsub_rn(a, b);
#endif
  return a - b;
}
constexpr float multiply(float a, float b) { return product(a, b); }
constexpr float divide(float a, float b) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) return __fdiv_rn(a, b);
#endif
  return a / b;
}
constexpr float multiply_add(float a, float b, float c) { return fused_multiply_add(a, b, c); }
constexpr float root(float a) { return square_root(a); }
constexpr float magnitude_of(float a) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(a) & 0x7fffffffu);
}

#if defined(__CUDA_ARCH__)
__device__ __forceinline__ float approximate_inverse_root(float a) {
  float result;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(a));
  return result;
}
__device__ __forceinline__ float larger_or_nan(float a, float b) {
  float result;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
__device__ __forceinline__ float smaller_or_nan(float a, float b) {
  float result;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}
#endif

/// root(a) for a = 0 and 2^-23 ≤ a ≤ 45, without the test for what lies outside: an approximation
/// and Heron's correction, which is right for all results of Box–Muller (compared with root() for
/// each of its 2^32 radius words).
constexpr float quick_root(float a) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) {
    const float inverse = approximate_inverse_root(fmaxf(a, 1e-30f));
    const float near = __fmul_rn(a, inverse);
    return __fmaf_rn(__fmaf_rn(-near, near, a), __fmul_rn(inverse, 0.5f), near);
  }
#endif
  return root(a);
}

/// a, limited to [lo, hi]; NaN stays NaN. The sign of a 0 is any, where a limit is one.
constexpr float limit(float a, float lo, float hi) {
#if defined(__CUDA_ARCH__)
  if (!std::is_constant_evaluated()) return smaller_or_nan(hi, larger_or_nan(lo, a));
#endif
  const float above = lo > a ? lo : a;
  return hi < above ? hi : above;
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
