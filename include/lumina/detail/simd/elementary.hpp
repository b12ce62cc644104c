// exp, log and tanh in vectors, equal to detail/base/elementary.hpp bit for bit.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "../base/elementary.hpp"
#include "polynomial.hpp"
#include "vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// 2^exponent, −126 ≤ exponent ≤ 127.
template <Vector Ints>
[[gnu::always_inline]] constexpr rebind_t<Ints, float> power_of_two(const Ints& exponent) {
  return bits_as<float>((exponent + Ints(127)) << 23);
}

/// e^x = significand·2^exponent, for x in [kExpLowest, kExpHighest]. `raised` is the exponent in
/// the last bits of kRoundingShift's.
template <class Floats>
struct ExponentialParts {
  Floats significand;
  rebind_t<Floats, std::int32_t> raised;
};
template <Vector Floats>
[[gnu::always_inline]] constexpr ExponentialParts<Floats> exponential_parts(const Floats& x) {
  const Floats shift(kRoundingShift);
  const Floats raised = fused_multiply_add(x, Floats(kLog2E), shift);
  const Floats n = raised - shift;
  Floats r = fused_multiply_add(n, Floats(-kLn2High), x);
  r = fused_multiply_add(n, Floats(-kLn2Low), r);
  const Floats rest = fused_multiply_add(product(r, r), polynomial<kExpCoefficients>(r), r);
  return {Floats(1.0f) + rest, bits_as<std::int32_t>(raised)};
}

/// e^x in every lane.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats exponential(const Floats& x) {
  using Ints = rebind_t<Floats, std::int32_t>;
  const Floats infinity(std::numeric_limits<float>::infinity());
  const auto parts =
      exponential_parts(min_or_second(max_or_second(x, Floats(kExpLowest)), Floats(kExpHighest)));
  const Ints exponent = parts.raised - Ints(std::bit_cast<std::int32_t>(kRoundingShift));
  const Ints half = exponent >> 1;
  const Floats result =
      product(product(parts.significand, power_of_two(half)), power_of_two(exponent - half));
  return select(abs(x) <= infinity, result, Floats(std::numeric_limits<float>::quiet_NaN()));
}

/// The same for |x| ≤ 87, whose results are normal numbers: half the work.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats exponential_of_small(const Floats& x) {
  static_assert(std::bit_cast<std::uint32_t>(kRoundingShift) << 23 == 0);
  const auto parts = exponential_parts(x);
  return bits_as<float>(bits_as<std::int32_t>(parts.significand) + (parts.raised << 23));
}

/// log(1 + f) + n·ln 2 for bits of a positive normal number, (1 + f)·2^m with 1 + f in [2/3, 4/3),
/// where place_of(m·2^23) is n·2^23: an exponent counts in its place.
template <Vector Floats, class PlaceOf>
[[gnu::always_inline]] constexpr Floats logarithm_of_bits(
    const rebind_t<Floats, std::int32_t>& bits, PlaceOf place_of) {
  using Ints = rebind_t<Floats, std::int32_t>;
  const Ints exponent = (bits - Ints(kSignificandPivot)) & Ints(kExponentPlace);
  const Floats f = bits_as<float>(bits - exponent) - Floats(1.0f);
  const Floats place = place_of(nearest_floats(exponent));
  const Floats f2 = product(f, f);
  Floats rest = product(product(f, f2), polynomial<kLogRestCoefficients>(f));
  rest = fused_multiply_add(place, Floats(kLn2Low * 0x1p-23f), rest);
  rest = fused_multiply_add(f2, Floats(-0.5f), rest);
  return fused_multiply_add(place, Floats(kLn2High * 0x1p-23f), f + rest);
}

/// The natural logarithm in every lane.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats natural_logarithm(const Floats& x) {
  const Floats zero(0.0f), infinity(std::numeric_limits<float>::infinity());
  const auto denormal = x < Floats(std::numeric_limits<float>::min());
  const Floats normal = select(denormal, product(x, Floats(kDenormalScale)), x);
  const Floats lift = select(denormal, Floats(-23.0f * kDenormalScale), zero);
  const Floats result = logarithm_of_bits<Floats>(
      bits_as<std::int32_t>(normal), [&](const Floats& place)
                                         __attribute__((always_inline)) { return place + lift; });
  // x infinite; 0; negative or NaN.
  const Floats above = select(x < infinity, result, infinity);
  return select(x > zero, above,
                select(x >= zero, Floats(-std::numeric_limits<float>::infinity()),
                       Floats(std::numeric_limits<float>::quiet_NaN())));
}

/// The same for x that are positive, finite and no denormals: two thirds of the work.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats logarithm_of_normal(const Floats& x) {
  return logarithm_of_bits<Floats>(
      bits_as<std::int32_t>(x),
      [](const Floats& place) __attribute__((always_inline)) { return place; });
}

/// tanh x in every lane.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats hyperbolic_tangent(const Floats& x) {
  const Floats one(1.0f), magnitude = abs(x);
  const Floats x2 = product(magnitude, magnitude);
  const Floats near_zero =
      fused_multiply_add(product(magnitude, x2), polynomial<kTanhCoefficients>(x2), magnitude);
  const Floats far = one - quotient(Floats(2.0f), exponential(magnitude + magnitude) + one);
  const auto result =
      bits_as<std::uint32_t>(select(magnitude < Floats(kTanhSwitch), near_zero, far));
  const auto sign = bits_as<std::uint32_t>(x) & decltype(result)(0x80000000u);
  return select(magnitude <= Floats(std::numeric_limits<float>::infinity()),
                bits_as<float>(result | sign), Floats(std::numeric_limits<float>::quiet_NaN()));
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
