// How strong the noise of arrays is, against double sums over weights and inputs: sample variances
// of the same row many times over, outputs near 0 included. Keys are fixed, so are the results.
#include <lumina/read_noise.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include <lumina/analog_gemm.hpp>
#include <lumina/independent.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kIn = 60, kOut = 9, kSamples = 100000;
// The variance of so many samples deviates by √(2/n) of itself; that of a normal's σ, five times.
const double kVarianceError = 5.0 * std::sqrt(2.0 / static_cast<double>(kSamples));

/// One row of inputs, kSamples times; weights whose outputs are far from 0, near it and exactly 0.
struct Repeated {
  Matrix<float> x{kSamples, kIn};
  TiledWeights<8> weights;
  SymmetricQuantizer<8> dac{2.0f};

  explicit Repeated(const TileShape& tile) {
    Engine engine(1);
    Matrix<float> w(kOut, kIn);
    for (float& v : w.elements()) v = uniform(engine, -1.0f, 1.0f);
    std::vector<float> row(kIn);
    for (float& v : row) v = uniform(engine, -2.0f, 2.0f);
    for (std::size_t k = 0; k < kIn; ++k) {
      // Output 0: pairs that cancel; 1: nothing but one large weight; 2: all weights 0.
      if (k % 2 == 1) row[k] = row[k - 1];
      w(0, k) = k % 2 == 1 ? -w(0, k - 1) : w(0, k);
      w(1, k) = k == 7 ? 1.0f : 0.0f;
      w(2, k) = 0.0f;
    }
    for (std::size_t i = 0; i < kSamples; ++i) std::copy(row.begin(), row.end(), &x(i, 0));
    REQUIRE(encode_tiles(w, {tile}, weights));
  }

  double input(std::size_t k) const { return static_cast<double>(dac.encode(x(0, k))) / 127.0; }
  double weight(std::size_t column, std::size_t k) const {
    return static_cast<double>(weights.code(column, k)) / 127.0;
  }
  /// Σ term(ŵ, x̂) over an array's inputs.
  template <class Term>
  double sum(std::size_t tile, std::size_t column, Term term) const {
    double result = 0.0;
    for (std::size_t i = 0; i < weights.input_count(tile); ++i) {
      const std::size_t k = weights.first_input(tile) + i;
      result += term(weight(column, k), input(k));
    }
    return result;
  }
};

struct Strengths {
  float read = 0.0f, proportional = 0.0f, constant = 0.0f, shot = 0.0f, intensity = 0.0f,
        additive = 0.0f;
};
auto separately(const Strengths& s) {
  return array(IntensityNoise{s.intensity}, ReadNoise(s.read),
               ProportionalReadNoise(s.proportional), ConstantReadNoise(s.constant),
               BalancedShotNoise(s.shot), GaussianNoise{s.additive});
}
auto together(const Strengths& s) {
  return array(independent(ReadNoise(s.read), ProportionalReadNoise(s.proportional),
                           ConstantReadNoise(s.constant), BalancedShotNoise(s.shot),
                           GaussianNoise{s.additive}));
}

/// Mean and variance of an output of array `tile` in units of fully-on devices, from one tile.
template <class InArray>
void check(const Repeated& layer, const InArray& in_array, const Strengths& s) {
  Matrix<float> y(kSamples, kOut);
  REQUIRE(analog_gemm(layer.x, layer.dac, layer.weights, in_array, digital(), y, NoiseKey{3, 4}));
  for (std::size_t column = 0; column < kOut; ++column) {
    double mean = 0.0, expected_mean = 0.0, expected = 0.0;
    for (std::size_t tile = 0; tile < layer.weights.tiles(); ++tile) {
      const double worth = 2.0 * static_cast<double>(layer.weights.scales(tile)[column]);
      const double output = layer.sum(tile, column, [](double w, double x) { return w * x; });
      const auto square = [](float v) { return static_cast<double>(v) * static_cast<double>(v); };
      expected_mean += worth * output;
      expected +=
          worth * worth *
          (square(s.intensity) * output * output + square(s.additive) +
           square(s.read) *
               layer.sum(tile, column, [](double w, double x) { return std::fabs(w) * x * x; }) +
           square(s.proportional) *
               layer.sum(tile, column, [](double w, double x) { return w * w * x * x; }) +
           square(s.constant) * layer.sum(tile, column, [](double, double x) { return x * x; }) +
           square(s.shot) * layer.sum(tile, column, [](double w, double x) {
             return std::fabs(w) * std::fabs(x);
           }));
    }
    for (std::size_t i = 0; i < kSamples; ++i) mean += static_cast<double>(y(i, column));
    mean /= static_cast<double>(kSamples);
    double variance = 0.0;
    for (std::size_t i = 0; i < kSamples; ++i) {
      const double deviation = static_cast<double>(y(i, column)) - mean;
      variance += deviation * deviation;
    }
    variance /= static_cast<double>(kSamples);
    CAPTURE(column, s.read, s.proportional, s.constant, s.shot, s.intensity, s.additive);
    CHECK(std::fabs(mean - expected_mean) <=
          5.0 * std::sqrt(expected / static_cast<double>(kSamples)) + 1e-6);
    // Squares in 8 bits: one weight alone may be 1 % off, in σ.
    CHECK(std::fabs(variance - expected) <=
          (kVarianceError + (column == 1 ? 0.02 : 0.003)) * expected + 1e-12);
    if (column == 2) CHECK((variance == 0.0) == (expected == 0.0));
  }
}

}  // namespace

TEST_CASE("Noise of an array is as strong as its sums say", "[array_noise]") {
  const Repeated one_array({kIn, kOut});
  for (const Strengths& s :
       {Strengths{.read = 0.1f}, Strengths{.proportional = 0.1f}, Strengths{.constant = 0.1f},
        Strengths{.shot = 0.1f}, Strengths{.intensity = 0.1f}, Strengths{.additive = 0.1f},
        Strengths{0.1f, 0.2f, 0.05f, 0.1f, 0.1f, 0.2f}}) {
    check(one_array, separately(s), s);
  }
}

TEST_CASE("Noises that act at one point are one noise", "[array_noise]") {
  const Strengths s{0.1f, 0.2f, 0.05f, 0.1f, 0.0f, 0.2f};
  check(Repeated({kIn, kOut}), together(s), s);
}

TEST_CASE("Each array has noise of its own", "[array_noise]") {
  const Strengths s{.read = 0.1f, .additive = 0.1f};
  check(Repeated({16, kOut}), separately(s), s);
}
