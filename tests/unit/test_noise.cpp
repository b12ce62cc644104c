#include <lumina/noise.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <vector>

#include "golden/noise_field.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using lumina::NoiseKey;
using lumina::standard_normal_at;
using namespace test;

namespace {

/// Correlation coefficient of f(i) and g(i) for i < count, whose mean is 0 and variance 1.
template <class F, class G>
double correlation(std::size_t count, F f, G g) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i)
    sum += static_cast<double>(f(i)) * static_cast<double>(g(i));
  return sum / static_cast<double>(count);
}

}  // namespace

TEST_CASE("The noise field's golden values, bit for bit", "[noise]") {
  // From an implementation in another language, by the definition in docs/numerics.md.
  for (const golden::NoiseValue& value : golden::kNoiseField) {
    const NoiseKey key{value.seed, value.stream, value.row_offset};
    const float normal = standard_normal_at(key, value.row, value.col, value.draw);
    CAPTURE(value.seed, value.stream, value.row_offset, value.row, value.col, value.draw);
    CHECK(bits_of(normal) == value.bits);
    // What Box–Muller yields from the same words in double.
    CHECK(std::fabs(static_cast<double>(normal) - value.exact) < 1e-5);
  }
}

TEST_CASE("row_offset is added to the row", "[noise]") {
  for (const std::uint64_t offset : {std::uint64_t{1}, std::uint64_t{1000}, std::uint64_t{1} << 40,
                                     (std::uint64_t{1} << 63) + 5, ~std::uint64_t{0}}) {
    for (std::size_t row = 0; row < 5; ++row) {
      // Modulo 2^64, so that every offset means something.
      const std::uint64_t global_row = offset + row;
      CHECK(standard_normal_at({1, 2, offset}, row, 77) ==
            standard_normal_at({1, 2, 0}, static_cast<std::size_t>(global_row), 77));
    }
  }
  CHECK(NoiseKey{}.seed == 0);
  CHECK(NoiseKey{}.stream == 0);
  CHECK(NoiseKey{}.row_offset == 0);
}

TEST_CASE("The defaults: draw 0", "[noise]") {
  CHECK(standard_normal_at({1, 2, 3}, 4, 5) == standard_normal_at({1, 2, 3}, 4, 5, 0));
}

TEST_CASE("Every argument of the noise field matters", "[noise]") {
  // Values of fields that differ in one argument by one, at one place: all different.
  std::vector<float> values;
  const std::uint64_t s = 1234567;
  for (std::uint64_t i = 0; i < 50; ++i) {
    values.push_back(standard_normal_at({s + i, s, 0}, 3, 3));
    if (i == 0) continue;
    values.push_back(standard_normal_at({s, s + i, 0}, 3, 3));
    values.push_back(standard_normal_at({s, s, 0}, 3 + i, 3));
    values.push_back(standard_normal_at({s, s, 0}, 3, 3 + i));
    values.push_back(standard_normal_at({s, s, 0}, 3, 3, i));
    values.push_back(standard_normal_at({s, s, 0}, 3, 3 + 128 * i));
  }
  std::sort(values.begin(), values.end());
  CHECK(std::adjacent_find(values.begin(), values.end()) == values.end());
}

TEST_CASE("Fields, rows, columns and draws are uncorrelated", "[noise]") {
  constexpr std::size_t kCount = 20000;
  const double bound = 5 / std::sqrt(static_cast<double>(kCount));
  const NoiseKey key{42, 7, 0};
  const auto here = [&](std::size_t i) { return standard_normal_at(key, i / 100, i % 100); };
  CHECK(std::fabs(correlation(kCount, here, [&](std::size_t i) {
          return standard_normal_at(key, i / 100, i % 100, 1);
        })) < bound);
  CHECK(std::fabs(correlation(kCount, here, [&](std::size_t i) {
          return standard_normal_at({43, 7, 0}, i / 100, i % 100);
        })) < bound);
  CHECK(std::fabs(correlation(kCount, here, [&](std::size_t i) {
          return standard_normal_at({42, 8, 0}, i / 100, i % 100);
        })) < bound);
  CHECK(std::fabs(correlation(kCount, here, [&](std::size_t i) {
          return standard_normal_at(key, i / 100 + 1, i % 100);
        })) < bound);
  for (const std::size_t lag : {1u, 2u, 8u, 16u, 32u, 128u}) {
    CAPTURE(lag);
    CHECK(std::fabs(correlation(kCount, here, [&](std::size_t i) {
            return standard_normal_at(key, i / 100, i % 100 + lag);
          })) < bound);
  }
}

TEST_CASE("Box-Muller's golden values, bit for bit", "[noise]") {
  for (const golden::BoxMullerValue& value : golden::kBoxMuller) {
    const auto [cosine, sine] = lumina::detail::box_muller(value.radius_word, value.angle_word);
    CAPTURE(value.radius_word, value.angle_word);
    CHECK(bits_of(cosine + 0.0f) == value.cosine_bits);  // + 0: makes −0 a +0
    CHECK(bits_of(sine + 0.0f) == value.sine_bits);
  }
}

TEST_CASE("The scalar Box-Muller at extreme words", "[noise]") {
  std::vector<std::uint32_t> words = {0,          1,          2,          3,          0xffffffff,
                                      0xfffffffe, 0x7fffffff, 0x80000001, 0xaaaaaaaa, 0x55555555};
  for (int bit = 0; bit < 32; ++bit) {
    const std::uint32_t power = std::uint32_t{1} << bit;
    for (const std::uint32_t word : {power - 1, power, power + 1, ~power}) words.push_back(word);
  }
  float largest = 0;
  bool finite = true;
  for (const std::uint32_t radius : words) {
    for (const std::uint32_t angle : words) {
      const auto [cosine, sine] = lumina::detail::box_muller(radius, angle);
      finite &= std::isfinite(cosine) && std::isfinite(sine);
      largest = std::max({largest, std::fabs(cosine), std::fabs(sine)});
    }
  }
  CHECK(finite);
  CHECK(largest < 6.67f);
  CHECK(largest > 6.5f);  // the tail is not cut
}

TEST_CASE("Half of the radius words turn the normals by 180 degrees, and change nothing else",
          "[noise]") {
  Engine engine(1);
  bool mirrored = true;
  for (int i = 0; i < 10000; ++i) {
    const auto radius = static_cast<std::uint32_t>(engine());
    const auto angle = static_cast<std::uint32_t>(engine());
    const auto a = lumina::detail::box_muller(radius, angle);
    const auto b = lumina::detail::box_muller(0u - radius, angle);
    mirrored &= a.cosine == -b.cosine && a.sine == -b.sine;
  }
  CHECK(mirrored);
}
