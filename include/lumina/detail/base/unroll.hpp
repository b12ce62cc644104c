// Loops whose count is a constant, written out by the compiler.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "../../config.hpp"

// False alarms inside of g++'s intrinsics, see simd/vectors.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Calls f(constant 0), …, f(constant Count − 1): arrays indexed by these stay in registers.
template <std::size_t Count, class F>
[[gnu::always_inline]] constexpr void unroll(F&& f) {
  [&]<std::size_t... I>(std::index_sequence<I...>) __attribute__((always_inline)) {
    (f(std::integral_constant<std::size_t, I>{}), ...);
  }
  (std::make_index_sequence<Count>{});
}

/// The same where the architecture wants loops over vectors written out. Elsewhere a plain loop: f
/// gets numbers that are no constants, and code and stack stay small.
template <class Arch, std::size_t Count, class F>
[[gnu::always_inline]] constexpr void repeat(F&& f) {
  if constexpr (Arch::unrolls_vectors) {
    unroll<Count>(f);
  } else {
    for (std::size_t i = 0; i < Count; ++i) f(i);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
