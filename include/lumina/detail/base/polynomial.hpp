// Horner's rule for single floats; detail/simd/polynomial.hpp has it for vectors.
#pragma once

#include <cstddef>
#include <iterator>

#include "../../config.hpp"
#include "scalar_math.hpp"
#include "unroll.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Horner's rule, each step rounded once; coefficients lowest power first. (Each is a constant of
/// its own: a GPU's code cannot read an array of the host's.)
template <const auto& Coefficients>
constexpr float polynomial(float x) {
  constexpr std::size_t kLast = std::size(Coefficients) - 1;
  constexpr float kHighest = Coefficients[kLast];
  float sum = kHighest;
  unroll<kLast>([&](auto i) __attribute__((always_inline)) {
    constexpr float next = Coefficients[kLast - 1 - decltype(i)::value];
    sum = fused_multiply_add(sum, x, next);
  });
  return sum;
}
/// The same with coefficients that are known at run time.
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
