// exp, log and tanh of single floats: one fixed sequence of roundings, so the same bits in every
// build, whatever the C library. detail/simd/elementary.hpp computes them in vectors;
// docs/numerics.md says what they are.
//
// Special values are the C library's, but that a result that is NaN always has the same bits.
#pragma once

#include <bit>
#include <cstdint>
#include <limits>

#include "../../config.hpp"
#include "polynomial.hpp"
#include "scalar_math.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

// Minimax fits by Remez exchange (tools/fit_elementary.py prints them), lowest power first.

/// (exp(r) − 1 − r) / r² for |r| ≤ ln 2 / 2; error of the fit, relative to exp(r), 3.1e-9.
inline constexpr float kExpCoefficients[5] = {0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f,
                                              0x1.1239e2p-7f, 0x1.6a2434p-10f};

/// (log(1 + f) − f + f²/2) / f³ for |f| ≤ 1/3; error of the fit, relative to log(1 + f), 4.6e-9.
inline constexpr float kLogRestCoefficients[8] = {0x1.555506p-2f,  -0x1.fffefp-3f, 0x1.99d028p-3f,
                                                  -0x1.559dcap-3f, 0x1.1ed718p-3f, -0x1.f31140p-4f,
                                                  0x1.1e66bap-3f,  -0x1.080586p-3f};

/// (tanh(x) − x) / x³ in x² for |x| ≤ 0.625; error of the fit, relative to tanh(x), 4.4e-9.
inline constexpr float kTanhCoefficients[5] = {-0x1.555532p-2f, 0x1.110726p-3f, -0x1.b83c5ap-5f,
                                               0x1.52269cp-6f, -0x1.75e1ccp-8f};
inline constexpr float kTanhSwitch = 0.625f;

inline constexpr float kLog2E = 0x1.715476p+0f;
/// ln 2 in two parts: the product of the first with a float's exponent is exact.
inline constexpr float kLn2High = 0x1.62e3p-1f;
inline constexpr float kLn2Low = 0x1.2fefa4p-17f;

/// Beyond these exp is 0 or infinite, to the nearest float.
inline constexpr float kExpLowest = -104.0f;
inline constexpr float kExpHighest = 89.0f;

/// 2/3, the lowest significand that log takes; 2^-23, what an exponent in its place counts; 2^23,
/// which makes a normal number of a denormal one.
inline constexpr std::int32_t kSignificandPivot = 0x3f2aaaab;
inline constexpr std::int32_t kExponentPlace = -(std::int32_t{1} << 23);
inline constexpr float kDenormalScale = 0x1p+23f;

/// 2^exponent, −126 ≤ exponent ≤ 127.
constexpr float power_of_two(std::int32_t exponent) {
  return std::bit_cast<float>((exponent + 127) << 23);
}

/// e^x. Largest error 1.01 ulp; denormal results included.
constexpr float exponential(float x) {
  if (x != x) return std::numeric_limits<float>::quiet_NaN();
  const float limited = x < kExpLowest ? kExpLowest : x > kExpHighest ? kExpHighest : x;
  // x = n·ln 2 + r, |r| ≤ ln 2 / 2: e^x = 2^n·(1 + r + r²·P(r)).
  const float raised = fused_multiply_add(limited, kLog2E, kRoundingShift);
  const float n = raised - kRoundingShift;
  float r = fused_multiply_add(n, -kLn2High, limited);
  r = fused_multiply_add(n, -kLn2Low, r);
  const float rest = fused_multiply_add(product(r, r), polynomial<kExpCoefficients>(r), r);
  const float significand = 1.0f + rest;
  // 2^n in two halves: a float for each n.
  const std::int32_t exponent =
      std::bit_cast<std::int32_t>(raised) - std::bit_cast<std::int32_t>(kRoundingShift);
  const std::int32_t half = exponent >> 1;
  return product(product(significand, power_of_two(half)), power_of_two(exponent - half));
}

/// The natural logarithm. Largest error 0.86 ulp, for denormal x too.
constexpr float natural_logarithm(float x) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  if (!(x >= 0.0f)) return std::numeric_limits<float>::quiet_NaN();
  if (x == 0.0f) return -kInfinity;
  if (x == kInfinity) return kInfinity;
  // x = 2^n·(1 + f), 1 + f in [2/3, 4/3).
  const bool denormal = x < std::numeric_limits<float>::min();
  const auto bits = std::bit_cast<std::int32_t>(denormal ? product(x, kDenormalScale) : x);
  const std::int32_t exponent = (bits - kSignificandPivot) & kExponentPlace;
  const float f = std::bit_cast<float>(bits - exponent) - 1.0f;
  const float n = fused_multiply_add(static_cast<float>(exponent), 0x1p-23f, denormal ? -23 : 0);
  // n·ln 2 + f + (−f²/2 + f³·P(f)), the small terms first.
  const float f2 = product(f, f);
  float rest = product(product(f, f2), polynomial<kLogRestCoefficients>(f));
  rest = fused_multiply_add(n, kLn2Low, rest);
  rest = fused_multiply_add(f2, -0.5f, rest);
  return fused_multiply_add(n, kLn2High, f + rest);
}

/// tanh x. Largest error 1.34 ulp.
constexpr float hyperbolic_tangent(float x) {
  if (x != x) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = std::bit_cast<float>(std::bit_cast<std::uint32_t>(x) & 0x7fffffffu);
  float result = 0.0f;
  if (magnitude < kTanhSwitch) {
    const float x2 = product(magnitude, magnitude);
    result =
        fused_multiply_add(product(magnitude, x2), polynomial<kTanhCoefficients>(x2), magnitude);
  } else {
    result = 1.0f - 2.0f / (exponential(magnitude + magnitude) + 1.0f);
  }
  const std::uint32_t sign = std::bit_cast<std::uint32_t>(x) & 0x80000000u;
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(result) | sign);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
