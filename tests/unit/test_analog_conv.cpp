// AnalogConv: what it shares with AnalogLinear is AnalogLinear's, bit for bit; groups, weight
// noise, tracked and given ranges, errors.
#include <lumina/analog_conv.hpp>

#include <cstddef>
#include <span>
#include <vector>

#include <lumina/analog_linear.hpp>
#include <lumina/hardware_profile.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/images.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{3, 4, 5}, kWeightKey{6, 7, 8};

/// A convolution of one pixel is a layer of its channels.
template <int Bits, class WeightNoise>
void check_against_linear(const WeightNoise& noise, const HardwareProfile& profile) {
  constexpr std::size_t kBatch = 9, kIn = 37, kOut = 21;
  Engine engine(1);
  const Images<float> x(engine, kBatch, kIn, {1, 1, 1}, ImageLayout::channels_first);
  const Images<float> grad_y(engine, kBatch, kOut, {1, 1, 1}, ImageLayout::channels_first);
  const MatrixView<const float> x_rows(x.view().data, kBatch, kIn);
  const MatrixView<const float> grad_rows(grad_y.view().data, kBatch, kOut);
  TestMatrix w(kOut, kIn);
  w.fill_uniform(engine);
  const std::vector<float> bias(kOut, 0.25f);

  AnalogConv<Bits, WeightNoise> conv(AnalogConvConfig::of(profile, {kIn, kOut, {1, 1, 1}}), noise);
  AnalogLinear<Bits, WeightNoise> linear(AnalogLinearConfig::of(profile, kIn, kOut), 0, noise);
  REQUIRE(conv.load(w, bias, kWeightKey));
  REQUIRE(linear.load(w, bias, kWeightKey));
  Images<float> y(kBatch, kOut, {1, 1, 1}, ImageLayout::channels_first);
  Images<float> input(kBatch, kIn, {1, 1, 1}, ImageLayout::channels_first);
  TestMatrix expected_y(kBatch, kOut), expected_input(kBatch, kIn), filters(kOut, kIn),
      expected_filters(kOut, kIn);
  std::vector<float> by_bias(kOut), expected_bias(kOut);
  for (int step = 0; step < 2; ++step) {  // the first one finds the ADC's range
    REQUIRE(conv.forward(x.view(), y.view(), kKey));
    REQUIRE(linear.forward(x_rows, expected_y, kKey));
    CHECK(difference(MatrixView<const float>(y.view().data, kBatch, kOut), expected_y.constant()) ==
          "");
    CHECK(same_bits(conv.adc_limit(), linear.adc_limit()));
  }
  REQUIRE(conv.backward(x.view(), grad_y.view(), {input.view(), filters.view(), by_bias}));
  linear.backward(x_rows, grad_rows,
                  {expected_input.view(), expected_filters.view(), expected_bias}, F32Products());
  CHECK(difference(MatrixView<const float>(input.view().data, kBatch, kIn),
                   expected_input.constant()) == "");
  CHECK(difference(filters.constant(), expected_filters.constant()) == "");
  CHECK(difference(std::span<const float>(by_bias), expected_bias) == "");
  REQUIRE(conv.infer(x.view(), y.view()));
  REQUIRE(linear.infer(x_rows, expected_y));
  CHECK(difference(MatrixView<const float>(y.view().data, kBatch, kOut), expected_y.constant()) ==
        "");
}

}  // namespace

TEST_CASE("One pixel is AnalogLinear's row", "[analog_conv]") {
  check_against_linear<8>(NoWeightNoise(), profiles::lumina_micro_v1);
  check_against_linear<4>(AdditiveWeightNoise{0.05f}, profiles::lumina_micro_v1);
  check_against_linear<12>(NoWeightNoise(), profiles::lumina_micro_v1);
}

TEST_CASE("A layer computes what its pass does", "[analog_conv]") {
  Engine engine(2);
  const Convolution shape{6, 150, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}, {1, 1, 1}, 3};
  const Size3 size{1, 7, 6};
  const Images<float> x(engine, 2, 6, size, ImageLayout::channels_first);
  TestMatrix filters(150, shape.filter_size());
  filters.fill_uniform(engine);
  AnalogConvConfig config{.shape = shape};
  config.readout.noise = 0.1f;
  config.adc_range = AnalogConvConfig::Range{-3.0f, 3.0f};
  AnalogConv<6> layer(config);
  REQUIRE(layer.load(filters, {}));
  Images<float> y(2, 150, size, ImageLayout::channels_first),
      expected(2, 150, size, ImageLayout::channels_first);
  REQUIRE(layer.forward(x.view(), y.view(), kKey));
  const std::vector<float> no_bias(150);
  const auto weights = convolution_weights(
      filters.constant(), shape,
      [](MatrixView<const float> w, std::size_t) { return encode_weights<6>(w); });
  REQUIRE(fused_convolution(x.view(), config.dac, weights, expected.view(), shape,
                            epilogue(Attenuation{1.0f}, GaussianNoise{0.1f}, Attenuation{1.0f},
                                     Quantizer<8>(-3.0f, 3.0f), AddBias{no_bias}),
                            kKey));
  CHECK(difference(y.row(), expected.row()) == "");

  SECTION("scales that are set are those of the outputs") {
    const std::vector<float> scales(150, 0.125f);
    REQUIRE(layer.set_weight_scales(scales));
    REQUIRE(layer.load(filters, {}));
    for (const auto& own : layer.weights()) {
      for (const float scale : own.scales()) CHECK(scale == 0.125f);
    }
  }
  SECTION("calibration counts what enters the ADC") {
    AdcCalibration seen;
    REQUIRE(layer.calibrate(x.view(), y.view(), kKey, seen));
    CHECK(seen.histogram().count() == 2 * 150 * 42);
  }
}

TEST_CASE("A refused load or call changes nothing", "[analog_conv]") {
  Engine engine(3);
  const Convolution shape{2, 4, {1, 2, 2}};
  AnalogConv<8> layer(AnalogConvConfig{.shape = shape});
  TestMatrix filters(4, 8);
  filters.fill_uniform(engine);
  const Images<float> x(engine, 1, 2, {1, 3, 3}, ImageLayout::channels_last);
  Images<float> y(1, 4, {1, 2, 2}, ImageLayout::channels_last);
  expect_error([&] { layer.infer(x.view(), y.view()); }, {"AnalogConv", "tracked"});
  expect_error([&] { layer.load(MatrixView<const float>(filters.constant().data(), 4, 7)); },
               {"filters are [4, 7]"});
  const std::vector<float> bias(3);
  expect_error([&] { layer.load(filters, bias); }, {"3 biases", "4 outputs"});
  REQUIRE(layer.load(filters));
  REQUIRE(layer.forward(x.view(), y.view(), kKey));
  TestMatrix bad(4, 8);
  bad.fill([] { return kNaN; });
  expect_error([&] { layer.load(bad); }, {"NaN"});
  // The weights, and the record, are those of before.
  Images<float> input(1, 2, {1, 3, 3}, ImageLayout::channels_last);
  REQUIRE(layer.backward(x.view(), y.view(), {input.view(), {}, {}}));
  REQUIRE(layer.load(filters));
  expect_error(
      [&] {
        layer.backward(x.view(), y.view(), {input.view(), {}, {}});
      },
      {"no forward pass"});
}
