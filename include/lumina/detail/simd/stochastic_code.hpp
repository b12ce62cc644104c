// Rounding at random, in vectors.
#pragma once

#include "../../config.hpp"
#include "vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The integer below `at`, |at| < 2^22, or, where `uniform` in (0, 1] is at most what `at` lies
/// above it, the next one; NaN stays NaN.
template <class Floats>
[[gnu::always_inline]] constexpr Floats stochastic_code(const Floats& at, const Floats& uniform) {
  const Floats one(1.0f), nearest = round_half_even(at);
  const Floats below = select(nearest > at, nearest - one, nearest);
  return select(uniform <= at - below, below + one, below);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
