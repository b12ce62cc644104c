// Horner's rule for single floats; detail/simd/polynomial.hpp has it for vectors.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "scalar_math.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Horner's rule, each step rounded once; coefficients lowest power first.
template <std::size_t Count>
constexpr float polynomial(const float (&coefficients)[Count], float x) {
  float sum = coefficients[Count - 1];
  for (std::size_t i = Count - 1; i > 0; --i) {
    sum = fused_multiply_add(sum, x, coefficients[i - 1]);
  }
  return sum;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
