#include <lumina/programmed.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <lumina/reference.hpp>
#include <lumina/reference_cells.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/guarded_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using Seconds = std::optional<double>;

/// "" where each code is that of the oracle's ŵ.
template <class Cell>
std::string difference_from_oracle(const TiledWeights<8>& weights, MatrixView<const float> w,
                                   const Cell& cell, const Cells& cells, int bits, Seconds seconds,
                                   const NoiseKey& chip) {
  for (std::size_t row = 0; row < w.rows(); ++row) {
    for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
      const float scale = weights.scales(tile)[row];
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < weights.input_count(tile); ++i) {
        const std::size_t column = weights.first_input(tile) + i;
        std::int32_t expected = 0;
        if (scale != 0.0f) {
          const float held = reference::programmed_weight(cell, cells, bits, w(row, column), scale,
                                                          seconds, chip, row, column);
          expected = reference::encode_symmetric(held, weights.code_value(), 8);
        }
        sum += expected;
        if (weights.code(row, column) != expected) {
          return "(" + std::to_string(row) + ", " + std::to_string(column) + ") is " +
                 std::to_string(weights.code(row, column)) + " instead of " +
                 std::to_string(expected);
        }
      }
      if (weights.code_sums(tile)[row] != sum) return "a sum of codes";
    }
  }
  return "";
}

template <class Cell>
TiledWeights<8> at(const Programmed<Cell>& chip, Seconds seconds) {
  TiledWeights<8> weights;
  REQUIRE(chip.at(seconds, weights));
  return weights;
}

std::vector<std::int32_t> codes_of(const TiledWeights<8>& weights) {
  std::vector<std::int32_t> codes;
  for (std::size_t row = 0; row < weights.rows(); ++row) {
    for (std::size_t col = 0; col < weights.cols(); ++col) codes.push_back(weights.code(row, col));
  }
  return codes;
}

/// A cell without noise.
const PolynomialCell kIdeal{};

}  // namespace

TEST_CASE("Programmed weights are those of the oracle's devices", "[programmed]") {
  Engine engine(1);
  const auto check = [&](const auto& cell, const Cells& cells, const Mapping& mapping, int bits,
                         std::size_t rows, std::size_t cols) {
    TestMatrix w(rows, cols, cols + integer(engine, 0, 3));
    w.fill_uniform(engine, -0.3f, 0.2f);
    if (rows > 2) {
      for (std::size_t col = 0; col < cols; ++col) w(2, col) = 0.0f;
    }
    const NoiseKey chip{engine(), engine(), integer(engine, 0, 1) * 1000};
    const Programmed programmed(w.constant(), cell, chip, mapping, cells, bits);
    for (const Seconds seconds : {Seconds(), Seconds(3600.0)}) {
      const TiledWeights<8> weights = at(programmed, seconds);
      CAPTURE(rows, cols, mapping.tile.inputs, bits, seconds.value_or(-1.0));
      REQUIRE(weights.code_value() == programmed.code_value());
      REQUIRE(difference_from_oracle(weights, w, cell, cells, bits, seconds, chip) == "");
    }
    REQUIRE(w.gaps_untouched());
  };
  check(Pcm{}, {}, {}, 0, 33, 300);
  check(Pcm{}, {}, {.tile = {128, 16}, .scale = TileScale::per_tile}, 0, 40, 257);
  check(Pcm{}, {}, {.tile = {100, 512}}, 4, 5, 333);  // tiles that begin anywhere
  check(Pcm{}, {}, {.tile = {90, 512}, .split = TileSplit::equal}, 0, 3, 200);
  check(Pcm{}, {}, {.tile = {1, 1}}, 0, 3, 40);
  check(Pcm{50.0f}, {.pair = Pair::two_sided, .g_min = 1.0f}, {}, 8, 4, 130);
  check(Pcm{}, {.pair = Pair::offset, .g_min = 0.25f}, {}, 2, 3, 131);
  check(PcmJoshi2020{}, {.g_min = 0.25f}, {}, 0, 4, 70);
  check(ReRamMilo2021{}, {.g_min = 50.0f}, {}, 3, 4, 70);
  check(StuckAt<ReRamWan2022>{ReRamWan2022{}, 0.1f, 0.1f, 1.0f}, {.g_min = 1.0f}, {}, 0, 4, 70);
  check(StuckAt<Pcm>{Pcm{}, 0.1f, 0.1f}, {.pair = Pair::offset}, {}, 0, 4, 70);
}

TEST_CASE("A chip is the same at any times in any order, and in parts", "[programmed]") {
  Engine engine(2);
  TestMatrix w(40, 290);
  w.fill_uniform(engine);
  const Programmed chip(w.constant(), Pcm{}, NoiseKey{3, 4});
  const auto day = codes_of(at(chip, 86400.0));
  TiledWeights<8> weights;
  REQUIRE(chip.at(std::nullopt, weights));
  CHECK(codes_of(weights) != day);
  REQUIRE(chip.at(3.15e7, weights));
  REQUIRE(chip.at(86400.0, weights));
  CHECK(codes_of(weights) == day);

  // Outputs from 8 on, with the row offset that they have in the whole.
  const MatrixView<const float> part(&w(8, 0), 32, 290, 290);
  const auto of_part = codes_of(at(Programmed(part, Pcm{}, NoiseKey{3, 4, 8}), 86400.0));
  CHECK(std::equal(of_part.begin(), of_part.end(), day.begin() + 8 * 290));
}

TEST_CASE("Ideal devices hold the weights", "[programmed]") {
  Engine engine(5);
  TestMatrix w(20, 150);
  w.fill_uniform(engine);
  for (const Pair pair : {Pair::differential, Pair::two_sided, Pair::offset}) {
    const Programmed chip(w.constant(), kIdeal, NoiseKey{}, {}, {pair, 2.0f});
    CHECK(chip.code_value() == 1.0f / 127.0f);
    const TiledWeights<8> weights = at(chip, std::nullopt);
    const TiledWeights<8> plain = encode_tiles<8>(w.constant());
    for (std::size_t row = 0; row < 20; ++row) {
      for (std::size_t col = 0; col < 150; ++col) {
        const int apart = weights.code(row, col) - plain.code(row, col);
        if (std::abs(apart) > 1) CHECK(apart == 0);  // a tie may be rounded to either side
      }
    }
  }
}

TEST_CASE("The deviation multiplied does not depend on the number of levels", "[programmed]") {
  // σ = 0.038 of a fully-on device at each target: 0.0381 at each number of bits, of which the
  // grid's own rounding is the last digit.
  Engine engine(6);
  TestMatrix w(200, 500);
  w.fill_uniform(engine);
  // (Two devices, which are far from 0, where a conductance ends.)
  const PolynomialCell cell{{0.038f / std::sqrt(2.0f) * 20.0f}, 25.0f};
  for (const int bits : {2, 4, 6, 8}) {
    const Cells cells{Pair::two_sided, 5.0f};
    const Programmed chip(w.constant(), cell, NoiseKey{7, 8}, {}, cells, bits);
    const TiledWeights<8> weights = at(chip, std::nullopt);
    CHECK(chip.code_value() == Approx((1.0 + 4 * 0.038) / 127).epsilon(1e-6));
    double squares = 0.0, sum = 0.0;
    const auto levels = static_cast<float>(detail::max_weight_code(bits));
    for (std::size_t row = 0; row < 200; ++row) {
      for (std::size_t col = 0; col < 500; ++col) {
        const float relative = w(row, col) / weights.scales(0)[row];
        const float level = std::nearbyint(relative * levels) / levels;
        const double off = weights.code(row, col) * double{weights.code_value()} - level;
        sum += off;
        squares += off * off;
      }
    }
    const double deviation = std::sqrt(squares / 1e5);
    CAPTURE(bits, deviation, sum / 1e5);
    CHECK(std::fabs(deviation - 0.0381) < 0.0381 * 4 / std::sqrt(2e5) + 5e-5);
    CHECK(std::fabs(sum / 1e5) < 5 * 0.038 / std::sqrt(1e5));
  }
}

TEST_CASE("Scales of the caller's", "[programmed]") {
  Engine engine(9);
  TestMatrix w(6, 100), scales(2, 6);
  w.fill_uniform(engine);
  scales.fill([&] { return 0.8f; });
  const Mapping mapping{.tile = {64, 64}};
  const Programmed chip(w.constant(), Pcm{}, NoiseKey{1, 1}, mapping);
  TiledWeights<8> weights;
  REQUIRE(chip.at(1.0, weights, scales.constant()));
  CHECK(weights.scales(1)[5] == 0.8f);
  CHECK(difference_from_oracle(weights, w, Pcm{}, {}, 0, 1.0, {1, 1}) == "");
}

TEST_CASE("What a chip refuses, with the weights as before", "[programmed]") {
  Engine engine(10);
  TestMatrix w(4, 10);
  w.fill_uniform(engine);
  TiledWeights<8> weights = encode_tiles<8>(w.constant());
  const auto before = codes_of(weights);
  const auto refuses = [&](const auto& chip, Seconds seconds,
                           std::initializer_list<std::string_view> parts) {
    bool made = false;
    expect_error([&] { made = chip.at(seconds, weights); }, parts);
    CHECK_FALSE(made);
    CHECK(codes_of(weights) == before);
  };
  const auto view = w.constant();
  refuses(Programmed(view, Pcm{}, {}), -2.0, {"Programmed", "-2 seconds"});
  refuses(Programmed(view, Pcm{-1.0f}, {}), {}, {"Pcm", "g_max is -1"});
  refuses(Programmed(view, Pcm{}, {}, {}, {Pair::differential, 25.0f}), {}, {"g_min is 25"});
  refuses(Programmed(view, Pcm{}, {}, {}, {Pair::differential, -1.0f}), {}, {"g_min is -1"});
  refuses(Programmed(view, Pcm{}, {}, {}, {}, 1), {}, {"1 bits"});
  refuses(Programmed(view, Pcm{}, {}, {}, {}, 9), {}, {"9 bits"});
  refuses(Programmed(view, Pcm{}, {}, {.tile = {0, 5}}), {}, {"0 inputs"});
  w(1, 2) = kNaN;
  refuses(Programmed(view, Pcm{}, {}), 1.0, {"w(1, 2)"});
  w(1, 2) = 0.0f;
  TestMatrix scales(1, 3);
  scales.fill([] { return 1.0f; });
  expect_error([&] { Programmed(view, Pcm{}, {}).at(1.0, weights, scales.constant()); },
               {"[1, 3]", "[1, 4]"});
  CHECK(codes_of(weights) == before);
}

TEST_CASE("The gradient is 0 where a weight's device is stuck", "[programmed]") {
  Engine engine(20);
  TestMatrix w(30, 40), gradient(30, 40);
  w.fill_uniform(engine);
  w(3, 5) = 0.0f;
  const NoiseKey chip{7, 8};
  for (const Pair pair : {Pair::differential, Pair::two_sided, Pair::offset}) {
    const StuckAt<ReRamWan2022> cell{ReRamWan2022{}, 0.1f, 0.2f};
    gradient.fill_uniform(engine, 1.0f, 2.0f);
    REQUIRE(Programmed(w.constant(), cell, chip, {}, {.pair = pair}).zero_stuck(gradient.view()));
    std::size_t zeros = 0;
    bool right = true;
    for (std::size_t row = 0; row < 30; ++row) {
      for (std::size_t col = 0; col < 40; ++col) {
        // Stuck devices hold their value whatever they are programmed to.
        const auto moves = [&](std::size_t draw) {
          const float u = standard_uniform_at(chip, row, col, draw);
          return u >= 0.1f && u <= 1.0f - 0.2f;
        };
        constexpr std::size_t kDraws = StuckAt<ReRamWan2022>::draws.size();
        const bool plus = moves(kDraws - 1), minus = moves(2 * kDraws - 1);
        const bool expected = pair == Pair::offset      ? plus
                              : pair == Pair::two_sided ? plus || minus
                              : w(row, col) > 0.0f      ? plus
                              : w(row, col) < 0.0f      ? minus
                                                        : plus || minus;
        right &= (gradient(row, col) != 0.0f) == expected;
        zeros += gradient(row, col) == 0.0f ? 1 : 0;
      }
    }
    CHECK(right);
    CHECK(zeros > 50);
  }
  TestMatrix narrow(30, 39);
  expect_error(
      [&] {
        static_cast<void>(
            Programmed(w.constant(), StuckAt<ReRamWan2022>{}, chip).zero_stuck(narrow.view()));
      },
      {"[30, 40]", "[30, 39]"});
}
