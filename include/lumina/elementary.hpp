// exp, log, tanh and sqrt for stages and cells of one's own, with the same bits in every build and
// on every instruction set; the C library's and a vector library's have other ones on each machine.
//
//   template <class Floats>
//   Floats apply(const Floats& values, …) const { return lumina::tanh(values); }
//
// Write `lumina::` in front of them: a vector's own library may have functions of these names,
// which argument dependent lookup would take.
//
// Each is a fixed sequence of IEEE operations. Largest errors, in units of the last place of the
// exact result (tests/unit/test_elementary.cpp enforces them):
//
//   exp   1.01 ulp    0 below −103.97, infinite above 88.72; denormal results too
//   log   0.86 ulp    of 0 −∞, of negative numbers NaN; denormal x too
//   tanh  1.34 ulp    keeps −0
//   sqrt  0.5 ulp    the nearest float
//
// For NaN they are NaN.
#pragma once

#include "config.hpp"
#include "detail/base/elementary.hpp"
#include "detail/simd/elementary.hpp"
#include "detail/simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// e^x in every lane.
template <detail::Vector Floats>
[[gnu::always_inline]] constexpr Floats exp(const Floats& x) {
  return detail::exponential(x);
}
/// The natural logarithm in every lane.
template <detail::Vector Floats>
[[gnu::always_inline]] constexpr Floats log(const Floats& x) {
  return detail::natural_logarithm(x);
}
/// tanh x in every lane.
template <detail::Vector Floats>
[[gnu::always_inline]] constexpr Floats tanh(const Floats& x) {
  return detail::hyperbolic_tangent(x);
}
/// √x in every lane.
template <detail::Vector Floats>
[[gnu::always_inline]] constexpr Floats sqrt(const Floats& x) {
  using detail::square_root;
  return square_root(x);  // or the vector's own, by its argument
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
