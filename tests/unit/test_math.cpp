// The error bounds that detail/random/noise_generator.hpp states for the functions inside
// Box–Muller, measured against the C library in double, in every lane. The bounds were found by
// going through all 2^31 radii and all 2^31 angles; here a part of them is visited.
#include <lumina/detail/random/noise_generator.hpp>
#include <lumina/noise.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include <lumina/detail/isa/native.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina::detail;
using namespace test;

namespace {

constexpr double kRadiusUlp = 9.2;  // for −2·ln u: 18.8
constexpr double kSineUlp = 18.4;
constexpr double kCosineError = 1.7e-7;

/// The unit in the last place of a float near `exact`.
double ulp(double exact) {
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::ldexp(1.0, std::max(exponent, -125) - 24);
}

/// The uniform number of a radius word, and the angle, in half turns, of an angle word, rounded to
/// float as box_muller() does: the functions' inputs.
double uniform_of(std::uint32_t radius_word) {
  const auto steps = static_cast<float>(static_cast<std::int32_t>(radius_word));
  return static_cast<double>(std::fma(std::fabs(steps), 0x1p-31f, 0x1p-32f));
}
double angle_of(std::uint32_t angle_word) {
  return static_cast<double>(static_cast<float>(static_cast<std::int32_t>(angle_word))) * 0x1p-32;
}
double sign_of(std::uint32_t radius_word) { return radius_word >> 31 != 0 ? -1 : 1; }

/// An angle word whose computed sine is exactly 1/2: then Box–Muller's sine is half the radius.
std::uint32_t word_of_sine_half() {
  const auto sixth = static_cast<std::uint32_t>(0x1p32 / 6);
  for (std::uint32_t word = sixth - 20000; word != sixth + 20000; ++word) {
    const auto x = static_cast<float>(angle_of(word));
    if (product(x, polynomial<kSineCoefficients>(product(x, x))) == 0.5f) return word;
  }
  return 0;
}

/// A radius word whose computed radius is exactly 1: then the normals are the cosine and the sine.
std::uint32_t word_of_radius_one(std::uint32_t sine_half) {
  const auto middle = static_cast<std::uint32_t>(std::exp(-0.5) * 0x1p31);
  for (std::uint32_t word = middle - 4096; word != middle + 4096; ++word) {
    if (box_muller(word, sine_half).sine == 0.5f) return word;
  }
  return 0;
}

/// visit(radius word, angle word, normals) for words of which each lane sees its own.
template <class Arch, class Visit>
void for_each_lane(const std::vector<std::uint32_t>& radii,
                   const std::vector<std::uint32_t>& angles, Visit visit) {
  using Words = typename Arch::template Batch<std::uint32_t>;
  const std::size_t count = std::max(radii.size(), angles.size());
  for (std::size_t first = 0; first < count; first += Words::size) {
    std::array<std::uint32_t, Words::size> radius, angle;
    for (std::size_t lane = 0; lane < Words::size; ++lane) {
      radius[lane] = radii[(first + lane) % radii.size()];
      angle[lane] = angles[(first + lane) % angles.size()];
    }
    const auto normals =
        box_muller(Words::load_unaligned(radius.data()), Words::load_unaligned(angle.data()));
    std::array<float, Words::size> cosines, sines;
    normals.cosine.store_unaligned(cosines.data());
    normals.sine.store_unaligned(sines.data());
    for (std::size_t lane = 0; lane < Words::size; ++lane) {
      visit(radius[lane], angle[lane], static_cast<double>(cosines[lane]),
            static_cast<double>(sines[lane]));
    }
  }
}

/// Words all over the range, with all powers of two and their neighbourhoods. The step is odd, so
/// that every lane sees words of every kind.
std::vector<std::uint32_t> many_words() {
  std::vector<std::uint32_t> words;
  for (std::uint64_t word = 0; word < std::uint64_t{1} << 32; word += 9973) {
    words.push_back(static_cast<std::uint32_t>(word));
  }
  for (int bit = 0; bit < 32; ++bit) {
    for (std::uint32_t i = 0; i < 200; ++i) {
      words.push_back((std::uint32_t{1} << bit) + 2 * i);
      words.push_back(std::uint32_t{0} - (std::uint32_t{1} << bit) - 2 * i);
    }
  }
  return words;
}

template <class Arch>
void check_radius() {
  const std::uint32_t half = word_of_sine_half();
  REQUIRE(half != 0);
  double worst = 0;
  for_each_lane<Arch>(
      many_words(), {half}, [&](std::uint32_t word, std::uint32_t, double, double sine) {
        const double exact = sign_of(word) * std::sqrt(-2 * std::log(uniform_of(word)));
        if (exact == 0) {
          CHECK(sine == 0);
        } else {
          worst = std::max(worst, std::fabs(2 * sine - exact) / ulp(exact));
        }
      });
  CAPTURE(worst);
  CHECK(worst <= kRadiusUlp);
  CHECK(worst > 0.5);  // the measurement measures
}

template <class Arch>
void check_angle() {
  const std::uint32_t one = word_of_radius_one(word_of_sine_half());
  REQUIRE(one != 0);
  double worst_sine = 0;
  double worst_cosine = 0;
  for_each_lane<Arch>({one}, many_words(),
                      [&](std::uint32_t, std::uint32_t word, double cosine, double sine) {
                        const double angle = std::numbers::pi * angle_of(word);
                        const double exact = std::sin(angle);
                        if (exact == 0) {
                          CHECK(sine == 0);
                        } else {
                          worst_sine = std::max(worst_sine, std::fabs(sine - exact) / ulp(exact));
                        }
                        worst_cosine = std::max(worst_cosine, std::fabs(cosine - std::cos(angle)));
                      });
  CAPTURE(worst_sine, worst_cosine);
  CHECK(worst_sine <= kSineUlp);
  CHECK(worst_cosine <= kCosineError);
  CHECK(worst_sine > 0.5);
  CHECK(worst_cosine > 0x1p-25);
}

/// Both together, from the words as they come: the error of a normal, relative to its radius.
template <class Arch>
void check_normals() {
  Engine engine(1);
  std::vector<std::uint32_t> radii(300000), angles(300000);
  for (std::uint32_t& word : radii) word = static_cast<std::uint32_t>(engine());
  for (std::uint32_t& word : angles) word = static_cast<std::uint32_t>(engine());
  double worst = 0;
  for_each_lane<Arch>(
      radii, angles, [&](std::uint32_t radius, std::uint32_t angle, double cosine, double sine) {
        const double exact = sign_of(radius) * std::sqrt(-2 * std::log(uniform_of(radius)));
        const double turn = std::numbers::pi * angle_of(angle);
        worst = std::max(worst, std::fabs((cosine - exact * std::cos(turn)) / exact));
        worst = std::max(worst, std::fabs((sine - exact * std::sin(turn)) / exact));
      });
  CAPTURE(worst);
  CHECK(worst < 1.8e-6);
}

}  // namespace

TEST_CASE("The radius, sqrt(-2 ln u), is right to 9.2 ulp in every lane", "[math]") {
  check_radius<Native>();
  check_radius<Scalar>();
}

TEST_CASE("The sine is right to 18.4 ulp, the cosine to 1.7e-7, in every lane", "[math]") {
  check_angle<Native>();
  check_angle<Scalar>();
}

TEST_CASE("A normal is right to 1.8e-6 of its radius in every lane", "[math]") {
  check_normals<Native>();
  check_normals<Scalar>();
}
