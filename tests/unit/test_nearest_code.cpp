#include <lumina/detail/simd/nearest_code.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <lumina/lumina.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using lumina::detail::NearestCode;
using namespace test;

namespace {

using Floats = lumina::detail::Native::Batch<float>;

struct Converter {
  float step, offset, bottom, top;
};

/// The definition, with a division; NaN stays NaN.
float expected_code(const Converter& c, float v) {
  const float position = (v - c.offset) / c.step;
  if (position != position) return position;
  return std::nearbyint(std::fmin(std::fmax(position, c.bottom), c.top)) + 0.0f;
}

/// "", or how a form of NearestCode differs from the definition.
std::string difference_of_codes(const Converter& c, std::vector<float> values) {
  const NearestCode nearest(c.step, c.offset, c.bottom, c.top);
  values.resize((values.size() + Floats::size - 1) / Floats::size * Floats::size, c.offset);
  for (std::size_t i = 0; i < values.size(); i += Floats::size) {
    const Floats v = Floats::load_unaligned(&values[i]);
    std::array<float, Floats::size> kept, code, raised, raised_number;
    nearest.code_or_nan(v).store_unaligned(kept.data());
    nearest.code(v).store_unaligned(code.data());
    nearest.raised_code(v).store_unaligned(raised.data());
    nearest.raised_code_of_number(v).store_unaligned(raised_number.data());
    for (std::size_t lane = 0; lane < Floats::size; ++lane) {
      const float own = values[i + lane];
      const bool is_nan = own != own;
      const float expected = expected_code(c, own);
      const float number = is_nan ? 0.0f : expected;
      const float in_last_bits = number + lumina::detail::kRoundingShift;
      const bool right = same_bits(is_nan ? kNaN : kept[lane], is_nan ? kNaN : expected) &&
                         is_nan == (kept[lane] != kept[lane]) && same_bits(code[lane], number) &&
                         same_bits(raised[lane], in_last_bits) &&
                         (is_nan || same_bits(raised_number[lane], in_last_bits)) &&
                         (is_nan || same_bits(nearest.code_or_nan(own), expected));
      if (!right) {
        return std::to_string(own) + " / " + std::to_string(c.step) + ": " +
               std::to_string(code[lane]) + ", " + std::to_string(kept[lane]) + " instead of " +
               std::to_string(expected);
      }
    }
  }
  return "";
}

/// The inverse of an odd number modulo 2^64, by Newton's iteration.
std::uint64_t inverse_of(std::uint64_t odd) {
  std::uint64_t inverse = odd;
  for (int i = 0; i < 6; ++i) inverse *= 2 - odd * inverse;
  return inverse;
}

struct HardQuotient {
  std::uint64_t dividend, divisor;  ///< of 24 bits
  int exponent;                     ///< their quotient times 2^exponent is beside the tie
};

/// Quotients as close to what decides a tie as quotients of floats can be: D·2^t = N·M ± 1, where
/// N, of 25 bits, is the middle between the tie k + 1/2 and the next float, above or below it.
std::vector<HardQuotient> hard_quotients(std::uint64_t k) {
  constexpr std::uint64_t kFirst = 1u << 23, kEnd = 1u << 24;
  const int exponent = std::ilogb(static_cast<double>(k) + 0.5);
  const auto tie =
      static_cast<std::uint64_t>(std::ldexp(static_cast<double>(k) + 0.5, 23 - exponent));
  std::vector<HardQuotient> result;
  for (const std::uint64_t middle : {2 * tie - 1, 2 * tie + 1}) {
    for (const int t : {24, 25}) {
      const std::uint64_t modulus = std::uint64_t{1} << t;
      const std::uint64_t inverse = inverse_of(middle) % modulus;
      for (const std::uint64_t divisor : {inverse, modulus - inverse}) {
        if (divisor < kFirst || divisor >= kEnd) continue;
        const std::uint64_t product = middle * divisor;
        const std::uint64_t dividend = (product + 1) >> t;
        if (dividend < kFirst || dividend >= kEnd) continue;
        result.push_back({dividend, divisor, t + exponent - 24});
      }
    }
  }
  return result;
}

/// Steps of some significands and all kinds of exponents, with the ends of what is multiplied by a
/// power of two.
std::vector<float> steps() {
  std::vector<float> result;
  for (const float significand : {1.0f, std::nextafter(1.0f, 2.0f), 1.1f, 4.0f / 3.0f, 1.4142135f,
                                  5.0f / 3.0f, std::nextafter(2.0f, 1.0f)}) {
    for (const int exponent : {-149, -140, -127, -126, -101, -100, -99, -8, 0, 99, 100, 101, 127}) {
      const float step = std::ldexp(significand, exponent);
      if (step > 0.0f) result.push_back(step);
    }
  }
  return result;
}

}  // namespace

TEST_CASE("NearestCode where a quotient is as close to a tie as it can be", "[quantizer]") {
  std::size_t cases = 0;
  std::string wrong;
  for (std::uint64_t k = 0; k < 65535 && wrong.empty(); ++k) {
    for (const HardQuotient& hard : hard_quotients(k)) {
      for (const int exponent : {-30, -149, 77}) {
        if (exponent != -30 && k % 16 != 0) continue;
        const float step = std::ldexp(static_cast<float>(hard.divisor), exponent);
        const float v = std::ldexp(static_cast<float>(hard.dividend), exponent + hard.exponent);
        if (step == 0.0f || v > kLargest) continue;
        ++cases;
        wrong = difference_of_codes({step, 0.0f, 0.0f, 65535.0f},
                                    {v, -v, std::nextafter(v, 0.0f), std::nextafter(v, kInf)});
        if (wrong.empty() && k < 32767) {
          wrong = difference_of_codes({step, 0.0f, -32767.0f, 32767.0f}, {v, -v});
        }
        if (!wrong.empty()) break;
      }
    }
  }
  CHECK(wrong == "");
  CHECK(cases > 65535);
}

TEST_CASE("NearestCode around every tie and level of every number of bits", "[quantizer]") {
  for (const float step : steps()) {
    for (int bits = 1; bits <= 16; ++bits) {
      // All of 16 bits, which are those of any bits, for each significand.
      const bool all_ties = bits == 16 && std::ilogb(step) == 0;
      const std::uint32_t top = (1u << bits) - 1;
      std::vector<float> values{0.0f, -0.0f, kDenormal, -kDenormal, kInf, -kInf, kNaN, kLargest};
      for (std::uint32_t half = 0; half <= 2 * top + 2; ++half) {
        if (!all_ties && half > 64 && half + 64 < 2 * top) continue;
        const double exact = 0.5 * half * static_cast<double>(step);
        auto v = static_cast<float>(exact);
        for (int i = 0; i < 2; ++i) v = std::nextafter(v, -kInf);
        for (int i = 0; i < 5; ++i, v = std::nextafter(v, kInf)) values.push_back(v);
      }
      CAPTURE(step, bits);
      const auto highest = static_cast<float>(top);
      REQUIRE(difference_of_codes({step, 0.0f, 0.0f, highest}, values) == "");
      if (bits == 16) continue;
      const std::size_t count = values.size();
      for (std::size_t i = 0; i < count; ++i) values.push_back(-values[i]);
      REQUIRE(difference_of_codes({step, 0.0f, -highest, highest}, values) == "");
    }
  }
}

TEST_CASE("NearestCode with offsets, and random values beside ties", "[quantizer]") {
  Engine engine(11);
  for (int i = 0; i < 20000; ++i) {
    const int bits = static_cast<int>(integer(engine, 1, 16));
    const auto top = static_cast<float>((1u << bits) - 1);
    const float step =
        std::ldexp(uniform(engine, 1.0f, 2.0f), static_cast<int>(integer(engine, 0, 270)) - 148);
    const float offset = step * uniform(engine, -1.0f, 1.0f) *
                         std::ldexp(1.0f, static_cast<int>(integer(engine, 0, 40)) - 20);
    if (!(step > 0.0f) || !(std::fabs(offset) + top * step <= kLargest)) continue;
    std::vector<float> values{kInf, -kInf, kNaN, any_float(engine)};
    for (int n = 0; n < 12; ++n) {
      const double at = 0.5 * static_cast<double>(integer(engine, 0, (2u << bits) + 1));
      auto v = static_cast<float>(static_cast<double>(offset) + at * static_cast<double>(step));
      for (std::size_t away = integer(engine, 0, 3); away != 0; --away) {
        v = std::nextafter(v, n % 2 == 0 ? kInf : -kInf);
      }
      values.push_back(v);
    }
    CAPTURE(bits, step, offset);
    REQUIRE(difference_of_codes({step, offset, 0.0f, top}, values) == "");
  }
}
