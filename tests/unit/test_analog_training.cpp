// Training of layers on arrays: weights with noise, learned ranges, calibration of ADCs.
#include <lumina/analog_pass.hpp>

#include <cmath>
#include <cstddef>

#include <lumina/reference_analog.hpp>
#include <lumina/reference_backward.hpp>
#include <lumina/tiled_weight_noise.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kBatch = 7, kIn = 100, kOut = 35;
const NoiseKey kKey{1, 2, 3}, kChip{4, 5, 6};

struct Layer {
  TestMatrix x{kBatch, kIn}, w{kOut, kIn}, y{kBatch, kOut}, grad_y{kBatch, kOut};
  TestMatrix by_x{kBatch, kIn}, by_w{kOut, kIn};
  TiledWeights<8> weights;
  ForwardRecord record;
  BackwardWorkspace workspace;

  Layer() {
    Engine engine(1);
    x.fill_uniform(engine, -1.5f, 1.5f);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    REQUIRE(encode_tiles(w, Mapping{.tile = {40, 512}}, weights));
    REQUIRE(weights.tiles() == 3);
  }
};

}  // namespace

TEST_CASE("The sums for a learned range are those of all arrays", "[analog_training]") {
  Layer layer;
  const SymmetricQuantizer<8> dac(1.0f);
  const auto pass =
      analog_pass(layer.x, dac, layer.weights, array(GaussianNoise{0.04f}), digital(), kKey);
  REQUIRE(forward(pass, layer.y, layer.record));
  // The gradient by x before the DAC's gate.
  Matrix<float> expected_x(kBatch, kIn);
  for (std::size_t row = 0; row < kBatch; ++row) {
    for (std::size_t k = 0; k < kIn; ++k) {
      const std::size_t tile = layer.weights.tile_of(k);
      float sum = 0.0f;
      for (std::size_t o = 0; o < kOut; ++o) {
        const float unit =
            detail::product(layer.weights.code_value(), layer.weights.scales(tile)[o]);
        const float w = static_cast<float>(layer.weights.code(o, k)) * unit;
        sum = detail::chain_multiply_add(layer.grad_y(row, o), w, sum);
      }
      expected_x(row, k) = sum;
    }
  }
  InputRangeSums expected;
  for (std::size_t tile = 0; tile < 3; ++tile) {
    const std::size_t first = layer.weights.first_input(tile),
                      count = layer.weights.input_count(tile);
    const InputRangeSums own = reference::input_range_sums(
        MatrixView<const float>(&layer.x(0, first), kBatch, count, kIn),
        MatrixView<const float>(&expected_x(0, first), kBatch, count, kIn), dac);
    expected.gradient += own.gradient;
    expected.inside += own.inside;
    expected.count += own.count;
  }
  CHECK(expected.gradient < 0.0f);
  for_each_executor([&](const auto& executor, const char* name) {
    CAPTURE(name);
    InputRangeSums sums, alone{7.0f, 7, 7};
    REQUIRE(backward(pass, layer.grad_y, layer.record, {layer.by_x, {}, {}, &sums}, layer.workspace,
                     executor));
    REQUIRE(backward(pass, layer.grad_y, layer.record, {{}, {}, {}, &alone}, layer.workspace,
                     executor));
    CHECK(same_bits(sums.gradient, expected.gradient));
    CHECK(same_bits(alone.gradient, expected.gradient));
    CHECK(sums.inside == expected.inside);
    CHECK(sums.count == kBatch * kIn);
    CHECK(layer.by_x(0, 0) == (std::fabs(layer.x(0, 0)) <= 1.0f ? expected_x(0, 0) : 0.0f));
  });
  const auto managed = analog_pass(layer.x, ManagedDac{.bits = 8, .range = 1.0f}, layer.weights,
                                   array(GaussianNoise{0.04f}), digital(), kKey);
  REQUIRE(forward(managed, layer.y, layer.record));
  InputRangeSums sums;
  expect_error(
      [&] {
        backward(managed, layer.grad_y, layer.record, {{}, {}, {}, &sums}, layer.workspace);
      },
      {"[7, 100]", "range of its own"});
}

TEST_CASE("The gradient by weights with noise has the normals of each array", "[analog_training]") {
  Layer layer;
  const MultiplicativeWeightNoise noise{0.2f};
  REQUIRE(encode_tiles(layer.w, Mapping{.tile = {40, 512}}, layer.weights, 8, noise, kChip));
  const auto pass = analog_pass(layer.x, SymmetricQuantizer<8>(1.0f), layer.weights,
                                array(SymmetricQuantizer<8>(4.0f)), digital(), kKey);
  REQUIRE(forward(pass, layer.y, layer.record));
  REQUIRE(backward(pass, layer.grad_y, layer.record, {{}, layer.by_w, {}}, layer.workspace));
  TestMatrix noisy(kOut, kIn), expected(kOut, kIn);
  REQUIRE(
      backward(pass, layer.grad_y, layer.record, {{}, noisy, {}}, layer.workspace, noise, kChip));
  for (std::size_t o = 0; o < kOut; ++o) {
    for (std::size_t k = 0; k < kIn; ++k) {
      const std::size_t tile = layer.weights.tile_of(k);
      const NoiseKey own{kChip.seed, kChip.stream,
                         kChip.row_offset + (static_cast<std::uint64_t>(tile) << 40)};
      const float n = standard_normal_at(own, o, k - layer.weights.first_input(tile));
      const float g = layer.by_w(o, k);
      expected(o, k) = std::fma(detail::product(g, 0.2f), n, g);
    }
  }
  CHECK(difference(noisy, expected) == "");
}

TEST_CASE("What enters each array's ADC is counted", "[analog_training]") {
  Layer layer;
  const SymmetricQuantizer<8> dac(1.0f);
  const auto pass =
      analog_pass(layer.x, dac, layer.weights,
                  array(Attenuation{0.5f}, SymmetricQuantizer<8>(4.0f)), digital(), kKey);
  AdcCalibration seen(3), all(1);
  REQUIRE(calibrate(pass, layer.y, seen));
  REQUIRE(calibrate(pass, layer.y, all));
  MagnitudeHistogram whole;
  for (std::size_t tile = 0; tile < 3; ++tile) {
    Matrix<float> values(kBatch, kOut);
    for (std::size_t row = 0; row < kBatch; ++row) {
      for (std::size_t column = 0; column < kOut; ++column) {
        const auto own = reference::row_dac(layer.x.constant(), row, 0, kIn, dac, 0);
        values(row, column) = 0.5f * reference::array_output(layer.x.constant(), layer.weights, row,
                                                             column, tile, own)
                                         .value;
      }
    }
    MagnitudeHistogram expected;
    expected.add(values);
    whole.merge(expected);
    CHECK(seen.histogram(tile).counts().bins == expected.counts().bins);
    CHECK(seen.histogram(tile).quantile(0.9) == expected.quantile(0.9));
  }
  CHECK(all.histogram().counts().bins == whole.counts().bins);
}
