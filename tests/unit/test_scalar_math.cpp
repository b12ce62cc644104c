#include <lumina/detail/base/scalar_math.hpp>

#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina::detail;
using namespace test;

namespace {

const std::vector<float> kCorners = {
    0.0f,
    -0.0f,
    kDenormal,
    -kDenormal,
    3 * kDenormal,
    kSmallestNormal - kDenormal,
    kSmallestNormal,
    0x1p-75f,
    0x1.000002p-64f,
    -0x1.fffffep-64f,
    1.0f - 0x1p-24f,
    1.0f,
    -1.0f,
    1.0f + 0x1p-23f,
    0x1p+64f,
    kLargest / 2,
    kLargest,
    -kLargest,
    kInf,
    -kInf,
    kNaN,
};

/// a·b + c where the three are of a size that makes the rounding hard: c near −a·b, or far below
/// its last bit, or the result below the smallest normal number.
void check_near(Engine& engine, float a, float b) {
  const float product = a * b;
  const float c = [&] {
    switch (integer(engine, 0, 3)) {
      case 0:
        return -float_of(bits_of(product) + static_cast<std::uint32_t>(integer(engine, 0, 4)) - 2);
      case 1:
        return std::ldexp(uniform(engine, -1.0f, 1.0f),
                          static_cast<int>(integer(engine, 0, 300)) - 170);
      case 2:
        return product * std::ldexp(1.0f, static_cast<int>(integer(engine, 0, 60)) - 30);
      default:
        return -std::fma(a, b, kDenormal);
    }
  }();
  const float exact = fused_multiply_add_exact(a, b, c);
  if (!same_bits(exact, std::fma(a, b, c))) {
    CAPTURE(a, b, c);
    REQUIRE(exact == std::fma(a, b, c));
  }
}

// In a constant expression the FMA is computed in double; some results that two roundings miss.
static_assert(fused_multiply_add(1.0f + 0x1p-23f, 1.0f + 0x1p-23f, -1.0f - 0x1p-22f) == 0x1p-46f);
static_assert(fused_multiply_add(1.0f + 0x1p-23f, 1.0f - 0x1p-24f, 0x1p-60f) == 1.0f);
static_assert(fused_multiply_add(1.0f + 0x1p-23f, 1.0f - 0x1p-24f, 0x1p-46f) == 1.0f + 0x1p-23f);
static_assert(fused_multiply_add(1.0f, 1.0f + 0x1p-23f, 0x1p-24f) == 1.0f + 0x1p-22f);
static_assert(fused_multiply_add(1.0f, 1.0f, 0x1p-24f) == 1.0f);
static_assert(fused_multiply_add(1.0f + 0x1p-12f, 1.0f + 0x1p-12f, 0.0f) == 1.0f + 0x1p-11f);
static_assert(fused_multiply_add(1.0f + 0x1p-12f, 1.0f + 0x1p-12f, 0x1p-100f) ==
              1.0f + 0x1p-11f + 0x1p-23f);
static_assert(fused_multiply_add(0x1p-75f, 0x1p-75f, 0.0f) == 0.0f);
static_assert(fused_multiply_add(0x1.000002p-75f, 0x1p-75f, 0.0f) == 0x1p-149f);
static_assert(fused_multiply_add(-2.0f, 0.25f, 3.0f) == 2.5f);

static_assert(round_half_even(0.5f) == 0.0f);
static_assert(round_half_even(1.5f) == 2.0f);
static_assert(round_half_even(-2.5f) == -2.0f);
static_assert(product(3.0f, -0.5f) == -1.5f);

}  // namespace

TEST_CASE("fused_multiply_add_exact equals std::fma", "[scalar_math]") {
  for (const float a : kCorners) {
    for (const float b : kCorners) {
      for (const float c : kCorners) {
        CAPTURE(a, b, c);
        const bool same = same_bits(fused_multiply_add_exact(a, b, c), std::fma(a, b, c));
        if (!same) CHECK(same);
      }
    }
  }
  Engine engine(1);
  for (int i = 0; i < 300000; ++i) {
    const float a = any_float(engine);
    const float b = any_float(engine);
    const float c = any_float(engine);
    if (!same_bits(fused_multiply_add_exact(a, b, c), std::fma(a, b, c))) {
      CAPTURE(a, b, c);
      REQUIRE(fused_multiply_add_exact(a, b, c) == std::fma(a, b, c));
    }
    check_near(engine, uniform(engine, -2.0f, 2.0f), uniform(engine, -2.0f, 2.0f));
    const float tiny = std::ldexp(uniform(engine, -1.0f, 1.0f), -70);
    check_near(engine, tiny, std::ldexp(uniform(engine, -1.0f, 1.0f), -62));
    // 1 + 2^-12 and the like: products with a 1 exactly where a float ends.
    check_near(engine, 1.0f + std::ldexp(1.0f, -static_cast<int>(integer(engine, 1, 23))),
               1.0f + std::ldexp(1.0f, -static_cast<int>(integer(engine, 1, 23))));
  }
}

TEST_CASE("fused_multiply_add at run time rounds once", "[scalar_math]") {
  Engine engine(2);
  bool same = true;
  for (int i = 0; i < 100000; ++i) {
    const float a = any_float(engine);
    const float b = any_float(engine);
    const float c = any_float(engine);
    same &= same_bits(fused_multiply_add(a, b, c), std::fma(a, b, c));
  }
  CHECK(same);
}

TEST_CASE("product is not fused with a sum behind it", "[scalar_math]") {
  Engine engine(3);
  bool same = true;
  bool could_differ = false;
  for (int i = 0; i < 100000; ++i) {
    const float a = uniform(engine, -2.0f, 2.0f);
    const float b = uniform(engine, -2.0f, 2.0f);
    const float c = uniform(engine, -2.0f, 2.0f);
    const volatile float rounded = a * b;
    same &= same_bits(product(a, b) + c, rounded + c);
    could_differ |= std::fma(a, b, c) != rounded + c;
  }
  CHECK(same);
  CHECK(could_differ);
  for (const float a : kCorners) {
    for (const float b : kCorners) {
      const volatile float rounded = a * b;
      CAPTURE(a, b);
      CHECK(same_bits(product(a, b), rounded));  // the sign of zero, too
    }
  }
}

TEST_CASE("chain_multiply_add rounds once where the machine has an FMA, else twice",
          "[scalar_math]") {
  Engine engine(4);
  bool same = true;
  for (int i = 0; i < 100000; ++i) {
    const float a = uniform(engine, -2.0f, 2.0f);
    const float b = uniform(engine, -2.0f, 2.0f);
    const float c = uniform(engine, -2.0f, 2.0f);
    const volatile float rounded = a * b;
    const float expected = kHasFma ? std::fma(a, b, c) : rounded + c;
    same &= same_bits(chain_multiply_add(a, b, c), expected);
  }
  CHECK(same);
}

TEST_CASE("round_half_even", "[scalar_math]") {
  Engine engine(5);
  bool same = true;
  for (int i = 0; i < 200000; ++i) {
    const float v = uniform(engine, -1.0f, 1.0f) *
                    std::ldexp(1.0f, static_cast<int>(integer(engine, 0, 25)) - 3);
    if (std::fabs(v) >= 0x1p22f) continue;
    same &= round_half_even(v) == std::nearbyint(v);
  }
  CHECK(same);
  for (int i = 0; i < 70000; ++i) {
    const float tie = static_cast<float>(i) + 0.5f;
    const float even = static_cast<float>(i % 2 == 0 ? i : i + 1);
    same &= round_half_even(tie) == even && round_half_even(-tie) == -even;
  }
  CHECK(same);
  CHECK(same_bits(round_half_even(-0.0f), 0.0f));
  CHECK(same_bits(round_half_even(-0.25f), 0.0f));
  CHECK(same_bits(round_half_even(0x1p22f - 0.5f), 0x1p22f));
}
