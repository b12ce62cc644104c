#include <lumina/quantizer.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using lumina::Quantizer;
using lumina::RuntimeQuantizer;
using lumina::SymmetricQuantizer;
using namespace test;

namespace {

/// f(constant First), …, f(constant Last).
template <int First, int Last, class F>
void for_each_bits(F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, First + I>{}), ...);
  }
  (std::make_integer_sequence<int, Last - First + 1>{});
}

/// Quantizer<bits>(lo, hi) for a `bits` that is not a constant: one test body for all sixteen.
using AnyQuantizer = lumina::detail::UniformQuantizer;
AnyQuantizer quantizer(int bits, float lo, float hi) {
  using Make = AnyQuantizer (*)(float, float);
  static constexpr auto makers = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Make, 16>{
        +[](float a, float b) -> AnyQuantizer { return Quantizer<I + 1>(a, b); }...};
  }
  (std::make_integer_sequence<int, 16>{});
  return makers[static_cast<std::size_t>(bits - 1)](lo, hi);
}
constexpr std::uint32_t max_code_of(int bits) { return (1u << bits) - 1; }

struct Range {
  float lo, hi;
};
const std::vector<Range> kRanges = {
    {0.0f, 1.0f},
    {-1.0f, 1.0f},
    {-0.3f, 0.7f},
    {0.0f, 255.0f},
    {-1e6f, 3.0f},
    {1e-3f, 5.0f},
    {1000.0f, 1000.001f},
    {1.0f, std::nextafter(1.0f, 2.0f)},
    {-std::nextafter(7.0f, 8.0f), -7.0f},
    {0.0f, 1e-30f},
    {0.0f, 65535 * kDenormal},
    {-kSmallestNormal, kSmallestNormal},
    {-1e38f, 1e38f},
    {0.0f, kLargest},
    {-kLargest / 2, kLargest / 2},
};

/// 0 where a range is too small for so many codes: Quantizer refuses it.
float step_of(const Range& range, int bits) {
  return static_cast<float>((static_cast<double>(range.hi) - range.lo) / ((1 << bits) - 1));
}

/// A value in a range or beside it, often beside a tie, sometimes anything.
float sample(Engine& engine, const AnyQuantizer& q, std::uint32_t max_code) {
  switch (integer(engine, 0, 3)) {
    case 0: {
      const float width = q.hi() - q.lo();
      return q.lo() + width * uniform(engine, -0.2f, 1.2f);
    }
    case 1:
    case 2: {
      const auto code = static_cast<double>(integer(engine, 0, max_code));
      auto v = static_cast<float>(q.lo() + (code + 0.5) * static_cast<double>(q.step()));
      for (std::size_t n = integer(engine, 0, 3); n != 0; --n) v = std::nextafter(v, kInf);
      for (std::size_t n = integer(engine, 0, 3); n != 0; --n) v = std::nextafter(v, -kInf);
      return v;
    }
    default:
      return any_float(engine);
  }
}

/// v in units of 2^exponent, exactly.
__int128 in_units(float v, int exponent) {
  if (v == 0.0f) return 0;
  int own = 0;
  const auto significand = static_cast<std::int64_t>(std::ldexp(std::frexp(v, &own), 24));
  const int shift = own - 24 - exponent;
  return shift >= 0 ? static_cast<__int128>(significand) << shift
                    : static_cast<__int128>(significand) >> -shift;
}
int exponent_of_last_bit(float v) {
  if (v == 0.0f) return 127;
  int exponent = 0;
  std::frexp(v, &exponent);
  return exponent - 24;
}

/// encode(v) against integers of 128 bits. Float arithmetic is off by 2^-23 of the quotient at
/// most, so the code may differ from the exact one only beside a tie.
void check_encode_exactly(const AnyQuantizer& q, std::uint32_t max_code, float v) {
  if (!std::isfinite(v)) return;
  const int unit = std::min(
      {exponent_of_last_bit(v), exponent_of_last_bit(q.lo()), exponent_of_last_bit(q.step())});
  // Numbers further apart than 128 bits reach have a quotient that saturates or vanishes.
  const double span =
      std::max({std::fabs(static_cast<double>(v)), std::fabs(static_cast<double>(q.lo())),
                static_cast<double>(q.step())});
  if (std::ilogb(span) - unit > 80) return;

  const __int128 step = in_units(q.step(), unit);
  const __int128 distance = in_units(v, unit) - in_units(q.lo(), unit);
  const std::uint32_t code = q.encode(v);
  if (distance <= 0) {
    REQUIRE(code == 0);
    return;
  }
  if (distance >= step * (max_code + 1)) {
    REQUIRE(code == max_code);
    return;
  }
  const __int128 below = distance / step;
  const __int128 twice_tie = (2 * below + 1) * step;  // the tie above `below`, times two
  const __int128 beyond = 2 * distance - twice_tie;
  const __int128 magnitude = beyond < 0 ? -beyond : beyond;
  const bool beside_tie = magnitude * ((1 << 23) - 1) <= twice_tie;
  const bool up = beyond > 0 || (beyond == 0 && below % 2 == 1);
  const auto exact = static_cast<std::uint32_t>(std::min<__int128>(below + (up ? 1 : 0), max_code));
  const auto other = static_cast<std::uint32_t>(std::min<__int128>(below + (up ? 0 : 1), max_code));
  const bool right = code == exact || (beside_tie && code == other);
  if (!right) {
    CAPTURE(v, q.lo(), q.hi(), code, exact);
    REQUIRE(right);
  }
}

/// Values that are decoded again to the same code: steps are many floats apart.
template <class Q>
bool codes_are_distinct(const Q& q) {
  const float largest = std::max(std::fabs(q.lo()), std::fabs(q.hi()));
  return q.step() > 4 * (std::nextafter(largest, kInf) - largest) && q.step() >= kSmallestNormal;
}

}  // namespace

TEST_CASE("Quantizer equals the reference", "[quantizer]") {
  Engine engine(1);
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    for (const Range& range : kRanges) {
      if (step_of(range, bits) == 0) continue;
      const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
      for (int i = 0; i < 500; ++i) {
        const float v = sample(engine, q, max_code);
        const std::uint32_t code = lumina::reference::encode(v, range.lo, range.hi, bits);
        const float value = lumina::reference::decode(code, range.lo, range.hi, bits);
        const bool same = q.encode(v) == code && same_bits(q.decode(code), value) &&
                          same_bits(q(v), v != v ? kNaN : value);
        if (same) continue;
        CAPTURE(bits, range.lo, range.hi, v, code, value);
        REQUIRE(same);
      }
    }
  }
}

TEST_CASE("Quantizer::encode against exact rational arithmetic", "[quantizer]") {
  Engine engine(2);
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    CAPTURE(bits);
    for (const Range& range : kRanges) {
      if (step_of(range, bits) == 0) continue;
      const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
      for (int i = 0; i < 1000; ++i) check_encode_exactly(q, max_code, sample(engine, q, max_code));
    }
    for (int i = 0; i < 2000; ++i) {
      const float lo = uniform(engine, -10.0f, 10.0f);
      const AnyQuantizer q = quantizer(bits, lo, lo + uniform(engine, 0.01f, 20.0f));
      check_encode_exactly(q, max_code, sample(engine, q, max_code));
    }
  }
}

TEST_CASE("Quantizer rounds ties to even", "[quantizer]") {
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    for (const float step : {1.0f, 0.25f, 0x1p-20f, 0x1p+60f}) {
      // lo, hi, step, the ties and their neighbours are floats: nothing is rounded before the tie.
      const AnyQuantizer q = quantizer(bits, 0.0f, static_cast<float>(max_code) * step);
      const AnyQuantizer shifted =
          quantizer(bits, -step, static_cast<float>(max_code) * step - step);
      REQUIRE(q.step() == step);
      REQUIRE(shifted.step() == step);
      bool right = true;
      for (std::uint32_t code = 0; code < max_code; ++code) {
        const float tie = (static_cast<float>(code) + 0.5f) * step;
        const std::uint32_t even = code % 2 == 0 ? code : code + 1;
        right &= q.encode(tie) == even && shifted.encode(tie - step) == even;
        right &= q.encode(std::nextafter(tie, -kInf)) == code;
        right &= q.encode(std::nextafter(tie, kInf)) == code + 1;
      }
      CAPTURE(bits, step);
      CHECK(right);
    }
  }
}

TEST_CASE("Quantizer's codes survive decoding and encoding, in order", "[quantizer]") {
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    for (const Range& range : kRanges) {
      if (step_of(range, bits) == 0) continue;
      const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
      CAPTURE(bits, range.lo, range.hi);
      CHECK(q.decode(0) == range.lo);
      bool ascending = true;
      bool distinct = true;
      for (std::uint32_t code = 0; code <= max_code; ++code) {
        if (code > 0) ascending &= q.decode(code) >= q.decode(code - 1);
        distinct &= q.encode(q.decode(code)) == code;
      }
      CHECK(ascending);
      if (codes_are_distinct(q)) CHECK(distinct);
    }
  }
}

TEST_CASE("Quantizer's last level is hi, but for the rounding of the step", "[quantizer]") {
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    for (const Range& range : kRanges) {
      if (step_of(range, bits) == 0) continue;
      const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
      const double exact_step = (static_cast<double>(range.hi) - range.lo) / max_code;
      const double step_error = std::fabs(static_cast<double>(q.step()) - exact_step) * max_code;
      const double last_bit = static_cast<double>(std::nextafter(std::fabs(range.hi), kInf)) -
                              static_cast<double>(std::fabs(range.hi));
      CAPTURE(bits, range.lo, range.hi, q.decode(max_code));
      CHECK(std::fabs(static_cast<double>(q.decode(max_code)) - range.hi) <=
            step_error + (std::isfinite(last_bit) ? last_bit : 0x1p104));
    }
  }
}

TEST_CASE("Quantizer's step is the range divided by the codes, correctly rounded", "[quantizer]") {
  Engine engine(3);
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    bool right = true;
    for (int i = 0; i < 2000; ++i) {
      const float lo = uniform(engine, -8.0f, 8.0f);
      const float hi = lo + uniform(engine, 0.5f, 8.0f);
      const AnyQuantizer q = quantizer(bits, lo, hi);
      // |range − max_code·step| against max_code · half a unit of step's last place, in integers.
      const int unit = -60;
      const __int128 range = in_units(hi, unit) - in_units(lo, unit);
      const __int128 twice_error = 2 * (range - in_units(q.step(), unit) * max_code);
      const __int128 last_bit =
          in_units(std::ldexp(1.0f, exponent_of_last_bit(q.step())), unit) * max_code;
      right &= twice_error <= last_bit && -twice_error <= last_bit;
    }
    CAPTURE(bits);
    CHECK(right);
  }
}

TEST_CASE("Quantizer is monotone", "[quantizer]") {
  Engine engine(4);
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    const AnyQuantizer q = quantizer(bits, -0.3f, 0.7f);
    bool ascending = true;
    for (int i = 0; i < 3000; ++i) {
      const float a = sample(engine, q, max_code);
      const float b = sample(engine, q, max_code);
      if (a <= b) ascending &= q.encode(a) <= q.encode(b) && q(a) <= q(b);
      const float next = std::nextafter(a, kInf);
      if (a < next) ascending &= q.encode(a) <= q.encode(next);
    }
    CAPTURE(bits);
    CHECK(ascending);
  }
}

TEST_CASE("Quantizer saturates, and keeps NaN", "[quantizer]") {
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    const AnyQuantizer q = quantizer(bits, -2.0f, 3.0f);
    CAPTURE(bits);
    for (const float high : {kInf, kLargest, 3.0f, 3.1f}) {
      CHECK(q.encode(high) == max_code);
      CHECK(q(high) == q.decode(max_code));
    }
    for (const float low : {-kInf, -kLargest, -2.0f, -2.1f}) {
      CHECK(q.encode(low) == 0);
      CHECK(q(low) == -2.0f);
    }
    for (const float nan : {kNaN, -kNaN, float_of(0x7f800001), float_of(0xffffffff)}) {
      CHECK(q.encode(nan) == 0);
      CHECK(std::isnan(q(nan)));
    }
    const AnyQuantizer from_zero = quantizer(bits, 0.0f, 1.0f);
    for (const float tiny : {0.0f, -0.0f, kDenormal, -kDenormal, kSmallestNormal}) {
      CHECK(from_zero.encode(tiny) == 0);
      CHECK(same_bits(from_zero(tiny), 0.0f));
    }
    // −0 as a bound is +0: no −0 comes out.
    CHECK(same_bits(quantizer(bits, -0.0f, 1.0f)(-1.0f), 0.0f));
  }
}

TEST_CASE("No level of a quantizer is infinite", "[quantizer]") {
  // A step that was rounded up could carry the last level beyond the largest float.
  const std::vector<Range> ranges = {
      {0.0f, kLargest}, {1.0f, kLargest}, {-kLargest / 2, kLargest / 2}, {-kLargest, 0.0f}};
  for (int bits = 1; bits <= 16; ++bits) {
    CAPTURE(bits);
    for (const Range& range : ranges) {
      CAPTURE(range.lo, range.hi);
      errors_of([&] {  // refusing such a range is right, too
        const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
        CHECK(std::isfinite(q(kInf)));
      });
    }
  }
  for_each_bits<2, 16>([](auto bits) {
    bool finite = true;
    errors_of([&] { finite = std::isfinite(SymmetricQuantizer<bits>(kLargest)(kInf)); });
    CAPTURE(bits());
    CHECK(finite);
  });
}

TEST_CASE("Quantizer::apply equals operator() bit for bit", "[quantizer]") {
  Engine engine(5);
  const std::vector<float> special = {kNaN,       -kNaN,  kInf,  -kInf,
                                      0.0f,       -0.0f,  1e38f, kDenormal,
                                      -kDenormal, -1e38f, 0.5f,  float_of(0x7f800001)};
  const auto check = [&](const auto& q, std::uint32_t max_code) {
    for (std::size_t length = 0; length <= 67; ++length) {
      for (const std::size_t offset : {0u, 1u}) {
        // Exactly so many floats: a sanitizer sees an access behind them.
        const std::unique_ptr<float[]> values(new float[length + offset]);
        std::vector<float> expected;
        for (std::size_t i = 0; i < length; ++i) {
          values[offset + i] = integer(engine, 0, 2) == 0
                                   ? special[integer(engine, 0, special.size() - 1)]
                                   : sample(engine, q, max_code);
          expected.push_back(q(values[offset + i]));
        }
        const std::span<float> span(values.get() + offset, length);
        q.apply(span);
        REQUIRE(difference(span, expected) == "");
      }
    }
  };
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    check(quantizer(bits, -0.3f, 0.7f), max_code);
    check(quantizer(bits, -1e38f, 1e38f), max_code);
  }
}

TEST_CASE("Quantizer::apply at every distance from ties", "[quantizer]") {
  // Vectors whose lanes are all about as far from a tie: a shortcut that is right for most values
  // is taken here, and taken too far if it ever is.
  Engine engine(9);
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    for (const Range& range : {Range{-0.3f, 0.7f}, Range{0.1f, 77.7f}, Range{-1e-20f, 3e-20f}}) {
      const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
      for (int exponent = -26; exponent <= -1; ++exponent) {
        std::vector<float> values(512);
        for (float& v : values) {
          const double distance =
              std::ldexp(static_cast<double>(uniform(engine, 0.5f, 1.0f)), exponent);
          const double tie = static_cast<double>(integer(engine, 0, max_code)) + 0.5;
          const double position = tie + (integer(engine, 0, 1) == 0 ? distance : -distance);
          v = static_cast<float>(static_cast<double>(q.lo()) +
                                 position * static_cast<double>(q.step()));
        }
        std::vector<float> expected(values);
        for (float& v : expected) v = q(v);
        q.apply(values);
        CAPTURE(bits, range.lo, range.hi, exponent);
        REQUIRE(difference(values, expected) == "");
      }
    }
  }
}

TEST_CASE("Quantizer::apply on denormals and on ranges of a few floats", "[quantizer]") {
  Engine engine(6);
  for (int bits = 1; bits <= 16; ++bits) {
    const std::uint32_t max_code = max_code_of(bits);
    for (const Range& range : kRanges) {
      if (step_of(range, bits) == 0) continue;
      const AnyQuantizer q = quantizer(bits, range.lo, range.hi);
      std::vector<float> values(101);
      for (float& v : values) v = sample(engine, q, max_code);
      std::vector<float> expected(values);
      for (float& v : expected) v = q(v);
      q.apply(values);
      CAPTURE(bits, range.lo, range.hi);
      REQUIRE(difference(values, expected) == "");
    }
  }
}

namespace {

// The same function in constant expressions and at run time.
constexpr std::array<float, 17> kInputs = {-kInf,      -1e30f, -2.0f,   -1.0f,  -0.75f, -0.3f,
                                           -kDenormal, -0.0f,  0.0f,    1e-30f, 0.1f,   0.25f,
                                           0.5f,       0.7f,   0.9999f, 3.5f,   kInf};

template <class Q>
constexpr auto all_codes_of(const Q& q) {
  std::array<decltype(q.encode(0.0f)), kInputs.size()> codes{};
  for (std::size_t i = 0; i < kInputs.size(); ++i) codes[i] = q.encode(kInputs[i]);
  return codes;
}
template <class Q>
constexpr auto values_of(const Q& q) {
  std::array<float, kInputs.size()> values{};
  for (std::size_t i = 0; i < kInputs.size(); ++i) values[i] = q(kInputs[i]);
  return values;
}

/// A copy that the compiler cannot see through.
template <class T>
T opaque(const T& value) {
  const volatile T hidden = value;
  return hidden;
}

template <class Make>
void check_constexpr(Make) {
  constexpr auto q = Make::make();
  constexpr auto codes = all_codes_of(q);
  constexpr auto values = values_of(q);
  bool same = true;
  for (std::size_t i = 0; i < kInputs.size(); ++i) {
    const float v = opaque(kInputs[i]);
    same &= q.encode(v) == codes[i] && same_bits(q(v), values[i]);
  }
  CHECK(same);
}

template <int Bits>
struct MakeUniform {
  static constexpr auto make() { return Quantizer<Bits>(-0.3f, 0.7f); }
};
template <int Bits>
struct MakeRuntime {
  static constexpr auto make() { return RuntimeQuantizer(Bits, -1.0f, 0.9f); }
};
template <int Bits>
struct MakeSymmetric {
  static constexpr auto make() { return SymmetricQuantizer<Bits>(0.9f); }
};

static_assert([]<int... I>(std::integer_sequence<int, I...>) {
  return ((Quantizer<I + 1>::max_code == max_code_of(I + 1) && Quantizer<I + 1>::bits == I + 1) &&
          ...);
}(std::make_integer_sequence<int, 16>{}));
static_assert(Quantizer<8>(0.0f, 255.0f).step() == 1.0f);
static_assert(Quantizer<8>(0.0f, 255.0f).lo() == 0.0f);
static_assert(Quantizer<8>(0.0f, 255.0f).hi() == 255.0f);
static_assert(Quantizer<8>(0.0f, 255.0f).encode(0.5f) == 0);
static_assert(Quantizer<8>(0.0f, 255.0f).encode(1.5f) == 2);
static_assert(Quantizer<8>(0.0f, 255.0f).encode(2.5f) == 2);
static_assert(Quantizer<8>(0.0f, 255.0f).encode(kInf) == 255);
static_assert(Quantizer<8>(0.0f, 255.0f).encode(kNaN) == 0);
static_assert(Quantizer<8>(0.0f, 1e-3f).encode(kLargest) == 255);
static_assert(SymmetricQuantizer<8>(1e-3f).encode(-kLargest) == -127);
static_assert(Quantizer<8>(0.0f, 255.0f)(77.2f) == 77.0f);
static_assert(SymmetricQuantizer<8>::max_code == 127);
static_assert(SymmetricQuantizer<8>(127.0f)(-3.5f) == -4.0f);
static_assert(RuntimeQuantizer(4, 0.0f, 15.0f)(3.2f) == 3.0f);
static_assert(RuntimeQuantizer(Quantizer<4>(0.0f, 15.0f)).max_code() == 15);

}  // namespace

TEST_CASE("Quantizers give the same bits in constant expressions", "[quantizer]") {
  for_each_bits<1, 16>([&](auto bits) {
    CAPTURE(bits());
    check_constexpr(MakeUniform<bits>{});
    check_constexpr(MakeRuntime<bits>{});
  });
  for_each_bits<2, 16>([&](auto bits) {
    CAPTURE(bits());
    check_constexpr(MakeSymmetric<bits>{});
  });
}

TEST_CASE("RuntimeQuantizer equals Quantizer", "[quantizer]") {
  Engine engine(7);
  for_each_bits<1, 16>([&](auto bits) {
    const Quantizer<bits> q(-0.3f, 0.7f);
    const RuntimeQuantizer converted = q;
    const RuntimeQuantizer made(bits, -0.3f, 0.7f);
    CAPTURE(bits());
    for (const RuntimeQuantizer& r : {converted, made}) {
      CHECK(r.bits() == bits);
      CHECK(r.max_code() == q.max_code);
      CHECK(r.lo() == q.lo());
      CHECK(r.hi() == q.hi());
      CHECK(r.step() == q.step());
      std::vector<float> values(131);
      for (float& v : values) v = sample(engine, q, q.max_code);
      std::vector<float> expected(values);
      bool same = true;
      for (const float v : values) same &= r.encode(v) == q.encode(v) && same_bits(r(v), q(v));
      for (std::uint32_t code = 0; code <= q.max_code; ++code)
        same &= r.decode(code) == q.decode(code);
      CHECK(same);
      r.apply(values);
      q.apply(expected);
      CHECK(difference(values, expected) == "");
    }
  });
}

TEST_CASE("A quantizer's gradient passes in its range, ends included", "[quantizer]") {
  using Floats = lumina::detail::Native::Batch<float>;
  const auto passes = [](const auto& q, float v) {
    const auto bits = lumina::detail::bits_of_mask<Floats>(q.passes(Floats(v)));
    REQUIRE((bits == 0 || bits == (1u << Floats::size) - 1u));
    return bits != 0;
  };
  const auto check = [&](const auto& q, float lo, float hi) {
    CAPTURE(lo, hi);
    for (const float inside : {lo, hi, std::nextafter(lo, hi), std::nextafter(hi, lo)}) {
      CHECK(passes(q, inside));
    }
    for (const float outside :
         {std::nextafter(lo, -kInf), std::nextafter(hi, kInf), kInf, -kInf, kNaN, -kNaN}) {
      CHECK(!passes(q, outside));
    }
  };
  for (const Range& range : kRanges)
    check(RuntimeQuantizer(1, range.lo, range.hi), range.lo, range.hi);
  check(Quantizer<8>(-0.3f, 0.7f), -0.3f, 0.7f);
  // The range's end counts, not the last level, which rounding may carry beside it.
  check(Quantizer<16>(1e-3f, 5.0f), 1e-3f, 5.0f);
  for (const float limit : {1.0f, 0.7f, 1e-30f, 3e38f}) {
    check(SymmetricQuantizer<8>(limit), -limit, limit);
  }
  const Quantizer<4> from_zero(0.0f, 1.0f);
  CHECK(passes(from_zero, -0.0f));
}

TEST_CASE("SymmetricQuantizer: zero is exact, and signs mirror", "[quantizer]") {
  Engine engine(8);
  for_each_bits<2, 16>([&](auto bits) {
    using Q = SymmetricQuantizer<bits>;
    CAPTURE(bits());
    for (const float limit : {1.0f, 0.7f, 1e-30f, 3e38f, 65535 * kDenormal}) {
      const Q q(limit);
      CAPTURE(limit);
      CHECK(q.limit() == limit);
      CHECK(q.step() == limit / static_cast<float>(Q::max_code));
      CHECK(q.encode(0.0f) == 0);
      CHECK(same_bits(q(0.0f), 0.0f));
      CHECK(same_bits(q(-0.0f), 0.0f));
      CHECK(q.encode(kInf) == Q::max_code);
      CHECK(q.encode(-kInf) == -Q::max_code);
      CHECK(q.encode(limit) == Q::max_code);
      CHECK(q.encode(kNaN) == 0);
      CHECK(std::isnan(q(kNaN)));

      bool mirrored = true;
      bool nearest = true;
      std::vector<float> values(201);
      for (float& v : values) {
        const double tie = static_cast<double>(integer(engine, 0, Q::max_code)) + 0.5;
        switch (integer(engine, 0, 3)) {
          case 0:
            v = any_float(engine);
            break;
          case 1:
            v = uniform(engine, -1.2f, 1.2f) * limit;
            break;
          default:
            v = static_cast<float>(tie * static_cast<double>(q.step()));
            v = std::nextafter(v, integer(engine, 0, 1) == 0 ? kInf : 0.0f);
        }
        mirrored &= q.encode(-v) == -q.encode(v) && (v != v || q(-v) == -q(v));
        const double exact = static_cast<double>(v) / static_cast<double>(q.step());
        if (std::fabs(exact) < Q::max_code) {
          nearest &= std::fabs(q.encode(v) - exact) <= 0.5 + std::fabs(exact) * 0x1p-24;
        }
      }
      CHECK(mirrored);
      CHECK(nearest);
      bool distinct = true;
      for (std::int32_t code = -Q::max_code; code <= Q::max_code; ++code) {
        distinct &= q.encode(q.decode(code)) == code;
      }
      if (q.step() >= kSmallestNormal) CHECK(distinct);

      for (std::size_t length = 0; length <= 67; ++length) {
        std::vector<float> actual(values.begin(),
                                  values.begin() + static_cast<std::ptrdiff_t>(length));
        std::vector<float> expected;
        for (const float v : actual) expected.push_back(q(v));
        q.apply(actual);
        REQUIRE(difference(actual, expected) == "");
      }
    }
  });
}

TEST_CASE("Quantizers refuse ranges that are none", "[quantizer][errors]") {
  const std::vector<Range> no_ranges = {{1.0f, 1.0f}, {2.0f, 1.0f}, {0.0f, -0.0f},
                                        {kNaN, 1.0f}, {0.0f, kNaN}, {kInf, -kInf}};
  for (const Range& range : no_ranges) {
    expect_error([&] { Quantizer<8>(range.lo, range.hi); },
                 {"lumina::Quantizer", "lo must be smaller than hi"});
    expect_error([&] { RuntimeQuantizer(8, range.lo, range.hi); }, {"lo must be smaller than hi"});
  }
  const std::vector<Range> too_wide = {
      {-kInf, 0.0f}, {0.0f, kInf}, {-kLargest, kLargest}, {-kInf, kInf}};
  for (const Range& range : too_wide) {
    expect_error([&] { Quantizer<8>(range.lo, range.hi); }, {"finite"});
  }
  expect_error([] { Quantizer<8>(0.0f, kDenormal); }, {"step is 0"});
  for (const int bits : {0, -1, 17, 1000}) {
    expect_error([&] { RuntimeQuantizer(bits, 0.0f, 1.0f); }, {"bits", "1..16"});
  }
  for (const float limit : {0.0f, -1.0f, kNaN, kInf, kDenormal}) {
    expect_error([&] { SymmetricQuantizer<8>{limit}; }, {"lumina::SymmetricQuantizer", "limit"});
  }
}

TEST_CASE("A quantizer whose error handler returned covers [0, 1]", "[quantizer][errors]") {
  errors_of([] {
    const Quantizer<8> q(2.0f, 1.0f);
    CHECK(q.lo() == 0.0f);
    CHECK(q.hi() == 1.0f);
    CHECK(q.encode(1.0f) == 255);
    const RuntimeQuantizer r(99, 0.0f, 1.0f);
    CHECK(r.bits() == 1);
    CHECK(r.encode(5.0f) == 1);
    const SymmetricQuantizer<8> s(-1.0f);
    CHECK(s.limit() == 1.0f);
    CHECK(s(1.0f) == 1.0f);
  });
}

TEST_CASE("A tiny lo decides whether the highest level is beyond float", "[quantizer]") {
  // 31·step lies in the middle between the largest float and what rounds to infinity.
  for (const float lo : {-kSmallestNormal, -kDenormal}) {
    const Quantizer<5> q(lo, kLargest);
    CHECK(q.step() == static_cast<float>(static_cast<double>(kLargest) / 31.0));
    CHECK(q.decode(31) == kLargest);
  }
  const Quantizer<5> from_0(0.0f, kLargest);
  CHECK(from_0.step() < static_cast<float>(static_cast<double>(kLargest) / 31.0));
  CHECK(from_0.decode(31) < kLargest);
}
