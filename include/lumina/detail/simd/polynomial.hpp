// Horner's rule in vectors; detail/base/polynomial.hpp has the plain form.
#pragma once

#include <cstddef>
#include <iterator>

#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// detail::polynomial in every lane.
template <const auto& Coefficients, Vector Floats>
[[gnu::always_inline]] constexpr Floats polynomial(const Floats& x) {
  constexpr std::size_t kLast = std::size(Coefficients) - 1;
  constexpr float kHighest = Coefficients[kLast];
  Floats sum(kHighest);
  unroll<kLast>([&](auto i) __attribute__((always_inline)) {
    constexpr float next = Coefficients[kLast - 1 - decltype(i)::value];
    sum = fused_multiply_add(sum, x, Floats(next));
  });
  return sum;
}
/// The same with coefficients that are known at run time.
template <Vector Floats, std::size_t Count>
[[gnu::always_inline]] constexpr Floats polynomial(const float (&coefficients)[Count],
                                                   const Floats& x) {
  Floats sum(coefficients[Count - 1]);
  unroll<Count - 1>([&](auto i) __attribute__((always_inline)) {
    sum = fused_multiply_add(sum, x, Floats(coefficients[Count - 2 - i]));
  });
  return sum;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
