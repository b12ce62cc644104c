// What the library needs of the compiler's floats: numerics.md fixes bits, so that every operation
// is IEEE 754's, in the order written. Headers are compiled with their user's flags; flags that
// break this are refused, by each unit that includes the library.
#pragma once

// (__GCC_IEC_559 is all that g++ before 12 defines, and 0 also for -fsingle-precision-constant.
// Bare-metal Arm always has 0.)
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__) || \
    defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) ||                     \
    defined(__NO_SIGNED_ZEROS__) ||                                                      \
    (defined(__GCC_IEC_559) && __GCC_IEC_559 == 0 &&                                     \
     (defined(__x86_64__) || defined(__aarch64__))) ||                                   \
    (defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ < 0)
#error \
    "lumina: -ffast-math, -Ofast or a part of them (-funsafe-math-optimizations, -ffinite-math-only, -fno-signed-zeros, ...) would change the library's numbers and drop its checks for NaN. Compile the files that include lumina with -fno-fast-math behind these options, and keep what has to be fast in other files."
#endif

// (16: float as it is, half in float.)
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ > 0 && __FLT_EVAL_METHOD__ != 16
#error \
    "lumina: the compiler computes floats in registers of more bits (x87), which changes the library's numbers. Compile with -msse2 -mfpmath=sse."
#endif

// clang up to 14 does not say that it was given one of the parts alone. On x86 it takes its default
// back between these two, which stand around what computes, xsimd's headers and the intrinsics'.
// (g++'s #pragma GCC optimize is no such thing: it makes functions that are not inlined into
// others.)
#if defined(__clang__) && (defined(__x86_64__) || defined(__i386__)) && \
    !defined(__HIP_DEVICE_COMPILE__)
#define LUMINA_FLOATS_AS_WRITTEN _Pragma("float_control(precise, on, push)")
#define LUMINA_FLOATS_AS_BEFORE _Pragma("float_control(pop)")
#else
#define LUMINA_FLOATS_AS_WRITTEN
#define LUMINA_FLOATS_AS_BEFORE
#endif
