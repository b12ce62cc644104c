// Pairs of random words to pairs of normals, in vectors; noise.hpp has the plain form.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../simd/polynomial.hpp"
#include "../simd/vectors.hpp"
#include "normal_constants.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Vectors of Batch::size normals each.
template <class Floats>
struct NormalVectors {
  Floats cosine, sine;
};

/// detail::uniform_of_steps in every lane, of their magnitudes.
template <class Floats>
[[gnu::always_inline]] constexpr Floats uniform_of_steps(const Floats& steps) {
  return fused_multiply_add(steps, Floats(0x1p-31f), Floats(0x1p-32f));
}

/// detail::uniform_of_word in every lane.
template <class Words32>
[[gnu::always_inline]] constexpr rebind_t<Words32, float> uniform_of_words(const Words32& words) {
  return uniform_of_steps(abs(nearest_floats(bits_as<std::int32_t>(words))));
}

/// detail::box_muller in every lane. Largest errors, over all words (tests/unit/test_math.cpp
/// enforces them): −2·ln u 20 ulp, sin(π·x) 20 ulp, cos(π·x) 2e-7 absolute.
template <class Words32>
[[gnu::always_inline]] constexpr NormalVectors<rebind_t<Words32, float>> box_muller(
    const Words32& radius_words, const Words32& angle_words) {
  using Floats = rebind_t<Words32, float>;
  using Ints = rebind_t<Words32, std::int32_t>;

  // The radius word as a signed integer: its magnitude is the radius, its sign turns the angle.
  const Words32 signed_steps =
      bits_as<std::uint32_t>(nearest_floats(bits_as<std::int32_t>(radius_words)));
  const Words32 sign_bit(0x80000000u);
  const Floats steps = bits_as<float>(signed_steps & Words32(0x7fffffffu));
  const Floats u = uniform_of_steps(steps);

  const Ints bits = bits_as<std::int32_t>(u);
  const Ints exponent = (bits - Ints(kLogPivotBits)) & Ints(kExponentMask);
  const Floats f = bits_as<float>(bits - exponent) - Floats(1.0f);
  const Floats log_ratio = polynomial<kLogCoefficients>(f);
  const Floats radius = bounded_square_root(
      fused_multiply_add(nearest_floats(exponent), Floats(kMinusTwoLn2), product(log_ratio, f)));
  const Floats signed_radius =
      bits_as<float>(bits_as<std::uint32_t>(radius) ^ (signed_steps & sign_bit));

  const Floats x = nearest_floats(bits_as<std::int32_t>(angle_words)) * Floats(0x1p-32f);
  const Floats x2 = product(x, x);
  const Floats cosine = polynomial<kCosineCoefficients>(x2);
  const Floats sine = product(x, polynomial<kSineCoefficients>(x2));
  return {product(signed_radius, cosine), product(signed_radius, sine)};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
