#include <lumina/wires.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <lumina/analog_gemm.hpp>
#include <lumina/detail/base/star_mesh.hpp>
#include <lumina/programmed.hpp>
#include <lumina/reference.hpp>
#include <lumina/reference_cells.hpp>
#include <lumina/reference_wires.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

Matrix<double> effective(MatrixView<const float> g, const Wires& wires) {
  Matrix<double> result(g.rows(), g.cols());
  REQUIRE(effective_conductances(g, wires, result.view()));
  return result;
}

/// The largest difference, relative to the largest conductance.
double distance(const Matrix<double>& a, const Matrix<double>& b) {
  double farthest = 0.0, largest = 0.0;
  for (std::size_t i = 0; i < a.elements().size(); ++i) {
    farthest = std::max(farthest, std::fabs(a.elements()[i] - b.elements()[i]));
    largest = std::max(largest, std::fabs(b.elements()[i]));
  }
  return largest == 0.0 ? farthest : farthest / largest;
}

/// Devices of which some are off.
void fill_devices(TestMatrix& g, Engine& engine, float most = 25.0f) {
  g.fill([&] { return integer(engine, 0, 3) == 0 ? 0.0f : uniform(engine, 0.0f, most); });
}

/// What flows into the outputs for these voltages, by drops along wires that are repeated until
/// they stay: for wires that take a small part. An oracle for tiles too large for a dense matrix.
std::vector<double> currents_by_iteration(MatrixView<const float> g, const Wires& wires,
                                          const std::vector<double>& inputs) {
  const std::size_t outputs = g.rows();
  Matrix<double> flow(outputs, inputs.size());
  const auto each = [&](auto f) {
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs.size(); ++i) f(o, i);
    }
  };
  std::vector<double> sums(outputs);
  for (int round = 0; round < 60; ++round) {
    // What flows through the segment in front of (o, i), and what is lost up to there.
    Matrix<double> row = flow, column = flow;
    for (std::size_t o = outputs; o-- != 0;) {
      for (std::size_t i = inputs.size(); i-- != 0;) {
        if (o + 1 != outputs) row(o, i) += row(o + 1, i);
        if (i + 1 != inputs.size()) column(o, i) += column(o, i + 1);
      }
    }
    each([&](std::size_t o, std::size_t i) {
      row(o, i) = row(o, i) * wires.row_ohm * 1e-6 + (o == 0 ? 0.0 : row(o - 1, i));
      column(o, i) = column(o, i) * wires.column_ohm * 1e-6 + (i == 0 ? 0.0 : column(o, i - 1));
    });
    each([&](std::size_t o, std::size_t i) {
      flow(o, i) = double{g(o, i)} * (inputs[i] - row(o, i) - column(o, i));
    });
  }
  each([&](std::size_t o, std::size_t i) { sums[o] += flow(o, i); });
  return sums;
}

}  // namespace

TEST_CASE("Effective conductances are those of the dense network", "[wires]") {
  Engine engine(1);
  const auto check = [&](std::size_t outputs, std::size_t inputs, const Wires& wires, float most) {
    TestMatrix g(outputs, inputs, inputs + integer(engine, 0, 3));
    fill_devices(g, engine, most);
    CAPTURE(outputs, inputs, wires.row_ohm, wires.column_ohm, most);
    const Matrix<double> solved = effective(g, wires);
    REQUIRE(distance(solved, reference::effective_conductances(g, wires)) < 1e-9);
    // Floats are these rounded, in place too.
    REQUIRE(effective_conductances(g, wires, g.view()));
    bool rounded = g.gaps_untouched();
    for (std::size_t o = 0; o < outputs; ++o) {
      for (std::size_t i = 0; i < inputs; ++i) {
        rounded &= same_bits(g(o, i), static_cast<float>(solved(o, i)));
      }
    }
    REQUIRE(rounded);
  };
  for (int round = 0; round < 30; ++round) {
    const float row = uniform(engine, 0.0f, 10.0f), column = uniform(engine, 0.0f, 10.0f);
    check(integer(engine, 1, 16), integer(engine, 1, 16), {row, column}, 25.0f);
    check(integer(engine, 1, 12), integer(engine, 1, 12), {1e3f * row, column}, 200.0f);
    check(integer(engine, 1, 16), integer(engine, 1, 16), {0.0f, column}, 25.0f);
    check(integer(engine, 1, 16), integer(engine, 1, 16), {row, 0.0f}, 25.0f);
  }
  for (const std::size_t length : {1, 2, 4, 5, 8, 9, 33, 130}) {
    check(1, length, {2.0f, 3.0f}, 25.0f);
    check(length, 1, {2.0f, 3.0f}, 25.0f);
    check(length, 2, {2.0f, 3.0f}, 25.0f);
  }
  // Wires that weigh next to nothing, or nearly all.
  check(9, 10, {1e-6f, 1e-7f}, 25.0f);
  check(9, 10, {1e-6f, 10.0f}, 25.0f);
  check(7, 6, {1e6f, 1e5f}, 25.0f);
}

TEST_CASE("Nodes are taken out as plain loops take them out, bit for bit", "[wires]") {
  Engine engine(2);
  for (int round = 0; round < 60; ++round) {
    const std::size_t nodes = round < 50 ? integer(engine, 1, 60) : integer(engine, 250, 600);
    const std::size_t count = integer(engine, 0, std::min<std::size_t>(nodes - 1, 40));
    const std::size_t drivers = integer(engine, 0, nodes - count);
    const std::size_t last = integer(engine, count + drivers, nodes);
    Matrix<double> expected(nodes, nodes);
    const detail::Mesh shape{nullptr, nodes};
    Matrix<double> memory(nodes, shape.stride());
    const detail::Mesh mesh{memory.data(), nodes};
    for (std::size_t i = 0; i < nodes; ++i) {
      for (std::size_t j = 0; j < nodes; ++j) {
        double value = uniform(engine, 0.0f, 1.0f);
        if (integer(engine, 0, 2) == 0) value = 0.0;
        if (integer(engine, 0, 9) == 0) {
          value = std::ldexp(value, static_cast<int>(integer(engine, 0, 600)) - 400);
        }
        mesh.row(i)[j] = expected(i, j) = value;
      }
    }
    detail::take_out(mesh, count, {count, drivers}, last);
    reference::take_out(expected, count);
    CAPTURE(nodes, count, drivers, last);
    bool same = true;
    for (std::size_t i = count; i < last; ++i) {
      const std::size_t first = i < count + drivers ? count + drivers : i + 1;
      for (std::size_t j = first; j < nodes; ++j) same &= mesh.row(i)[j] == expected(i, j);
    }
    REQUIRE(same);
  }
}

TEST_CASE("A device alone is in series with its wires", "[wires]") {
  for (const float ohm : {1e-30f, 1e-3f, 1.0f, 1e3f, 1e9f, 1e30f}) {
    for (const float g : {1e-20f, 0.5f, 25.0f, 1e20f}) {
      const float one[1] = {g};
      const double solved = effective({one, 1, 1}, {ohm, 3.0f * ohm})(0, 0);
      const double series = 1.0 / (1.0 / double{g} + (double{ohm} + double{3.0f * ohm}) * 1e-6);
      CAPTURE(ohm, g);
      CHECK(solved == Approx(series).epsilon(1e-14));
    }
  }
}

TEST_CASE("One wire with equal devices is a ladder", "[wires]") {
  // Potentials along a ladder of n devices g behind segments r, whose far end is open:
  // cosh((n + 1/2 − k)·θ) / cosh((n + 1/2)·θ) at the k-th, with 2·sinh(θ/2) = √(r·g).
  const std::size_t n = 100;
  const Wires wires{2.0f, 7.0f};
  const std::vector<float> g(n, 25.0f);
  const auto check = [&](const Matrix<double>& solved, double along, double across) {
    const double own = 1.0 / (1.0 / 25.0 + across * 1e-6);  // a device and its own segment
    const double theta = 2.0 * std::asinh(std::sqrt(along * 1e-6 * own) / 2.0);
    const auto half = static_cast<double>(n) + 0.5;
    for (std::size_t k = 1; k <= n; ++k) {
      const double potential =
          std::cosh((half - static_cast<double>(k)) * theta) / std::cosh(half * theta);
      CHECK(solved.elements()[k - 1] == Approx(own * potential).epsilon(1e-11));
    }
  };
  check(effective({g.data(), n, 1}, wires), 2.0, 7.0);  // a row wire
  check(effective({g.data(), 1, n}, wires), 7.0, 2.0);  // a column wire
  check(effective({g.data(), n, 1}, {2.0f, 0.0f}), 2.0, 0.0);
  check(effective({g.data(), 1, n}, {0.0f, 7.0f}), 7.0, 0.0);
}

TEST_CASE("Without resistance conductances are what they were, bit for bit", "[wires]") {
  Engine engine(3);
  TestMatrix g(20, 31, 33), result(20, 31);
  g.fill([&] {
    const float any = std::fabs(any_float(engine));
    return any <= std::numeric_limits<float>::max() ? any : 0.0f;
  });
  REQUIRE(effective_conductances(g, {}, result.view()));
  bool same = true;
  for (std::size_t o = 0; o < 20; ++o) {
    for (std::size_t i = 0; i < 31; ++i) same &= same_bits(result(o, i), g(o, i));
  }
  CHECK(same);
}

TEST_CASE("Drivers and grounds may change places", "[wires]") {
  Engine engine(4);
  TestMatrix g(37, 58), turned(58, 37);
  fill_devices(g, engine);
  for (std::size_t o = 0; o < 37; ++o) {
    for (std::size_t i = 0; i < 58; ++i) turned(i, o) = g(o, i);
  }
  const Matrix<double> one = effective(g, {1.0f, 4.0f}), other = effective(turned, {4.0f, 1.0f});
  double farthest = 0.0;
  for (std::size_t o = 0; o < 37; ++o) {
    for (std::size_t i = 0; i < 58; ++i) {
      farthest = std::max(farthest, std::fabs(one(o, i) - other(i, o)));
    }
  }
  CHECK(farthest < 1e-12);
}

TEST_CASE("Currents are those that drops along the wires leave", "[wires]") {
  Engine engine(5);
  TestMatrix g(64, 70);
  g.fill_uniform(engine, 0.0f, 25.0f);
  const Wires wires{1.0f, 1.2f};
  std::vector<double> inputs(70);
  for (double& input : inputs) input = uniform(engine, -1.0f, 1.0f);
  const Matrix<double> solved = effective(g, wires);
  const std::vector<double> expected = currents_by_iteration(g, wires, inputs);
  double ideal = 0.0, all = 0.0;
  for (std::size_t o = 0; o < 64; ++o) {
    double current = 0.0;
    for (std::size_t i = 0; i < 70; ++i) {
      current += solved(o, i) * inputs[i];
      ideal += double{g(o, i)};
      all += solved(o, i);
    }
    CHECK(std::fabs(current - expected[o]) < 1e-10 * 25.0 * 70);
  }
  // What wires take: 4 % here.
  CHECK(1.0 - all / ideal == Approx(0.04).margin(0.01));
  // The farthest device loses most.
  CHECK(solved(63, 69) / double{g(63, 69)} < solved(0, 0) / double{g(0, 0)});
}

TEST_CASE("Conductances and wires of any size leave finite currents", "[wires]") {
  Engine engine(6);
  const auto any = [&] {
    const float value = std::fabs(any_float(engine));
    return value <= std::numeric_limits<float>::max() ? value : 0.0f;
  };
  TestMatrix g(19, 23);
  for (int round = 0; round < 40; ++round) {
    g.fill(any);
    const Wires wires{any(), any()};
    const Matrix<double> solved = effective(g, wires);
    // With all inputs at 1 potentials are between 0 and 1, so an output gets no more than its
    // devices have. (One alone may pass more than it has, by way of its neighbours.)
    bool possible = true;
    for (std::size_t o = 0; o < 19; ++o) {
      double passed = 0.0, there = 0.0;
      for (std::size_t i = 0; i < 23; ++i) {
        possible &= solved(o, i) >= 0.0;
        passed += solved(o, i);
        there += double{g(o, i)};
      }
      possible &= passed <= there * (1.0 + 1e-12);
    }
    CAPTURE(wires.row_ohm, wires.column_ohm);
    CHECK(possible);
  }
}

TEST_CASE("Tiles are solved alike on any threads", "[wires]") {
  constexpr std::size_t kTiles = 6;
  Engine engine(7);
  TestMatrix g(21, 19 * kTiles);
  fill_devices(g, engine);
  const auto tile = [&](std::size_t index) {
    return MatrixView<const float>(&g(0, 19 * index), 21, 19, 19 * kTiles);
  };
  std::vector<Matrix<double>> expected;
  for (std::size_t i = 0; i < kTiles; ++i) expected.push_back(effective(tile(i), {1.0f, 2.0f}));
  for_each_executor([&](const auto& executor, const char* name) {
    std::vector<Matrix<double>> solved(kTiles);
    executor(kTiles, [&](std::size_t i) {
      solved[i] = Matrix<double>(21, 19);
      effective_conductances(tile(i), {1.0f, 2.0f}, solved[i].view());
    });
    CAPTURE(name);
    for (std::size_t i = 0; i < kTiles; ++i) {
      CHECK(std::equal(solved[i].elements().begin(), solved[i].elements().end(),
                       expected[i].elements().begin()));
    }
  });
}

TEST_CASE("What is no network is refused, and nothing written", "[wires]") {
  TestMatrix g(2, 3), result(2, 3);
  g.fill([] { return 5.0f; });
  const auto refuses = [&](MatrixView<const float> given, const Wires& wires, TestMatrix& to,
                           std::initializer_list<std::string_view> parts) {
    bool done = true;
    expect_error([&] { done = true, done = effective_conductances(given, wires, to.view()); },
                 parts);
    if (&to == &result) CHECK(to.untouched());
  };
  const float infinite = std::numeric_limits<float>::infinity();
  refuses(g, {-1.0f, 0.0f}, result, {"effective_conductances", "row_ohm is -1 ohm"});
  refuses(g, {0.0f, kNaN}, result, {"column_ohm is NaN"});
  refuses(g, {0.0f, infinite}, result, {"column_ohm is infinite"});
  TestMatrix other(3, 2);
  refuses(g, {}, other, {"[2, 3]", "[3, 2]", "same shape"});
  refuses(MatrixView<const float>(nullptr, 2, 3), {}, result, {"missing"});
  for (const float wrong : {-0.5f, kNaN, infinite}) {
    g(1, 2) = wrong;
    refuses(g, {1.0f, 1.0f}, result, {"[2, 3]", "(1, 2)", "microsiemens"});
    refuses(g, {}, result, {"(1, 2)"});
  }
  float both[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  expect_error(
      [&] {
        effective_conductances(MatrixView<const float>(both, 2, 3), {},
                               MatrixView<float>(both + 1, 2, 3));
      },
      {"overlap"});
  CHECK(both[1] == 1.0f);

  TestMatrix none(0, 3), empty(4, 0);
  CHECK(effective_conductances(none, {1.0f, 1.0f}, none.view()));
  CHECK(effective_conductances(empty, {1.0f, 1.0f}, empty.view()));
}

namespace {

using Seconds = std::optional<double>;

/// Codes by hand: devices by the cells' oracle, each array solved, its pairs read.
template <class Cell>
std::string difference_by_hand(const TiledWeights<8>& weights, MatrixView<const float> w,
                               const Cell& cell, const Cells& cells, int bits, Seconds seconds,
                               const NoiseKey& chip, const Wires& wires) {
  const Mapping& mapping = weights.mapping();
  const auto arrays = detail::Tiling::of(w.rows(), mapping.tile.outputs, mapping.split);
  const auto level = [&](float weight, float scale) {
    const float relative = scale == 0.0f ? 0.0f : weight / scale;
    if (bits == 0) return relative;
    const auto levels = static_cast<float>((1 << (bits - 1)) - 1);
    return std::nearbyint(relative * levels) / levels;
  };
  for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
    const std::size_t first_input = weights.first_input(tile), inputs = weights.input_count(tile);
    for (std::size_t array = 0; array < arrays.count; ++array) {
      const auto [first, outputs] = arrays[array];
      TestMatrix g[2] = {TestMatrix(outputs, inputs), TestMatrix(outputs, inputs)};
      for (std::size_t device = 0; device < cells.devices(); ++device) {
        for (std::size_t o = 0; o < outputs; ++o) {
          for (std::size_t i = 0; i < inputs; ++i) {
            const std::size_t row = first + o, column = first_input + i;
            const float relative = level(w(row, column), weights.scales(tile)[row]);
            g[device](o, i) =
                reference::conductance(cell, reference::target(cells, cell.g_max, relative, device),
                                       seconds, chip, row, column, device);
          }
        }
        if (!effective_conductances(g[device], wires, g[device].view())) return "not solved";
      }
      for (std::size_t o = 0; o < outputs; ++o) {
        for (std::size_t i = 0; i < inputs; ++i) {
          const bool off = weights.scales(tile)[first + o] == 0.0f;
          const float held = reference::weight(cells, cell.g_max, g[0](o, i), g[1](o, i));
          const auto expected =
              off ? 0 : reference::encode_symmetric(held, weights.code_value(), 8);
          if (weights.code(first + o, first_input + i) != expected) {
            return "(" + std::to_string(first + o) + ", " + std::to_string(first_input + i) + ")";
          }
        }
      }
    }
  }
  return "";
}

std::vector<std::int32_t> codes_of(const TiledWeights<8>& weights) {
  std::vector<std::int32_t> codes;
  for (std::size_t row = 0; row < weights.rows(); ++row) {
    for (std::size_t col = 0; col < weights.cols(); ++col) codes.push_back(weights.code(row, col));
  }
  return codes;
}

}  // namespace

TEST_CASE("A chip's arrays have wires", "[wires]") {
  Engine engine(8);
  const NoiseKey chip{5, 6, 40};
  const Wires wires{20.0f, 30.0f};
  const auto check = [&](const auto& cell, const Cells& cells, const Mapping& mapping, int bits,
                         std::size_t rows, std::size_t cols) {
    TestMatrix w(rows, cols, cols + integer(engine, 0, 3));
    w.fill_uniform(engine, -0.3f, 0.2f);
    for (std::size_t i = 0; i < cols && rows > 2; ++i) w(2, i) = 0.0f;
    for (const Seconds seconds : {Seconds(), Seconds(3600.0)}) {
      TiledWeights<8> with, without;
      REQUIRE(Programmed(w.constant(), cell, chip, mapping, cells, bits, wires).at(seconds, with));
      CAPTURE(rows, cols, mapping.tile.inputs, mapping.tile.outputs, bits);
      CHECK(difference_by_hand(with, w, cell, cells, bits, seconds, chip, wires) == "");
      REQUIRE(Programmed(w.constant(), cell, chip, mapping, cells, bits).at(seconds, without));
      CHECK(difference_by_hand(without, w, cell, cells, bits, seconds, chip, wires) != "");
      // Wires of next to no resistance are none, by the other way through the code.
      const Wires thick{1e-12f, 1e-12f};
      REQUIRE(Programmed(w.constant(), cell, chip, mapping, cells, bits, thick).at(seconds, with));
      CHECK(codes_of(with) == codes_of(without));
    }
    REQUIRE(w.gaps_untouched());
  };
  check(Pcm{}, {}, {.tile = {64, 32}}, 0, 50, 150);
  check(Pcm{}, {}, {.tile = {40, 20}, .split = TileSplit::equal}, 4, 45, 70);
  check(Pcm{50.0f}, {.pair = Pair::two_sided, .g_min = 1.0f},
        {.tile = {33, 64}, .scale = TileScale::per_tile}, 0, 40, 60);
  check(StuckAt<ReRamWan2022>{ReRamWan2022{}, 0.1f, 0.1f, 1.0f}, {.pair = Pair::offset}, {}, 8, 40,
        30);
}

TEST_CASE("A call with wires is one with the weights that they leave", "[wires]") {
  Engine engine(9);
  TestMatrix w(40, 96), x(3, 96);
  w.fill_uniform(engine);
  x.fill_uniform(engine);
  const Programmed chip(w.constant(), PolynomialCell{}, NoiseKey{}, {.tile = {48, 40}}, {}, 0,
                        Wires{5.0f, 5.0f});
  TiledWeights<8> weights;
  REQUIRE(chip.at(std::nullopt, weights));
  const SymmetricQuantizer<8> dac(1.0f);
  Matrix<float> y(3, 40);
  REQUIRE(analog_gemm(x.constant(), dac, weights, array(), digital(), y.view()));
  double farthest = 0.0, effect = 0.0;
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t o = 0; o < 40; ++o) {
      double sum = 0.0, ideal = 0.0;
      for (std::size_t i = 0; i < 96; ++i) {
        const std::size_t tile = weights.tile_of(i);
        const double input = dac(x(row, i)), scale = weights.scales(tile)[o];
        sum += input * scale * double{weights.code_value()} * weights.code(o, i);
        ideal += input * double{w(o, i)};
      }
      farthest = std::max(farthest, std::fabs(sum - double{y(row, o)}));
      effect = std::max(effect, std::fabs(sum - ideal));
    }
  }
  CHECK(farthest < 1e-4);
  CHECK(effect > 0.1);
}

TEST_CASE("A chip refuses wires and devices that are none, with the weights as before", "[wires]") {
  TestMatrix w(3, 4);
  w.fill([] { return 0.5f; });
  TiledWeights<8> weights = encode_tiles<8>(w.constant());
  const auto refuses = [&](const auto& cell, const Wires& wires,
                           std::initializer_list<std::string_view> parts) {
    bool made = true;
    expect_error(
        [&] {
          made = Programmed(w.constant(), cell, {}, {}, {}, 0, wires).at(std::nullopt, weights);
        },
        parts);
    CHECK(weights.code(2, 3) == 127);
  };
  refuses(Pcm{}, {-2.0f, 0.0f}, {"Programmed", "row_ohm is -2 ohm"});
  refuses(Pcm{}, {0.0f, kNaN}, {"column_ohm is NaN"});
  refuses(PolynomialCell{{3e38f}}, {1.0f, 1.0f}, {"Programmed", "[3, 4]", "infinite microsiemens"});
}
