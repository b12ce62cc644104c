#include <lumina/compensation.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

#include <lumina/fast_rng.hpp>
#include <lumina/programmed.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// The means of read_out, from the oracle of one array after the other.
template <class Dac, class... Stages>
std::vector<float> oracle(const TiledWeights<8>& w, const Dac& dac, float range,
                          const ArrayStages<Stages...>& in_array, Compensation how,
                          const NoiseKey& key) {
  constexpr std::size_t kDraws = Epilogue<Stages...>::normals_per_element;
  std::vector<float> means;
  for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
    const std::size_t inputs = w.input_count(tile);
    Matrix<float> units(inputs, w.cols());
    for (std::size_t k = 0; k < inputs; ++k) units(k, w.first_input(tile) + k) = range;
    double all = 0.0;
    for (std::size_t column = 0; column < w.rows(); ++column) {
      double sum = 0.0;
      for (std::size_t k = 0; k < inputs; ++k) {
        const MatrixView<const float> x = units;
        const auto own = reference::row_dac(x, k, w.first_input(tile), inputs, dac, 0);
        const auto output = reference::array_output(x, w, k, column, tile, own);
        const auto converted = reference::through_array(
            output.value, k, column, tile, tile * kDraws, in_array.stages, output.facts, key);
        sum += std::fabs(converted.value);
      }
      all += sum;
      if (how == Compensation::per_column)
        means.push_back(static_cast<float>(sum / static_cast<double>(inputs)));
    }
    if (how == Compensation::per_tile) {
      means.push_back(static_cast<float>(all / static_cast<double>(inputs * w.rows())));
    }
  }
  return means;
}

}  // namespace

TEST_CASE("A read-out is the mean of |ŷ| of unit vectors, behind noise and ADC", "[compensation]") {
  Engine engine(1);
  const auto check = [&](std::size_t rows, std::size_t cols, const Mapping& mapping,
                         const auto& dac, float range) {
    TestMatrix w(rows, cols);
    w.fill_uniform(engine);
    const auto weights = encode_tiles<8>(w.constant(), mapping);
    const auto stages = array(ReadNoise{0.02f}, GaussianNoise{0.04f}, SymmetricQuantizer<8>(1.0f));
    const NoiseKey key{engine(), 2, 3};
    for (const Compensation how : {Compensation::per_tile, Compensation::per_column}) {
      std::vector<float> means(weights.tiles() * (how == Compensation::per_tile ? 1 : rows));
      REQUIRE(read_out(weights, dac, stages, how, means, key));
      CAPTURE(rows, cols, mapping.tile.inputs);
      REQUIRE(difference(means, oracle(weights, dac, range, stages, how, key)) == "");
    }
  };
  check(20, 100, {}, SymmetricQuantizer<8>(3.0f), 3.0f);
  check(33, 170, {.tile = {64, 512}}, SymmetricQuantizer<8>(0.5f), 0.5f);
  check(5, 70, {.tile = {30, 2}, .split = TileSplit::equal}, Quantizer<6>(0.0f, 1.0f), 1.0f);
  check(4, 50, {}, ManagedDac{8, 2.0f, NoiseManagement::abs_max, 3}, 2.0f);
}

TEST_CASE("Compensation multiplies scales, and does not where nothing can be said",
          "[compensation]") {
  Engine engine(2);
  TestMatrix w(3, 8);
  w.fill_uniform(engine);
  const Mapping mapping{.tile = {4, 4}};
  const auto before = encode_tiles<8>(w.constant(), mapping);
  auto weights = encode_tiles<8>(w.constant(), mapping);
  const std::vector<float> reference{0.5f, 0.25f}, now{0.25f, 0.0f};
  REQUIRE(compensate(weights, reference, now));
  CHECK(weights.scales(0)[2] == 2.0f * before.scales(0)[2]);
  CHECK(weights.scales(1)[2] == before.scales(1)[2]);
  const std::vector<float> columns{1, 1, 1, 1, 1, 3}, columns_now{1, 1, 4, 1, kNaN, 2};
  REQUIRE(compensate(weights, columns, columns_now));
  CHECK(weights.scales(0)[2] == 0.5f * before.scales(0)[2]);
  CHECK(weights.scales(1)[1] == before.scales(1)[1]);
  CHECK(weights.scales(1)[2] == 1.5f * before.scales(1)[2]);

  const std::vector<float> five(5, 1.0f);
  expect_error([&] { compensate(weights, reference, five); }, {"5 means", "have 2"});
  expect_error([&] { compensate(weights, five, five); }, {"5 means", "have 6"});
  std::vector<float> means(3);
  expect_error(
      [&] {
        read_out(weights, SymmetricQuantizer<8>(1.0f), array(), Compensation::per_tile, means, {});
      },
      {"3 means", "have 2"});
}

TEST_CASE("PCM over a year: factors and errors, with and without compensation", "[compensation]") {
  // From an oracle in NumPy, 10^6 pairs, weights N(0, 1) clipped at 2.5: α, and rms of ŵ's error.
  struct Row {
    double seconds, factor, raw, compensated;
  };
  const Row table[] = {{1.0, 1.0024, 0.0391, 0.0391},
                       {3600.0, 1.2914, 0.0974, 0.0448},
                       {86400.0, 1.5074, 0.1386, 0.0513},
                       {365.0 * 86400.0, 2.0049, 0.2017, 0.0669}};
  constexpr std::size_t kRows = 400, kCols = 512;
  FastRng rng(3);
  Matrix<float> w(kRows, kCols), scales(1, kRows);
  for (std::size_t row = 0; row < kRows; ++row) {
    scales(0, row) = 2.5f;
    for (std::size_t col = 0; col < kCols; ++col) {
      w(row, col) = std::clamp(rng.normal(), -2.5f, 2.5f);
    }
  }
  const Programmed chip(w, Pcm{}, NoiseKey{4, 5});
  const SymmetricQuantizer<8> dac(1.0f);
  TiledWeights<8> weights;
  std::vector<float> reference(1), now(1);
  REQUIRE(chip.at(std::nullopt, weights, scales));
  REQUIRE(read_out(weights, dac, array(), Compensation::per_tile, reference, {}));
  const auto error = [&] {
    double squares = 0.0;
    const Matrix<float> held = weights.decode();
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t col = 0; col < kCols; ++col) {
        const double off = (double{held(row, col)} - double{w(row, col)}) / 2.5;
        squares += off * off;
      }
    }
    return std::sqrt(squares / (kRows * kCols));
  };
  for (const Row& row : table) {
    REQUIRE(chip.at(row.seconds, weights, scales));
    REQUIRE(read_out(weights, dac, array(), Compensation::per_tile, now, {}));
    const double factor = compensation_factor(reference[0], now[0]);
    const double raw = error();
    REQUIRE(compensate(weights, reference, now));
    const double compensated = error();
    CAPTURE(row.seconds, factor, row.factor, raw, row.raw, compensated, row.compensated);
    // Four standard errors of a ratio of means of |ŵ|, whose deviation is 0.04 to 0.07 a pair
    // (the weights' own is common to both).
    CHECK(std::fabs(factor - row.factor) < 4 * row.factor * 0.2 / std::sqrt(kRows * kCols * 1.0));
    // An 8-bit grid of 1.174 / 127 adds 0.0027 in squares; four standard errors are 0.6 %.
    const double grid = chip.code_value() / std::sqrt(12.0);
    CHECK(std::fabs(raw - std::hypot(row.raw, grid)) < 0.01 * row.raw);
    CHECK(std::fabs(compensated - std::hypot(row.compensated, row.factor * grid)) <
          0.01 * row.compensated);
  }
}
