// Version, instruction-set namespace and error hook. Everything else includes this header, but for
// border.hpp.
#pragma once

#include <cstddef>
#include <cstdlib>

#if defined(__cpp_exceptions)
#include <stdexcept>
#endif

#define LUMINA_VERSION_MAJOR 0
#define LUMINA_VERSION_MINOR 1
#define LUMINA_VERSION_PATCH 0

// The instruction set that this translation unit is compiled for. All of the library lives in an
// inline namespace named after it and after what else of the compiler's flags changes code
// (detail/base/isa_namespace.hpp), so translation units built with different flags link into one
// program without sharing a single inline function of the library's. (A macro, because a namespace
// cannot be a template parameter.) Define LUMINA_NO_XSIMD to get the scalar architecture on any
// machine.
//
// What is not the library's has no such namespace: functions of the standard library and of xsimd
// that the compiler does not inline exist once in a program, and the linker takes the first unit's.
// With optimisation the kernels leave none behind that is compiled for vectors. At -O0 they do: a
// program for any machine with units for newer ones must then link the units for any machine first,
// or compile the others with -O1 at least, or link lumina::dispatch, which does that.
//
// A unit with kernels for a GPU (nvcc, hipcc) is compiled for two machines, and both must see the
// same classes: those of one that has FMA, as every GPU does.
#if defined(__CUDACC__) || defined(__HIPCC__)
#define LUMINA_GPU_UNIT 1
#endif
#if defined(__FP_FAST_FMAF) || defined(__FMA__) || defined(__ARM_FEATURE_FMA) || \
    defined(LUMINA_GPU_UNIT)
#define LUMINA_HAS_FMA 1  // a·b + c rounded once is one instruction
#endif

#if !defined(LUMINA_NO_XSIMD) && __has_include(<xsimd/xsimd.hpp>)
#if defined(__AVX512F__) && defined(__AVX512CD__) && defined(__AVX512DQ__) && \
    defined(__AVX512BW__) && defined(__FMA__)
#define LUMINA_ISA_AVX512 1
// (clang up to 14 spells AMX's macros without the second underline.)
#if defined(__AVX512VNNI__) && (defined(__AMX_INT8__) || defined(__AMXINT8__))
#define LUMINA_ISA_BASE isa_amx
#define LUMINA_ISA_VNNI 1  // dot products of four codes in each 32-bit lane
#define LUMINA_ISA_AMX 1
#elif defined(__AVX512VNNI__)
#define LUMINA_ISA_BASE isa_avx512_vnni
#define LUMINA_ISA_VNNI 1
#else
#define LUMINA_ISA_BASE isa_avx512
#endif
#elif defined(__AVX2__) && defined(__FMA__)
#define LUMINA_ISA_AVX2 1
#if defined(__AVXVNNI__)
#define LUMINA_ISA_BASE isa_avx_vnni
#define LUMINA_ISA_VNNI 1
#else
#define LUMINA_ISA_BASE isa_avx2
#endif
#elif defined(__aarch64__) && defined(__ARM_NEON)
#define LUMINA_ISA_NEON 1
// SVE of a length that the compiler knows; the length is part of the name.
#if defined(__ARM_FEATURE_SVE) && __ARM_FEATURE_SVE_BITS == 512
#define LUMINA_ISA_SVE 1
#define LUMINA_ISA_BASE isa_sve512
#elif defined(__ARM_FEATURE_SVE) && __ARM_FEATURE_SVE_BITS == 256
#define LUMINA_ISA_SVE 1
#define LUMINA_ISA_BASE isa_sve256
#else
#define LUMINA_ISA_BASE isa_neon
#endif
#endif
#endif

#if !defined(LUMINA_ISA_BASE)
#define LUMINA_ISA_SCALAR 1
#if defined(LUMINA_HAS_FMA)
#define LUMINA_ISA_BASE isa_scalar_fma
#else
#define LUMINA_ISA_BASE isa_scalar
#endif
#endif

#include "detail/base/float_modes.hpp"
#include "detail/base/isa_namespace.hpp"

// Once in a translation unit; a remark, no warning, also for -Werror.
#if defined(LUMINA_ISA_SCALAR) && !defined(LUMINA_NO_XSIMD) && \
    !defined(LUMINA_NO_SCALAR_MESSAGE) && !defined(LUMINA_GPU_UNIT)
#if (defined(__x86_64__) || defined(__i386__)) && !(defined(__AVX2__) && defined(__FMA__))
#pragma message( \
    "lumina: no vector instructions, so scalar code, five times slower. Compile with -march=native or -mavx2 -mfma; or, if this is meant, with -DLUMINA_NO_SCALAR_MESSAGE")
#elif defined(__x86_64__) || defined(__i386__) || defined(__aarch64__)
#pragma message( \
    "lumina: xsimd is not on the include path, so scalar code, five times slower. Install it (8.1 or newer); or, if this is meant, compile with -DLUMINA_NO_XSIMD")
#endif
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

struct Version {
  int major, minor, patch;
};
inline constexpr Version version{LUMINA_VERSION_MAJOR, LUMINA_VERSION_MINOR, LUMINA_VERSION_PATCH};

/// What happens when an argument is wrong. `message` says what was wrong, with the shapes; it is
/// valid during the call only. A handler may throw, stop the program, or return: when it returns,
/// the call that found the error returns too and has written nothing.
using ErrorHandler = void (*)(const char* message);

namespace detail {

/// Throws `std::invalid_argument`; without exceptions it ends the program.
[[noreturn]] inline void default_error_handler(const char* message) {
#if defined(__cpp_exceptions)
  throw std::invalid_argument(message);
#else
  static_cast<void>(message);
  std::abort();
#endif
}

inline ErrorHandler current_error_handler = &default_error_handler;

/// Errors of this thread so far. (Bare machines have one thread, and often no thread_local.)
#if defined(__unix__) || defined(__APPLE__) || defined(_WIN32)
inline constinit thread_local std::size_t reported_errors = 0;
#else
inline std::size_t reported_errors = 0;
#endif

inline void report_error(const char* message) {
  ++reported_errors;
  current_error_handler(message);
}

}  // namespace detail

/// Installs `handler` (nullptr: the default one) and returns the one before it. Not synchronised:
/// call it before threads start. Each instruction set's namespace has its own handler.
inline ErrorHandler set_error_handler(ErrorHandler handler) noexcept {
  const ErrorHandler before = detail::current_error_handler;
  detail::current_error_handler = handler != nullptr ? handler : &detail::default_error_handler;
  return before;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
