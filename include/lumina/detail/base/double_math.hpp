// Numbers in double whose bits no compiler, instruction set or C library changes: products that are
// never contracted into an FMA, sine, cosine and angle by fixed sequences of roundings, complex
// numbers made of them. For what is computed once, when devices are programmed.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "../../config.hpp"
#include "scalar_math.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// a·b rounded by itself, as product() of floats.
inline double rounded_product(double a, double b) {
  if constexpr (kHasFma) {
    return __builtin_fma(a, b, -0.0);
  } else {
    return a * b;
  }
}

/// Nearest integer, ties to even, for |v| < 2^51.
inline double nearest_integer(double v) {
  constexpr double kShift = 0x1.8p+52;
  return (v + kShift) - kShift;
}

/// Horner's rule, each step rounded twice; coefficients lowest power first.
template <std::size_t Count>
double polynomial_in_double(const double (&coefficients)[Count], double x) {
  double sum = coefficients[Count - 1];
  for (std::size_t i = Count - 1; i > 0; --i) {
    sum = rounded_product(sum, x) + coefficients[i - 1];
  }
  return sum;
}

struct SineCosine {
  double sine, cosine;
};

/// sin x and cos x for |x| < 2^20, with an error of a few 1e-16.
inline SineCosine sine_cosine(double x) {
  // π/2 in three parts; a multiple of each of the first two is exact.
  constexpr double kHalfPi[] = {0x1.921fb544p+0, 0x1.0b4611a6p-34, 0x1.3198a2e037073p-69};
  // Taylor's series for |r| ≤ π/4: what is left out is below 5e-17.
  constexpr double kSine[] = {
      1.0,          -1.0 / 6,        1.0 / 120,          -1.0 / 5040,
      1.0 / 362880, -1.0 / 39916800, 1.0 / 6227020800.0, -1.0 / 1307674368000.0};
  constexpr double kCosine[] = {1.0,
                                -1.0 / 2,
                                1.0 / 24,
                                -1.0 / 720,
                                1.0 / 40320,
                                -1.0 / 3628800,
                                1.0 / 479001600,
                                -1.0 / 87178291200.0,
                                1.0 / 20922789888000.0};
  const double quarters = nearest_integer(rounded_product(x, 2.0 * std::numbers::inv_pi));
  double r = x;
  for (const double part : kHalfPi) r = r - rounded_product(quarters, part);
  const double r2 = rounded_product(r, r);
  const double sine = rounded_product(r, polynomial_in_double(kSine, r2));
  const double cosine = polynomial_in_double(kCosine, r2);
  switch (static_cast<std::int64_t>(quarters) & 3) {
    case 0:
      return {sine, cosine};
    case 1:
      return {cosine, -sine};
    case 2:
      return {-sine, -cosine};
    default:
      return {-cosine, sine};
  }
}

/// The angle of (x, y) in (−π, π], with an error of a few 1e-16; 0 of (0, 0).
inline double angle(double y, double x) {
  const double width = std::fabs(x), height = std::fabs(y);
  const double larger = width > height ? width : height;
  if (!(larger > 0.0)) return 0.0;
  double t = (width > height ? height : width) / larger;  // in [0, 1]
  double result = 0.0;
  if (t > 0.41421356237309503) {  // tan(π/8): atan t = π/4 + atan((t − 1) / (t + 1))
    t = (t - 1.0) / (t + 1.0);
    result = std::numbers::pi / 4;
  }
  // atan t = t − t³/3 + t⁵/5 …: with |t| < 0.4143 what is left out is below 1e-18.
  const double t2 = rounded_product(t, t);
  double series = 0.0;
  for (int n = 45; n > 0; n -= 2) series = 1.0 / n - rounded_product(series, t2);
  result += rounded_product(t, series);
  if (height > width) result = std::numbers::pi / 2 - result;
  if (x < 0.0) result = std::numbers::pi - result;
  return y < 0.0 ? -result : result;
}

/// An angle in [0, 2π).
inline double turned_into_range(double phase) {
  constexpr double kTurn = 2.0 * std::numbers::pi;
  const double turns = std::floor(phase / kTurn);
  const double result = phase - rounded_product(turns, kTurn);
  return result >= 0.0 && result < kTurn ? result : 0.0;
}

/// A complex number. (std::complex's products are as compilers like them.)
struct Complex {
  double re = 0.0, im = 0.0;

  friend Complex operator+(const Complex& a, const Complex& b) {
    return {a.re + b.re, a.im + b.im};
  }
  friend Complex operator-(const Complex& a, const Complex& b) {
    return {a.re - b.re, a.im - b.im};
  }
  friend Complex operator*(const Complex& a, const Complex& b) {
    return {rounded_product(a.re, b.re) - rounded_product(a.im, b.im),
            rounded_product(a.re, b.im) + rounded_product(a.im, b.re)};
  }
  friend Complex operator*(double a, const Complex& b) {
    return {rounded_product(a, b.re), rounded_product(a, b.im)};
  }
};

inline Complex conjugate(const Complex& z) { return {z.re, -z.im}; }
inline double squared_magnitude(const Complex& z) {
  return rounded_product(z.re, z.re) + rounded_product(z.im, z.im);
}
inline double magnitude(const Complex& z) { return __builtin_sqrt(squared_magnitude(z)); }
inline double angle(const Complex& z) { return angle(z.im, z.re); }
/// e^(i·phase).
inline Complex phasor(double phase) {
  const SineCosine of = sine_cosine(phase);
  return {of.cosine, of.sine};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
