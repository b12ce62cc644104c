// The name of the inline namespace in which all of the library lives: LUMINA_ISA_NAMESPACE.
//
// It is the instruction set (LUMINA_ISA_BASE, config.hpp), and behind it whatever else of the
// compiler's flags changes the code that is made of these headers, so that no two translation units
// share an inline function of which one's copy must not run in the other's place. An ordinary
// unit's name is short (isa_scalar, isa_avx2, isa_avx512); -march=native adds what the machine has
// (isa_avx2_v3: BMI and the like, the rest of x86-64-v3).
//
// Not in the name: options whose copies may stand for each other (optimisation, -mtune, RTTI, which
// the library does not use, NDEBUG, sanitizers, contraction), and instructions that compilers use
// only when asked to (AES, SHA, RDRAND, tiles). Units that differ in anything else, say another
// compiler's secret, define LUMINA_NAMESPACE_TAG, each a different one:
// -DLUMINA_NAMESPACE_TAG=_mine.
#pragma once

// (Preprocessor only: there is no other way to make a name of what is defined.)
// LUMINA_TAG_IF(flag, tag): `tag` where the macro `flag` is defined as 1 (or 3), otherwise nothing.
#define LUMINA_TAG_IF(flag, tag) LUMINA_TAG_IF_VALUE(flag, tag)
#define LUMINA_TAG_IF_VALUE(value, tag) LUMINA_TAG_PICK(LUMINA_TAG_WHERE_##value tag, , )
#define LUMINA_TAG_PICK(...) LUMINA_TAG_SECOND(__VA_ARGS__)
#define LUMINA_TAG_SECOND(first, second, ...) second
#define LUMINA_TAG_WHERE_1 ~,
#define LUMINA_TAG_WHERE_3 ~,
#define LUMINA_TAG_JOIN(a, b, c, d, e, f, g, h) LUMINA_TAG_JOIN_NOW(a, b, c, d, e, f, g, h)
#define LUMINA_TAG_JOIN_NOW(a, b, c, d, e, f, g, h) a##b##c##d##e##f##g##h

#if !defined(LUMINA_NAMESPACE_TAG)
#define LUMINA_NAMESPACE_TAG
#endif

// Without exceptions an error ends the program.
#if defined(__cpp_exceptions)
#define LUMINA_TAG_EXCEPTIONS
#else
#define LUMINA_TAG_EXCEPTIONS _noexcept
#endif

// A unit of lumina::dispatch leaves the environment to the others.
#if defined(LUMINA_DISPATCH_UNIT)
#define LUMINA_TAG_DISPATCH _dispatch
#else
#define LUMINA_TAG_DISPATCH
#endif

// What nvcc or hipcc make of a function may be slower than what the host's compiler alone does.
#if defined(LUMINA_GPU_UNIT)
#define LUMINA_TAG_GPU _gpu
#else
#define LUMINA_TAG_GPU
#endif

// --- x86: vectors of which the instruction set does not say; each implies those below ------------
#if defined(LUMINA_ISA_AVX512)
#if defined(__AVX512VL__)
#define LUMINA_TAG_VECTORS
#else
#define LUMINA_TAG_VECTORS _novl
#endif
#elif defined(__AVX512F__)
#define LUMINA_TAG_VECTORS                                                                      \
  LUMINA_TAG_JOIN(_avx512f, LUMINA_TAG_IF(__AVX512CD__, _cd), LUMINA_TAG_IF(__AVX512DQ__, _dq), \
                  LUMINA_TAG_IF(__AVX512BW__, _bw), LUMINA_TAG_IF(__AVX512VL__, _vl), , , )
#elif defined(LUMINA_ISA_AVX2)
#define LUMINA_TAG_VECTORS
#elif defined(__AVX2__)
#define LUMINA_TAG_VECTORS _avx2
#elif defined(__AVX__)
#define LUMINA_TAG_VECTORS _avx
#elif defined(__SSE4_2__)
#define LUMINA_TAG_VECTORS _sse42
#elif defined(__SSE4_1__)
#define LUMINA_TAG_VECTORS _sse41
#elif defined(__SSSE3__)
#define LUMINA_TAG_VECTORS _ssse3
#elif defined(__SSE3__)
#define LUMINA_TAG_VECTORS _sse3
#else
#define LUMINA_TAG_VECTORS
#endif

// --- x86: what came with the first AVX2 (x86-64-v3), all of it or by name ------------------------
#if defined(__BMI__) && defined(__BMI2__) && defined(__LZCNT__) && defined(__MOVBE__) && \
    defined(__F16C__)
#define LUMINA_TAG_V3 _v3
#elif defined(__BMI__) || defined(__BMI2__) || defined(__LZCNT__) || defined(__MOVBE__) || \
    defined(__F16C__) || (defined(__POPCNT__) && !defined(__SSE4_2__))
#define LUMINA_TAG_V3                                                                 \
  LUMINA_TAG_JOIN(LUMINA_TAG_IF(__BMI__, _bmi), LUMINA_TAG_IF(__BMI2__, _bmi2),       \
                  LUMINA_TAG_IF(__LZCNT__, _lzcnt), LUMINA_TAG_IF(__MOVBE__, _movbe), \
                  LUMINA_TAG_IF(__F16C__, _f16c), LUMINA_TAG_IF(__POPCNT__, _popcnt), , )
#else
#define LUMINA_TAG_V3
#endif

// --- x86: what came with AVX-512 VNNI, all of it or by name, and later ---------------------------
#if defined(__AVX512IFMA__) && defined(__AVX512VBMI__) && defined(__AVX512VBMI2__) && \
    defined(__AVX512BITALG__) && defined(__AVX512VPOPCNTDQ__)
#define LUMINA_TAG_V4 _icl
#else
#define LUMINA_TAG_V4                                                                         \
  LUMINA_TAG_JOIN(LUMINA_TAG_IF(__AVX512IFMA__, _ifma), LUMINA_TAG_IF(__AVX512VBMI__, _vbmi), \
                  LUMINA_TAG_IF(__AVX512VBMI2__, _vbmi2),                                     \
                  LUMINA_TAG_IF(__AVX512BITALG__, _bitalg),                                   \
                  LUMINA_TAG_IF(__AVX512VPOPCNTDQ__, _vpopcnt), , , )
#endif
#if defined(LUMINA_ISA_VNNI)
#define LUMINA_TAG_VNNI
#else
#define LUMINA_TAG_VNNI LUMINA_TAG_IF(__AVX512VNNI__, _vnni)
#endif
#if defined(LUMINA_ISA_VNNI) && !defined(LUMINA_ISA_AVX512)
#define LUMINA_TAG_AVXVNNI
#else
#define LUMINA_TAG_AVXVNNI LUMINA_TAG_IF(__AVXVNNI__, _avxvnni)
#endif
#define LUMINA_TAG_NEWER                                                                     \
  LUMINA_TAG_JOIN(LUMINA_TAG_VNNI, LUMINA_TAG_AVXVNNI, LUMINA_TAG_IF(__AVX512BF16__, _bf16), \
                  LUMINA_TAG_IF(__AVX512FP16__, _fp16), LUMINA_TAG_IF(__GFNI__, _gfni),      \
                  LUMINA_TAG_IF(__AVX10_1__, _avx10), LUMINA_TAG_IF(__AVX10_2__, _2),        \
                  LUMINA_TAG_IF(__APX_F__, _apx))
#define LUMINA_TAG_OLDER                                                                       \
  LUMINA_TAG_JOIN(LUMINA_TAG_IF(__SSE4A__, _sse4a), LUMINA_TAG_IF(__FMA4__, _fma4),            \
                  LUMINA_TAG_IF(__XOP__, _xop), LUMINA_TAG_IF(__TBM__, _tbm),                  \
                  LUMINA_TAG_IF(__AVXIFMA__, _avxifma), LUMINA_TAG_IF(__AVXVNNIINT8__, _int8), \
                  LUMINA_TAG_IF(__AVXVNNIINT16__, _int16), )

// --- Arm -----------------------------------------------------------------------------------------
#if defined(__aarch64__)
#define LUMINA_TAG_ARM                                                                      \
  LUMINA_TAG_JOIN(                                                                          \
      LUMINA_TAG_IF(__ARM_FEATURE_DOTPROD, _dotprod),                                       \
      LUMINA_TAG_IF(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC, _fp16),                           \
      LUMINA_TAG_IF(__ARM_FEATURE_ATOMICS, _lse), LUMINA_TAG_IF(__ARM_FEATURE_QRDMX, _rdm), \
      LUMINA_TAG_IF(__ARM_FEATURE_SHA3, _sha3), LUMINA_TAG_IF(__ARM_FEATURE_SVE, _sve),     \
      LUMINA_TAG_IF(__ARM_FEATURE_SVE2, _sve2), LUMINA_TAG_IF(__ARM_FEATURE_MOPS, _mops))
#elif defined(__ARM_ARCH)
#if defined(__ARM_FP)
#define LUMINA_TAG_FPU LUMINA_TAG_JOIN(_fp, __ARM_FP, , , , , , )
#else
#define LUMINA_TAG_FPU
#endif
#define LUMINA_TAG_ARM                                                                       \
  LUMINA_TAG_JOIN(_armv, __ARM_ARCH, LUMINA_TAG_FPU, LUMINA_TAG_IF(__ARM_FEATURE_DSP, _dsp), \
                  LUMINA_TAG_IF(__ARM_NEON, _neon), LUMINA_TAG_IF(__ARM_FEATURE_MVE, _mve), , )
#else
#define LUMINA_TAG_ARM
#endif

#define LUMINA_ISA_NAMESPACE                                                                  \
  LUMINA_TAG_JOIN(LUMINA_ISA_BASE, LUMINA_TAG_VECTORS, LUMINA_TAG_V3, LUMINA_TAG_V4,          \
                  LUMINA_TAG_NEWER, LUMINA_TAG_OLDER, LUMINA_TAG_ARM,                         \
                  LUMINA_TAG_JOIN(LUMINA_TAG_EXCEPTIONS, LUMINA_TAG_DISPATCH, LUMINA_TAG_GPU, \
                                  LUMINA_NAMESPACE_TAG, , , , ))
