#include <lumina/ir_drop.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

#include <lumina/analog_gemm.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>
#include <lumina/reference_array_stages.hpp>
#include <lumina/stage_list.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{3, 4, 5};

/// A layer on arrays of `tile` inputs.
template <int Bits>
struct Layer {
  TestMatrix x, w;
  TiledWeights<Bits> weights;

  Layer(Engine& engine, std::size_t batch, std::size_t in, std::size_t out, std::size_t tile)
      : x(batch, in, in + 3), w(out, in) {
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    encode_tiles(w, Mapping{.tile = {tile, 512}}, weights);
  }
  template <class Dac, class... Stages>
  TestMatrix run(const Dac& dac, const Stages&... stages) {
    TestMatrix y(x.view().rows(), w.view().rows());
    REQUIRE(analog_gemm(x, dac, weights, array(stages...), digital(), y, kKey));
    return y;
  }
  template <class Dac, class... Stages>
  void check(const Dac& dac, const Stages&... stages) {
    TestMatrix y = run(dac, stages...), expected(x.view().rows(), w.view().rows());
    reference::analog_gemm(x.constant(), dac, weights, array(stages...), digital(), expected.view(),
                           kKey);
    CAPTURE(Bits, x.view().rows(), x.view().cols());
    REQUIRE(difference(y, expected) == "");
  }
};

// So that wires take much.
const IrDrop kDrop{2.0f, 3000.0f};

const RuntimeQuantizer kDac = RuntimeQuantizer::symmetric(8, 1.0f);
const RuntimeQuantizer kAdc = RuntimeQuantizer::symmetric(8, 4.0f);

}  // namespace

TEST_CASE("IR drop equals the oracle", "[ir_drop]") {
  Engine engine(1);
  for (const std::size_t batch : {1u, 3u, 40u}) {
    Layer<8>(engine, batch, 70, 150, 32).check(kDac, kDrop, kAdc);
    Layer<8>(engine, batch, 300, 37, 512).check(kDac, kDrop, kAdc);
  }
  Layer<8> layer(engine, 7, 130, 40, 100);
  layer.check(RuntimeQuantizer(7, -0.25f, 1.0f), kDrop, kAdc);
  layer.check(RuntimeQuantizer(8, 0.5f, 1.0f), kDrop, kAdc);
  layer.check(RuntimeQuantizer::symmetric(4, 0.5f), kDrop, kAdc);
  layer.check(ManagedDac{8, 1.0f, NoiseManagement::abs_max}, kDrop, kAdc);
  layer.check(ManagedDac{6, 0.25f, NoiseManagement::none, 2}, kDrop, kAdc);
  Layer<4>(engine, 6, 90, 33, 64).check(kDac, kDrop, kAdc);
  Layer<2>(engine, 30, 90, 140, 64).check(kDac, kDrop, kAdc);
  // More inputs than a task makes at once.
  Layer<8>(engine, 50, 9000, 8, 20000).check(kDac, kDrop, kAdc);
}

TEST_CASE("IR drop stands beside stages that want other sums", "[ir_drop]") {
  Engine engine(2);
  for (const std::size_t batch : {2u, 50u}) {
    Layer<8> layer(engine, batch, 100, 140, 64);
    layer.check(kDac, kDrop, ReadNoise(0.1f), ProportionalReadNoise(0.1f), ConstantReadNoise(0.1f));
  }
}

TEST_CASE("IR drop is its formula", "[ir_drop]") {
  Engine engine(3);
  constexpr std::size_t kIn = 120, kOut = 20;
  Layer<8> layer(engine, 4, kIn, kOut, 512);
  TestMatrix with = layer.run(kDac, kDrop), without = layer.run(kDac);
  double largest = 0.0;
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t o = 0; o < kOut; ++o) {
      double magnitudes = 0.0, positions = 0.0;
      for (std::size_t k = 0; k < kIn; ++k) {
        const double product = double{kDac(layer.x(row, k))} * layer.weights.code(o, k) / 127.0;
        const double far = 1.0 - static_cast<double>(k) / kIn;
        magnitudes += std::fabs(product);
        positions += product * (1.0 - far * far);
      }
      const double a = kIn / 3000.0 * magnitudes, c = a * (a * (0.05 * a - 0.2) + 0.5);
      const double expected = 2.0 * c * positions * double{layer.weights.scales(0)[o]};
      const double actual = double{without(row, o)} - double{with(row, o)};
      largest = std::max(largest, std::fabs(expected));
      // 8 bits of x̂ by its position, each wrong by 1/254 at most.
      CHECK(std::fabs(actual - expected) < 2.0 * c * std::sqrt(kIn / 3.0) * 3.0 / 254.0);
    }
  }
  CHECK(largest > 0.3);
}

TEST_CASE("Inputs next to the ground lose nothing, far ones most", "[ir_drop]") {
  constexpr std::size_t kIn = 64;
  TestMatrix x(kIn, kIn), w(1, kIn), plain(kIn, 1), y(kIn, 1);
  x.fill([] { return 0.0f; });
  w.fill([] { return 1.0f; });
  for (std::size_t k = 0; k < kIn; ++k) x(k, k) = 1.0f;
  const TiledWeights<8> weights = encode_tiles<8>(w.constant());
  REQUIRE(analog_gemm(x, kDac, weights, array(), digital(), plain, kKey));
  REQUIRE(analog_gemm(x, kDac, weights, array(kDrop), digital(), y, kKey));
  CHECK(y(0, 0) == plain(0, 0));
  for (std::size_t k = 1; k < kIn; ++k) CHECK(y(k, 0) <= y(k - 1, 0));
  CHECK(y(kIn - 1, 0) < plain(kIn - 1, 0));

  // No strength, and no inputs: nothing.
  REQUIRE(analog_gemm(x, kDac, weights, array(IrDrop{0.0f}), digital(), y, kKey));
  CHECK(difference(y, plain) == "");
  x.fill([] { return 0.0f; });
  REQUIRE(analog_gemm(x, kDac, weights, array(kDrop), digital(), y, kKey));
  for (std::size_t k = 0; k < kIn; ++k) CHECK(y(k, 0) == 0.0f);
}

TEST_CASE("IR drop is the same on any threads and in any part of a batch", "[ir_drop]") {
  Engine engine(4);
  Layer<8> layer(engine, 37, 90, 300, 40);
  TestMatrix expected = layer.run(kDac, kDrop);
  for_each_executor([&](const auto& executor, const char* name) {
    TestMatrix y(37, 300);
    REQUIRE(analog_gemm(layer.x, kDac, layer.weights, array(kDrop), digital(), y, kKey, executor));
    CAPTURE(name);
    CHECK(difference(y, expected) == "");
  });
  TestMatrix y(5, 300);
  const MatrixView<const float> part(&layer.x(20, 0), 5, 90, 93);
  REQUIRE(analog_gemm(part, kDac, layer.weights, array(kDrop), digital(), y, kKey));
  CHECK(difference(y, MatrixView<const float>(&expected(20, 0), 5, 300)) == "");
}

TEST_CASE("IR drop may be chosen at run time", "[ir_drop]") {
  Engine engine(5);
  Layer<8> layer(engine, 6, 90, 150, 40);
  StageList list;
  REQUIRE(list.add(kDrop));
  REQUIRE(list.add(kAdc));
  TestMatrix y(6, 150);
  REQUIRE(analog_gemm(layer.x, kDac, layer.weights, array<Sums::magnitudes | Sums::positions>(list),
                      digital(), y, kKey));
  CHECK(difference(y, layer.run(kDac, kDrop, kAdc)) == "");
}

TEST_CASE("What IR drop refuses", "[ir_drop]") {
  Engine engine(6);
  Layer<8> layer(engine, 2, 10, 5, 10);
  TestMatrix y(2, 5);
  const auto refuses = [&](const IrDrop& stage, std::initializer_list<std::string_view> parts) {
    expect_error(
        [&] { analog_gemm(layer.x, kDac, layer.weights, array(stage), digital(), y, kKey); },
        parts);
    CHECK(y.untouched());
  };
  refuses({-1.0f}, {"IrDrop: strength", "not negative"});
  refuses({kNaN}, {"strength"});
  refuses({1.0f, 0.0f}, {"IrDrop: wire_to_device is 0", "positive"});
  refuses({1.0f, kNaN}, {"wire_to_device is NaN"});
}
