// exp, log and tanh: their largest errors against the C library in double, vectors against the
// plain form bit for bit in every lane, special values. The stated errors were found by going
// through all 2^32 floats; here about ten million are visited.
#include <lumina/elementary.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include <lumina/detail/isa/native.hpp>

#include "support/catch.hpp"
#include "support/same_bits.hpp"

using namespace lumina::detail;
using namespace test;

namespace {

struct Exp {
  static constexpr double most_ulp = 1.01;
  static constexpr float lowest = -105.0f, highest = 90.0f;
  template <class Floats>
  static Floats of(const Floats& x) {
    return lumina::exp(x);
  }
  static float of(float x) { return exponential(x); }
  template <class Floats>
  static Floats short_form(const Floats& x) {
    return exponential_of_small(x);
  }
  static bool has_short_form(float x) { return std::fabs(x) <= 87.0f; }
  static double exact(double x) { return std::exp(x); }
  static float library(float x) { return std::exp(x); }
};

struct Log {
  static constexpr double most_ulp = 0.86;
  static constexpr float lowest = 0.5f, highest = 2.0f;
  template <class Floats>
  static Floats of(const Floats& x) {
    return lumina::log(x);
  }
  static float of(float x) { return natural_logarithm(x); }
  template <class Floats>
  static Floats short_form(const Floats& x) {
    return logarithm_of_normal(x);
  }
  static bool has_short_form(float x) { return x >= kSmallestNormal && x <= kLargest; }
  static double exact(double x) { return std::log(x); }
  static float library(float x) { return std::log(x); }
};

struct Tanh {
  static constexpr double most_ulp = 1.34;
  static constexpr float lowest = -10.0f, highest = 10.0f;
  template <class Floats>
  static Floats of(const Floats& x) {
    return lumina::tanh(x);
  }
  static float of(float x) { return hyperbolic_tangent(x); }
  template <class Floats>
  static Floats short_form(const Floats& x) {
    return lumina::tanh(x);
  }
  static bool has_short_form(float) { return false; }
  static double exact(double x) { return std::tanh(x); }
  static float library(float x) { return std::tanh(x); }
};

/// The unit in the last place of a float near `exact`.
double ulp(double exact) {
  const auto exponent = static_cast<int>(std::bit_cast<std::uint64_t>(exact) >> 52 & 0x7ff) - 1023;
  const auto biased = static_cast<std::uint64_t>(std::max(exponent, -126) - 23 + 1023);
  return std::bit_cast<double>(biased << 52);
}

/// Compares the lanes with the plain form, bit for bit, and that with the exact value.
template <class Function, class Floats>
class Visitor {
 public:
  void operator()(float x) {
    inputs_[count_++] = x;
    if (count_ == Floats::size) flush();
  }
  double worst() const { return worst_; }

 private:
  void flush() {
    count_ = 0;
    std::array<float, Floats::size> lanes, short_form;
    Function::short_form(Floats::load_unaligned(inputs_.data())).store_unaligned(short_form.data());
    Function::of(Floats::load_unaligned(inputs_.data())).store_unaligned(lanes.data());
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      const float x = inputs_[lane], plain = Function::of(x);
      const bool right =
          bits_of(lanes[lane]) == bits_of(plain) &&
          (!Function::has_short_form(x) || bits_of(short_form[lane]) == bits_of(plain));
      if (!right) {
        CAPTURE(lane, x, lanes[lane], short_form[lane], plain);
        REQUIRE(right);
      }
      const double exact = Function::exact(static_cast<double>(x));
      if (!std::isfinite(exact) || std::fabs(exact) > static_cast<double>(kLargest)) continue;
      const double error = std::fabs(static_cast<double>(plain) - exact) / ulp(exact);
      if (error > worst_) worst_ = error;
      if (error != error) REQUIRE(error == error);
    }
  }

  std::array<float, Floats::size> inputs_{};
  std::size_t count_ = 0;
  double worst_ = 0.0;
};

/// Steps are odd, so that every lane sees numbers of every kind.
template <class Function, class Arch>
void check_errors(std::uint32_t step) {
  Visitor<Function, typename Arch::template Batch<float>> visit;
  for (std::uint64_t bits = 0; bits < std::uint64_t{1} << 32; bits += step) {
    visit(float_of(static_cast<std::uint32_t>(bits)));
  }
  const auto count = static_cast<int>((std::uint64_t{1} << 32) / step);
  for (int i = 0; i < count; ++i) {
    visit(Function::lowest + (Function::highest - Function::lowest) *
                                 (static_cast<float>(i) / static_cast<float>(count)));
  }
  CAPTURE(visit.worst());
  CHECK(visit.worst() <= Function::most_ulp);
  CHECK(visit.worst() > 0.5);  // the measurement measures
}

template <class Function, class Arch>
void check_special_values() {
  using Floats = typename Arch::template Batch<float>;
  Visitor<Function, Floats> visit;
  for (const float x : {0.0f,
                        -0.0f,
                        kDenormal,
                        -kDenormal,
                        kSmallestNormal,
                        -kSmallestNormal,
                        1.0f,
                        -1.0f,
                        kLargest,
                        -kLargest,
                        kInf,
                        -kInf,
                        kNaN,
                        -kNaN,
                        float_of(0x7f800001),
                        float_of(0xffffffff),
                        std::nextafter(kSmallestNormal, 0.0f),
                        88.72283f,
                        88.72284f,
                        -103.97207f,
                        -103.97209f,
                        -104.0f,
                        -88.0f,
                        89.0f,
                        1e-20f,
                        0x1.555556p-1f,
                        0x1.555554p-1f,
                        0.625f,
                        -0.625f}) {
    for (std::size_t i = 0; i < Floats::size; ++i) visit(x);
    const float result = Function::of(x), expected = Function::library(x);
    CAPTURE(x, result, expected);
    if (expected == 0.0f || !std::isfinite(expected)) {
      CHECK(same_bits(result, expected));
    } else {
      CHECK(std::isfinite(result));
    }
    if (result != result) CHECK(bits_of(result) == 0x7fc00000);
  }
  CHECK(visit.worst() <= Function::most_ulp);
}

template <class Function>
void check() {
  check_errors<Function, Native>(2503);
  check_errors<Function, Scalar>(12011);
  check_special_values<Function, Native>();
  check_special_values<Function, Scalar>();
}

}  // namespace

TEST_CASE("exp is right to 1.01 ulp in every lane", "[elementary]") {
  check<Exp>();
  CHECK(exponential(0.0f) == 1.0f);
  CHECK(exponential(-0.0f) == 1.0f);
}

TEST_CASE("log is right to 0.86 ulp in every lane", "[elementary]") {
  check<Log>();
  CHECK(bits_of(natural_logarithm(1.0f)) == 0);
}

TEST_CASE("tanh is right to 1.34 ulp in every lane", "[elementary]") {
  check<Tanh>();
  CHECK(hyperbolic_tangent(20.0f) == 1.0f);
  CHECK(hyperbolic_tangent(-kInf) == -1.0f);
}

TEST_CASE("They are constant expressions, with the same bits", "[elementary]") {
  constexpr float kExp = exponential(1.7f), kLog = natural_logarithm(1.7f);
  constexpr float kTanh = hyperbolic_tangent(1.7f);
  volatile float x = 1.7f;
  CHECK(bits_of(kExp) == bits_of(exponential(x)));
  CHECK(bits_of(kLog) == bits_of(natural_logarithm(x)));
  CHECK(bits_of(kTanh) == bits_of(hyperbolic_tangent(x)));
}

TEST_CASE("sqrt is the nearest float", "[elementary]") {
  using Floats = Native::Batch<float>;
  std::array<float, Floats::size> lanes;
  for (const float x : {2.0f, 0.0f, -0.0f, kInf, 1e-40f, 3.0f}) {
    lumina::sqrt(Floats(x)).store_unaligned(lanes.data());
    CHECK(bits_of(lanes[Floats::size - 1]) == bits_of(std::sqrt(x)));
  }
}
