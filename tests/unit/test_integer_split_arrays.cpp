// backward() through arrays with IntegerSplitProducts, against the oracle bit for bit: tiles, DACs
// with a range for each row, numbers that round, refusals.
#include <lumina/analog_pass.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <lumina/analog_slices.hpp>
#include <lumina/reference_analog_backward.hpp>
#include <lumina/tiled_weight_noise.hpp>

#include "support/backward_problem.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// A layer on arrays with random operands.
template <int Bits, class X>
struct Layer {
  LayerShape shape;
  Mapping mapping;
  TestMatrixOf<X> x{shape.batch, shape.in, shape.in + shape.gap};
  TestMatrix w{shape.out, shape.in}, grad_y{shape.batch, shape.out, shape.out + 2 * shape.gap};
  std::vector<float> bias = std::vector<float>(shape.out, 0.125f);
  TiledWeights<Bits> weights = {};
  NoiseKey key = {};

  void draw(Engine& engine) {
    x.fill([&] {
      if constexpr (std::is_same_v<X, float>) {
        return integer(engine, 0, 19) == 0 ? any_float(engine) : uniform(engine, -2.0f, 2.0f);
      } else {
        return static_cast<std::uint8_t>(engine());
      }
    });
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    weights = encode_tiles<Bits>(w, mapping);
    key = {engine(), engine(), engine()};
  }
  template <class Dac>
  auto pass(const Dac& dac) {
    return analog_pass(x.constant(), dac, weights,
                       array(GaussianNoise{0.1f}, SymmetricQuantizer<8>(2.0f)),
                       digital(AddBias{bias}, Relu{}), key);
  }
};

template <int Parts, class Pass, class Executor = Serial>
void check_pass(const Pass& pass, const LayerShape& shape, MatrixView<const float> grad_y,
                const Executor& executor = {}) {
  CAPTURE(Parts, shape.batch, shape.in, shape.out, pass.weights.tiles());
  LayerOutputs actual(shape), expected(shape);
  ForwardRecord record;
  BackwardWorkspace workspace;
  REQUIRE(forward(pass, actual.y.view(), record));
  REQUIRE(backward(pass, grad_y, record, actual.gradients({}), workspace,
                   IntegerSplitProducts<Parts>{}, executor));
  reference::forward_and_backward(pass, grad_y, expected.y.view(), expected.gradients({}),
                                  IntegerSplitProducts<Parts>{});
  check_outputs(actual, expected, {});
}

template <int Parts, int Bits, class X, class Dac>
void check(Engine& engine, const LayerShape& shape, const Dac& dac, const Mapping& mapping) {
  CAPTURE(Bits, sizeof(X), mapping.tile.inputs);
  Layer<Bits, X> layer{shape, mapping};
  layer.draw(engine);
  check_pass<Parts>(layer.pass(dac), shape, layer.grad_y.constant());
}

/// Shapes and mappings, with tiles that begin within panels' steps and end in each of them.
template <int Parts, int Bits, class X, class Dac>
void check_shapes(std::uint64_t seed, const Dac& dac) {
  Engine engine(seed);
  for (int i = 0; i < 5; ++i) {
    const LayerShape shape{integer(engine, 0, 40), integer(engine, 0, 90), integer(engine, 0, 70),
                           i % 3 == 0 ? integer(engine, 1, 9) : 0};
    const auto split = integer(engine, 0, 1) == 0 ? TileSplit::equal : TileSplit{};
    check<Parts, Bits, X>(engine, shape, dac,
                          {{integer(engine, 1, 50), 512}, TileScale::per_tile, split});
  }
  check<Parts, Bits, X>(engine, {70, 133, 150}, dac, {{66, 64}});
}

const RuntimeQuantizer kDac(7, -1.0f, 1.5f), kSymmetric = RuntimeQuantizer::symmetric(8, 1.5f);
const ManagedDac kManaged{8, 1.25f, NoiseManagement::abs_max};

}  // namespace

TEST_CASE("IntegerSplitProducts through arrays equal the oracle: one part", "[analog_pass]") {
  check_shapes<1, 8, float>(1, kDac);
  check_shapes<1, 4, std::uint8_t>(2, kSymmetric);
  check_shapes<1, 8, float>(3, kManaged);
}
TEST_CASE("IntegerSplitProducts through arrays equal the oracle: two parts", "[analog_pass]") {
  check_shapes<2, 8, float>(4, kDac);
  check_shapes<2, 8, std::uint8_t>(5, kSymmetric);
  check_shapes<2, 4, float>(6, kManaged);
  check_shapes<2, 2, float>(7, ManagedDac{3, 0.5f});
}
TEST_CASE("IntegerSplitProducts through arrays equal the oracle: three parts", "[analog_pass]") {
  check_shapes<3, 8, std::uint8_t>(8, kDac);
  check_shapes<3, 8, float>(9, kManaged);
}

TEST_CASE("The oracle of arrays is that of floats too", "[analog_pass]") {
  Engine engine(10);
  Layer<8, float> layer{{9, 70, 40}, {{33, 64}}};
  layer.draw(engine);
  const auto check_dac = [&](const auto& dac) {
    const auto pass = layer.pass(dac);
    LayerOutputs actual(layer.shape), expected(layer.shape);
    ForwardRecord record;
    BackwardWorkspace workspace;
    REQUIRE(forward(pass, actual.y.view(), record));
    REQUIRE(backward(pass, layer.grad_y.constant(), record, actual.gradients({}), workspace));
    reference::forward_and_backward(pass, layer.grad_y.constant(), expected.y.view(),
                                    expected.gradients({}));
    check_outputs(actual, expected, {});
  };
  check_dac(kDac);
  check_dac(kManaged);
}

TEST_CASE("IntegerSplitProducts through arrays: batches in pieces, and threads", "[analog_pass]") {
  Engine engine(11);
  check<2, 8, float>(engine, {32770, 2, 3}, kManaged, {{1, 512}});
  check<1, 8, float>(engine, {32770, 2, 3}, kDac, {{1, 512}});
  Layer<8, float> layer{{70, 150, 300}, {{64, 128}}};
  layer.draw(engine);
  check_pass<2>(layer.pass(kManaged), layer.shape, layer.grad_y.constant(), ShuffledThreads{3});
  check_pass<1>(layer.pass(kDac), layer.shape, layer.grad_y.constant(), ShuffledThreads{3});
}

TEST_CASE("IntegerSplitProducts through arrays: extreme gradients", "[analog_pass]") {
  Engine engine(12);
  constexpr float kMax = std::numeric_limits<float>::max();
  for (const float value : {0.0f, 0x1p-126f, 0x1p-81f, kMax, kInf, kNaN}) {
    CAPTURE(value);
    Layer<8, float> layer{{9, 17, 20}, {{8, 64}}};
    layer.draw(engine);
    layer.grad_y.view()(4, 7) = value;
    check_pass<2>(layer.pass(kManaged), layer.shape, layer.grad_y.constant());
    check_pass<3>(layer.pass(kDac), layer.shape, layer.grad_y.constant());
  }
}

TEST_CASE("One tile is a plain layer", "[analog_pass]") {
  // Without an ADC: the same weights, codes and draws as those of lumina::backward.
  Engine engine(13);
  Layer<8, float> layer{{30, 50, 40}, {}};
  layer.draw(engine);
  const auto coded = encode_weights<8>(layer.w);
  const auto check_parts = [&](const auto& products) {
    LayerOutputs plain(layer.shape), arrays(layer.shape);
    ForwardRecord record;
    BackwardWorkspace workspace;
    const auto plain_pass =
        forward_pass(layer.x.constant(), kDac, coded, epilogue(AddBias{layer.bias}), layer.key);
    REQUIRE(forward(plain_pass, plain.y.view(), record));
    backward(plain_pass, layer.grad_y, record, plain.gradients({}), workspace, products);
    const auto pass = analog_pass(layer.x.constant(), kDac, layer.weights, array(),
                                  digital(AddBias{layer.bias}), layer.key);
    REQUIRE(forward(pass, arrays.y.view(), record));
    REQUIRE(
        backward(pass, layer.grad_y.constant(), record, arrays.gradients({}), workspace, products));
    // Scales differ by roundings (1/127 of the largest weight, or that times 1/127).
    CHECK(difference(arrays.weights, plain.weights) == "");
    for (std::size_t i = 0; i < layer.shape.batch; ++i) {
      for (std::size_t k = 0; k < layer.shape.in; ++k) {
        CHECK(std::fabs(arrays.input(i, k) - plain.input(i, k)) < 0.2f);
      }
    }
  };
  check_parts(IntegerSplitProducts<1>{});
  check_parts(IntegerSplitProducts<2>{});
}

TEST_CASE("Tiles round their gradients with different numbers", "[analog_pass]") {
  // Two tiles with the same weights and inputs, of gradients that are no codes.
  Layer<8, float> layer{{40, 20, 50}, {{10, 64}}};
  Engine engine(14);
  layer.draw(engine);
  layer.x.fill([&] { return uniform(engine, -1.0f, 1.0f); });
  for (std::size_t k = 0; k < 10; ++k) {
    for (std::size_t i = 0; i < 40; ++i) layer.x(i, 10 + k) = layer.x(i, k);
    for (std::size_t o = 0; o < 50; ++o) layer.w(o, 10 + k) = layer.w(o, k);
  }
  layer.weights = encode_tiles<8>(layer.w, layer.mapping);
  const auto pass = analog_pass(layer.x.constant(), kDac, layer.weights, array(), digital());
  const auto equal_halves = [&](const auto& products) {
    LayerOutputs out(layer.shape);
    ForwardRecord record;
    BackwardWorkspace workspace;
    REQUIRE(forward(pass, out.y.view(), record));
    REQUIRE(backward(pass, layer.grad_y.constant(), record, out.gradients({.bias = false}),
                     workspace, products));
    std::size_t equal = 0;
    for (std::size_t k = 0; k < 10; ++k) {
      for (std::size_t i = 0; i < 40; ++i) equal += out.input(i, k) == out.input(i, 10 + k);
      for (std::size_t o = 0; o < 50; ++o) equal += out.weights(o, k) == out.weights(o, 10 + k);
    }
    return equal;
  };
  CHECK(equal_halves(IntegerSplitProducts<2>{}) == 900);
  CHECK(equal_halves(IntegerSplitProducts<1>{}) < 90);
}

TEST_CASE("Sliced weights, weight noise and ranges have IntegerSplitProducts", "[analog_pass]") {
  Engine engine(15);
  Layer<5, float> layer{{30, 50, 40}, {{20, 64}}};
  layer.draw(engine);
  layer.x.fill([&] { return uniform(engine, -2.0f, 2.0f); });
  const auto gradients_of = [&](const auto& pass, const auto&... rest) {
    LayerOutputs out(layer.shape);
    ForwardRecord record;
    BackwardWorkspace workspace;
    InputRangeSums range;
    Gradients gradients = out.gradients({.bias = false});
    gradients.input_range = &range;
    REQUIRE(forward(pass, out.y.view(), record));
    REQUIRE(backward(pass, layer.grad_y.constant(), record, gradients, workspace, rest...));
    CHECK(range.count == 30 * 50);
    return std::pair(std::move(out), range.gradient);
  };
  const auto whole = analog_pass(layer.x.constant(), kSymmetric, layer.weights, array(), digital());
  auto [expected, expected_range] = gradients_of(whole, IntegerSplitProducts<2>{});
  auto [near, near_range] = gradients_of(whole);
  CHECK(std::fabs(expected_range - near_range) < 1e-2f * std::fabs(near_range));

  const auto slices = encode_slices<5>(layer.w, layer.mapping, {.cell_bits = 2});
  const auto sliced = analog_pass(layer.x.constant(), kSymmetric, slices, array(), digital());
  auto [of_slices, range] = gradients_of(sliced, IntegerSplitProducts<2>{});
  CHECK(difference(of_slices.input, expected.input) == "");
  CHECK(difference(of_slices.weights, expected.weights) == "");
  CHECK(same_bits(range, expected_range));

  // Dropped weights have no gradient, others the one without noise.
  auto [noisy, noisy_range] =
      gradients_of(whole, DropConnect{0.5f}, NoiseKey{1, 2, 3}, IntegerSplitProducts<2>{});
  std::size_t dropped = 0;
  for (std::size_t o = 0; o < 40; ++o) {
    for (std::size_t k = 0; k < 50; ++k) {
      const bool is_zero = noisy.weights(o, k) == 0.0f;
      CHECK((is_zero || same_bits(noisy.weights(o, k), expected.weights(o, k))));
      dropped += is_zero;
    }
  }
  CHECK(dropped > 900);
  CHECK(dropped < 1100);
}

TEST_CASE("More outputs than sums hold are refused by arrays", "[analog_pass][errors]") {
  Engine engine(16);
  Layer<2, float> layer{{1, 1, 32769}, {}};
  layer.draw(engine);
  const auto pass = layer.pass(kDac);
  LayerOutputs out(layer.shape);
  ForwardRecord record;
  BackwardWorkspace workspace;
  REQUIRE(forward(pass, out.y.view(), record));
  expect_error(
      [&] {
        backward(pass, layer.grad_y.constant(), record, out.gradients({.bias = false}), workspace,
                 IntegerSplitProducts<2>{});
      },
      {"lumina::backward", "[1, 32769]", "IntegerSplitProducts", "at most 32768 outputs"});
  CHECK(out.input.untouched());
  CHECK(out.weights.untouched());
}
