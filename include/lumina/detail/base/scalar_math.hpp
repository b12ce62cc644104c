// The few roundings that everything is defined with, for single floats; usable in constant
// expressions. detail/simd/vectors.hpp has the same operations for vectors.
//
// On a GPU (__CUDA_ARCH__) they are nvcc's own functions for one rounding, which no option of the
// compiler contracts or makes approximate.
#pragma once

#include <math.h>

#include <bit>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "../../config.hpp"

// (Builtins, for <cmath>'s functions are compiled as the user says: float_modes.hpp.)
LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// a·b + c rounded once, in constant expressions: the exact product and the sum rounded to odd
/// in double, so that rounding to float afterwards is the only rounding (Boldo and Melquiond,
/// "Emulation of FMA and correctly rounded sums: proved algorithms using rounding to odd", 2008).
constexpr float fused_multiply_add_exact(float a, float b, float c) {
  const double product = static_cast<double>(a) * static_cast<double>(b);
  const double addend = static_cast<double>(c);
  const double sum = product + addend;
  const double part = sum - product;
  const double error = (product - (sum - part)) + (addend - part);
  const auto bits = std::bit_cast<std::uint64_t>(sum);
  const bool finite = (bits & 0x7ff0000000000000u) != 0x7ff0000000000000u;
  if (!finite || error == 0.0 || (bits & 1u) != 0) return static_cast<float>(sum);
  const bool away_from_zero = (error > 0.0) == (sum > 0.0);
  return static_cast<float>(std::bit_cast<double>(away_from_zero ? bits + 1 : bits - 1));
}

/// True where a·b + c rounded once is one instruction.
#if defined(LUMINA_HAS_FMA)
inline constexpr bool kHasFma = true;
#else
inline constexpr bool kHasFma = false;
#endif

/// newlib, the C library of many microcontrollers, has an fmaf of its own where there is no such
/// instruction: a product and a sum in double, so that results are rounded twice.
#if defined(__NEWLIB__) || defined(_NEWLIB_VERSION)
inline constexpr bool kFmaRoundsOnce = kHasFma;
#else
inline constexpr bool kFmaRoundsOnce = true;
#endif

/// The C library's fmaf, where there is no instruction: clang that was given
/// -funsafe-math-optimizations would make a product and a sum of it, were it to know what it calls.
inline float library_fma(float a, float b, float c) {
#if defined(__clang__)
  float (*function)(float, float, float) = &::fmaf;
  asm("" : "+r"(function));
  return function(a, b, c);
#else
  return __builtin_fmaf(a, b, c);
#endif
}

/// a·b + c rounded once, on every machine.
constexpr float fused_multiply_add(float a, float b, float c) {
  if (std::is_constant_evaluated() || !kFmaRoundsOnce) return fused_multiply_add_exact(a, b, c);
#if defined(__CUDA_ARCH__)
  return __fmaf_rn(a, b, c);
#elif defined(LUMINA_HAS_FMA)
  return __builtin_fmaf(a, b, c);
#else
  return library_fma(a, b, c);
#endif
}

/// One link of a dot product's chain: fused where the machine fuses, rounded twice where a
/// software FMA would cost a hundred times more (docs/numerics.md, "Accumulation order").
constexpr float chain_multiply_add(float a, float b, float c) {
  if constexpr (kHasFma) {
    return fused_multiply_add(a, b, c);
  } else {
    return a * b + c;
  }
}

/// a·b rounded by itself: a plain product may be contracted with a later addition into an FMA
/// (compilers do so by default), and the result would depend on the compiler.
constexpr float product(float a, float b) {
  if (std::is_constant_evaluated() || !kHasFma) return a * b;
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return __builtin_fmaf(a, b, -0.0f);
#endif
}
constexpr double product(double a, double b) {
  if (std::is_constant_evaluated() || !kHasFma) return a * b;
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return __builtin_fma(a, b, -0.0);
#endif
}

/// √a, rounded to nearest; NaN where a is negative.
constexpr float square_root(float a) {
  if (std::is_constant_evaluated()) {
    if (a < 0.0f) return std::numeric_limits<float>::quiet_NaN();
    if (!(a > 0.0f && a <= std::numeric_limits<float>::max())) return a;
    // Heron's rule from above; √a is no float and no middle of two but where it is exact.
    const auto square = static_cast<double>(a);
    double root = square > 1.0 ? square : 1.0;
    for (double next = root; (next = 0.5 * (root + square / root)) < root;) root = next;
    return static_cast<float>(root);
  }
#if defined(__CUDA_ARCH__)
  return __fsqrt_rn(a);
#elif defined(__HIP_DEVICE_COMPILE__)
  return ::sqrtf(a);  // whereas the builtin, and HIP's __fsqrt_rn, are the hardware's estimate
#else
  return __builtin_sqrtf(a);
#endif
}

/// 1.5·2^23: here a float's last bit is worth 1, so that adding it rounds to an integer, which then
/// lies in the last bits.
inline constexpr float kRoundingShift = 12582912.0f;
inline constexpr auto kRaisedZero = std::bit_cast<std::int32_t>(kRoundingShift);

/// Nearest integer, ties to even, for |v| < 2^22; a result of zero is +0.
constexpr float round_half_even(float v) { return (v + kRoundingShift) - kRoundingShift; }

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
