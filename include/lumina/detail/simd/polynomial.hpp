// Horner's rule in vectors; detail/base/polynomial.hpp has the plain form.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// detail::polynomial in every lane.
template <Vector Floats, std::size_t Count>
[[gnu::always_inline]] inline Floats polynomial(const float (&coefficients)[Count],
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
