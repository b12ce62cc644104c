// AnalogLinear: what its comments promise about configurations that no layer can have, loads that
// fail, ranges that nobody knows yet, and keys that nobody gave.
#include <lumina/analog_linear.hpp>

#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kBatch = 3, kIn = 20, kOut = 30;

AnalogLinearConfig micro() { return AnalogLinearConfig::of(profiles::lumina_micro_v1, kIn, kOut); }

struct Operands {
  TestMatrix x{kBatch, kIn}, w{kOut, kIn}, y{kBatch, kOut}, grad_y{kBatch, kOut};
  std::vector<float> bias = std::vector<float>(kOut, 0.125f);

  Operands() {
    Engine engine(1);
    x.fill_uniform(engine, 0.0f, 1.0f);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
  }
};

bool same_codes(const CodedWeights<8>& a, const CodedWeights<8>& b) {
  std::size_t different = 0;
  for (std::size_t out = 0; out < kOut; ++out) {
    for (std::size_t k = 0; k < kIn; ++k) different += a.code(out, k) != b.code(out, k);
  }
  return different == 0;
}

}  // namespace

TEST_CASE("The constructor reports every configuration that no layer can have", "[layer][errors]") {
  const auto refused = [](std::function<void(AnalogLinearConfig&)> change, std::string_view part) {
    AnalogLinearConfig config = micro();
    change(config);
    CAPTURE(part);
    expect_error([&] { AnalogLinear<8>(config, kBatch); }, {part});

    // Where the handler returns, the layer does nothing from then on, and says so.
    Operands o;
    TestMatrix grad_w(kOut, kIn);
    errors_of([&] {
      AnalogLinear<8> layer(config, kBatch);
      const auto does_nothing = [&](auto&& call) {
        recorded_errors.clear();
        call();
        REQUIRE(recorded_errors.size() == 1);
        CHECK(recorded_errors.front().find("constructor") != std::string::npos);
      };
      does_nothing([&] { CHECK(!layer.load(o.w, o.bias)); });
      does_nothing([&] { CHECK(!layer.infer(o.x, o.y)); });
      does_nothing([&] { CHECK(!layer.infer(o.x, o.y, {1})); });
      does_nothing([&] { CHECK(!layer.forward(o.x, o.y, {1})); });
      does_nothing([&] { layer.backward(o.x, o.grad_y, {{}, grad_w, {}}); });
    });
    CHECK(o.y.untouched());
    CHECK(grad_w.untouched());
  };
  using Range = AnalogLinearConfig::Range;
  const auto with_range = [](float lo, float hi) {
    return [lo, hi](AnalogLinearConfig& config) { config.adc_range = Range{lo, hi}; };
  };
  refused(with_range(1.0f, 0.0f), "lo must be smaller than hi");
  refused(with_range(1.0f, 1.0f), "lo must be smaller than hi");
  refused(with_range(kNaN, 1.0f), "NaN");
  refused(with_range(-kInf, 1.0f), "finite");
  for (const int bits : {0, -1, 17}) {
    refused([bits](AnalogLinearConfig& config) { config.adc_bits = bits; },
            "bits must be in 1..16");
  }
  refused([](AnalogLinearConfig& config) { config.readout.gain = 0.0f; }, "gain");
  refused([](AnalogLinearConfig& config) { config.readout.gain = kNaN; }, "gain");
  refused([](AnalogLinearConfig& config) { config.readout.attenuation = kInf; }, "finite");
  refused([](AnalogLinearConfig& config) { config.readout.noise = -1.0f; }, "negative");
  refused([](AnalogLinearConfig& config) { config.readout.shot_noise = kNaN; }, "negative");
  const auto zero_preserving = [](auto change) {
    return [change](AnalogLinearConfig& config) {
      config.zero_preserving_adc = true;
      change(config);
    };
  };
  refused(zero_preserving(with_range(-1.0f, 2.0f)), "lo = -hi");
  refused(zero_preserving([](AnalogLinearConfig& config) { config.adc_bits = 1; }), "2..16");
}

TEST_CASE("A load that failed changes nothing", "[layer][errors]") {
  Operands o;
  AnalogLinear<8> layer(micro(), kBatch);
  REQUIRE(layer.load(o.w, o.bias));
  layer.set_adc_limit(8.0f);
  REQUIRE(layer.infer(o.x, o.y));
  TestMatrix again(kBatch, kOut), bad(kOut, kIn);
  Engine engine(2);
  bad.fill_uniform(engine);
  bad(3, 4) = kNaN;
  const std::vector<float> other(kOut, 100.0f), longer(kOut + 1);
  expect_error([&] { layer.load(bad, other); }, {"w(3, 4)"});
  expect_error([&] { layer.load(o.w, longer); }, {"31 biases"});
  expect_error([&] { layer.load(TestMatrix(kOut, kIn + 1), other); }, {"[30, 21]"});
  REQUIRE(layer.infer(o.x, again));
  CHECK(difference(again, o.y) == "");

  // Nor one whose noise is refused.
  AnalogLinear<8, MultiplicativeWeightNoise> noisy(micro(), kBatch, {-1.0f});
  expect_error([&] { noisy.load(o.w, other, {1}); }, {"stddev"});
  CHECK(noisy.weights().rows() == 0);
}

TEST_CASE("A batch without values leaves the tracked range unknown", "[layer]") {
  Operands o;
  AnalogLinearConfig config = micro();
  config.readout.noise = config.readout.shot_noise = 0.0f;  // otherwise zeros get noise
  for (const bool zeros : {false, true}) {
    AnalogLinear<8> layer(config, kBatch), other(config, kBatch);
    REQUIRE(layer.load(o.w));
    REQUIRE(other.load(o.w));
    TestMatrix none(zeros ? kBatch : 0, kIn), out(zeros ? kBatch : 0, kOut);
    none.fill([] { return 0.0f; });
    REQUIRE(layer.forward(none, out, {1}));
    CHECK(layer.adc_limit() == 0.0f);
    for (std::size_t i = 0; zeros && i < kOut; ++i) CHECK(std::fabs(out(1, i)) < 1e-18f);
    expect_error([&] { layer.infer(o.x, o.y); }, {"no forward()"});
    TestMatrix expected(kBatch, kOut);
    REQUIRE(layer.forward(o.x, o.y, {1}));
    REQUIRE(other.forward(o.x, expected, {1}));
    CHECK(difference(o.y, expected) == "");
    CHECK(layer.adc_limit() == other.adc_limit());
    CHECK(layer.adc_limit() > 0.1f);
    // Neither does it shrink a range that is known.
    REQUIRE(layer.forward(none, out, {1}));
    CHECK(layer.adc_limit() == other.adc_limit());
    o.y.fill([] { return poison<float>(); });
  }
}

TEST_CASE("set_adc_limit refuses what is no limit", "[layer][errors]") {
  Operands o;
  AnalogLinear<8> layer(micro(), kBatch);
  REQUIRE(layer.load(o.w));
  layer.set_adc_limit(4.0f);
  for (const float bad : {kNaN, -1.0f, -0.001f, kInf, -kInf, 3e38f, 1e-40f}) {
    CAPTURE(bad);
    expect_error([&] { layer.set_adc_limit(bad); }, {"set_adc_limit"});
    CHECK(layer.adc_limit() == 4.0f);
  }
  layer.set_adc_limit(0.0f);
  expect_error([&] { layer.infer(o.x, o.y); }, {"no forward()"});
  CHECK(o.y.untouched());
  for (const float good : {0x1p-100f, 1.0f, 0x1p+126f}) {
    layer.set_adc_limit(good);
    CHECK(errors_of([&] { CHECK(layer.infer(o.x, o.y)); }).empty());
  }
}

TEST_CASE("backward() needs a forward() behind the load", "[layer][errors]") {
  Operands o;
  TestMatrix grad_w(kOut, kIn);
  AnalogLinear<8> layer(micro(), kBatch);
  REQUIRE(layer.load(o.w));
  REQUIRE(layer.forward(o.x, o.y, {1}));
  REQUIRE(layer.load(o.w));
  expect_error(
      [&] {
        layer.backward(o.x, o.grad_y, {{}, grad_w, {}});
      },
      {"there was no forward pass"});
  CHECK(grad_w.untouched());
}

TEST_CASE("Without a key each load draws its weight noise afresh", "[layer]") {
  Operands o;
  const MultiplicativeWeightNoise noise{0.2f};
  AnalogLinear<8, MultiplicativeWeightNoise> layer(micro(), kBatch, noise);
  AnalogLinear<8, MultiplicativeWeightNoise> second(micro(), kBatch, noise);
  CodedWeights<8> clean, keyed;
  encode_weights(o.w, clean);
  encode_weights(o.w, keyed, noise, NoiseKey{1, 2});
  const auto codes_of = [&](const auto& of) {
    std::vector<int> codes;
    for (std::size_t out = 0; out < kOut; ++out) {
      for (std::size_t k = 0; k < kIn; ++k) {
        codes.push_back(of.weights().code(out, k) - clean.code(out, k));
      }
    }
    return codes;
  };
  REQUIRE(layer.load(o.w));
  const std::vector<int> first = codes_of(layer);
  REQUIRE(layer.load(o.w));
  CHECK(codes_of(layer) != first);
  REQUIRE(second.load(o.w));
  CHECK(codes_of(second) != first);
  // With a key it is that key's.
  for (int i = 0; i < 2; ++i) {
    REQUIRE(layer.load(o.w, {}, {1, 2}));
    CHECK(same_codes(layer.weights(), keyed));
  }
}

TEST_CASE("Frozen scales stay whatever the weights are, and saturate", "[layer]") {
  Operands o;
  const auto check = [&](auto& layer, auto expected) {
    TestMatrix before(kBatch, kOut), after(kBatch, kOut);
    REQUIRE(layer.load(o.w));
    layer.set_adc_limit(8.0f);
    REQUIRE(layer.infer(o.x, before));
    std::vector<float> scales(kOut);
    for (std::size_t out = 0; out < kOut; ++out) {
      scales[out] = 0.002f + 0.0001f * static_cast<float>(out);
    }
    REQUIRE(layer.set_weight_scales(scales));
    REQUIRE(layer.load(o.w, {}, {1, 2}));
    expected(scales);
    for (float& scale : scales) scale = 0.0f;  // they were copied
    REQUIRE(layer.load(o.w, {}, {1, 2}));
    CHECK(layer.weight_scales()[3] == 0.0023f);

    const std::vector<float> shorter(kOut - 1, 1.0f);
    expect_error([&] { layer.set_weight_scales(shorter); }, {"[30, ", "29 scales"});
    expect_error([&] { layer.set_weight_scales(scales); }, {"scales[0] is not positive"});
    REQUIRE(layer.set_weight_scales({}));
    REQUIRE(layer.load(o.w, {}, {1, 2}));
    REQUIRE(layer.infer(o.x, after));
    if (!std::remove_reference_t<decltype(layer)>::kNoisyWeights) {
      CHECK(difference(after, before) == "");
    }
  };
  AnalogLinear<8> plain(micro(), kBatch);
  check(plain, [&](const std::vector<float>& scales) {
    CHECK(same_codes(plain.weights(), encode_weights<8>(o.w, scales)));
    CHECK(difference(plain.weights().scales(), std::span<const float>(scales)) == "");
  });
  const AdditiveWeightNoise noise{0.05f};
  AnalogLinear<4, AdditiveWeightNoise> noisy(micro(), kBatch, noise);
  check(noisy, [&](const std::vector<float>& scales) {
    CodedWeights<8> coded;
    encode_weights(o.w, coded, 4, noise, NoiseKey{1, 2}, scales);
    CHECK(same_codes(noisy.weights(), coded));
  });
  AnalogLinear<12> floats(micro(), kBatch);
  check(floats, [&](const std::vector<float>& scales) {
    const auto code = reference::encode_symmetric(o.w(3, 4), scales[3], 12);
    CHECK(floats.weights().value(3, 4) == static_cast<float>(code) * scales[3]);
  });
}

TEST_CASE("A layer's converters are calibrated: the ADC from what enters it, the DAC by percentile",
          "[layer]") {
  Operands o;
  AnalogLinear<8> layer(micro(), kBatch), other(micro(), kBatch);
  REQUIRE(layer.load(o.w, o.bias));
  REQUIRE(other.load(o.w, o.bias));
  AdcCalibration seen;
  REQUIRE(layer.calibrate(o.x, o.y, {1}, seen));
  CHECK(layer.adc_limit() == 0.0f);
  CHECK(seen.histogram().count() == kBatch * kOut);
  // The tracked range is the largest magnitude of the same values.
  TestMatrix y(kBatch, kOut), grad_w(kOut, kIn);
  REQUIRE(other.forward(o.x, y, {1}));
  CHECK(seen.histogram().largest() == Approx(other.adc_limit()).epsilon(1.0 / 32.0));
  layer.set_adc_limit(seen.histogram().quantile(1.0));
  REQUIRE(layer.infer(o.x, y));

  MagnitudeHistogram of_x;
  of_x.add(o.x);
  REQUIRE(layer.forward(o.x, y, {2}));
  layer.set_dac({8, 0.0f, of_x.quantile(0.9)});
  CHECK(layer.config().dac.hi() == of_x.quantile(0.9));
  expect_error(
      [&] {
        layer.backward(o.x, o.grad_y, {{}, grad_w, {}});
      },
      {"there was no forward pass"});
  REQUIRE(layer.forward(o.x, y, {2}));
  InputRangeSums sums;
  layer.backward(o.x, o.grad_y, {{}, grad_w, {}, &sums});
  CHECK(sums.count == kBatch * kIn);
  CHECK(sums.inside >= 53);
  CHECK(sums.inside <= 55);
  CHECK(sums.gradient < 0.0f);
}
