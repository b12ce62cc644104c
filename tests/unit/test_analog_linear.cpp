#include <lumina/analog_linear.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <lumina/reference.hpp>
#include <lumina/reference_backward.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

Matrix<float> random(Engine& engine, std::size_t rows, std::size_t cols, float lo, float hi) {
  Matrix<float> matrix(rows, cols);
  for (float& v : matrix.elements()) v = uniform(engine, lo, hi);
  return matrix;
}

/// The stages that a layer with this readout has, for the oracle.
auto noisy_stages(const Readout& readout, const RuntimeQuantizer& adc,
                  std::span<const float> bias) {
  return epilogue(Attenuation{readout.gain}, readout.shot_noise_behind_gain(),
                  GaussianNoise{readout.noise}, Attenuation{readout.attenuation}, adc,
                  AddBias{bias});
}

AnalogLinearConfig nano(std::size_t in, std::size_t out) {
  return AnalogLinearConfig::of(profiles::lumina_nano_v1, in, out);
}

/// Everything a few steps of training leave behind.
struct Trained {
  Matrix<float> w, bias, y;
  float limit;
};

template <class Executor>
Trained train(const Executor& executor, int steps) {
  constexpr std::size_t kIn = 50, kOut = 140, kBatch = 20;
  Engine engine(7);
  Trained result{random(engine, kOut, kIn, -0.3f, 0.3f), Matrix<float>(1, kOut),
                 Matrix<float>(kBatch, kOut), 0.0f};
  const Matrix<float> target = random(engine, kBatch, kOut, -1.0f, 1.0f);
  const Matrix<float> x = random(engine, kBatch, kIn, -0.1f, 1.1f);
  Matrix<float> grad_y(kBatch, kOut), grad_x(kBatch, kIn), grad_w(kOut, kIn), grad_bias(1, kOut);
  AnalogLinear<4, AdditiveWeightNoise> layer(nano(kIn, kOut), kBatch, {0.02f});
  for (int step = 0; step < steps; ++step) {
    const auto stream = static_cast<std::uint64_t>(step);
    layer.load(result.w, result.bias.elements(), {.seed = 2, .stream = stream});
    layer.forward(x, result.y, {.seed = 1, .stream = stream}, executor);
    for (std::size_t i = 0; i < grad_y.elements().size(); ++i) {
      grad_y.data()[i] = result.y.data()[i] - target.data()[i];
    }
    layer.backward(x, grad_y, {grad_x, grad_w, grad_bias.elements()}, F32Products{}, executor);
    constexpr float kRate = 0.002f;
    const auto descend = [](Matrix<float>& parameters, const Matrix<float>& gradient) {
      for (std::size_t i = 0; i < parameters.elements().size(); ++i) {
        parameters.data()[i] = std::fma(-kRate, gradient.data()[i], parameters.data()[i]);
      }
    };
    descend(result.w, grad_w);
    descend(result.bias, grad_bias);
  }
  result.limit = layer.adc_limit();
  return result;
}

}  // namespace

TEST_CASE("A layer computes what its profile says", "[layer]") {
  Engine engine(1);
  const std::size_t in = 70, out = 150, batch = 9;
  const Matrix<float> w = random(engine, out, in, -0.5f, 0.5f);
  const Matrix<float> bias = random(engine, 1, out, -1.0f, 1.0f);
  const Matrix<float> x = random(engine, batch, in, -0.2f, 1.2f);
  Matrix<float> y(batch, out), expected(batch, out);
  const NoiseKey key{.seed = 3, .stream = 4, .row_offset = 5};

  AnalogLinearConfig config = nano(in, out);
  config.adc_range = {-2.0f, 2.0f};
  AnalogLinear<4> layer(config);
  layer.load(w, bias.elements());
  const CodedWeights<4> coded = encode_weights<4>(w);
  const RuntimeQuantizer adc(4, -2.0f, 2.0f);

  layer.forward(x, y, key);
  reference::fused_gemm(x.view(), config.dac, coded, expected.view(),
                        noisy_stages(config.readout, adc, bias.elements()), key);
  CHECK(difference(y, expected) == "");

  y = Matrix<float>(batch, out);
  layer.infer(x, y, key);
  CHECK(difference(y, expected) == "");

  layer.infer(x, y);
  reference::fused_gemm(
      x.view(), config.dac, coded, expected.view(),
      epilogue(Attenuation{config.readout.gain}, Attenuation{config.readout.attenuation}, adc,
               AddBias{bias.elements()}),
      key);
  CHECK(difference(y, expected) == "");
}

TEST_CASE("A layer's gradients are those of the oracle, weight noise included", "[layer]") {
  Engine engine(5);
  const std::size_t in = 45, out = 70, batch = 11;
  const Matrix<float> w = random(engine, out, in, -0.5f, 0.5f);
  const Matrix<float> bias = random(engine, 1, out, -1.0f, 1.0f);
  const Matrix<float> x = random(engine, batch, in, -0.2f, 1.2f);
  const Matrix<float> grad_y = random(engine, batch, out, -1.0f, 1.0f);
  Matrix<float> y(batch, out), input(batch, in), weights(out, in), by_bias(1, out);
  Matrix<float> expected_y = y, expected_input = input, expected_weights = weights;
  Matrix<float> expected_bias = by_bias;
  const NoiseKey key{.seed = 3}, weight_key{.seed = 4};
  const MultiplicativeWeightNoise noise{0.2f};

  AnalogLinearConfig config = nano(in, out);
  config.adc_range = {-0.5f, 0.75f};  // clips a good part
  AnalogLinear<4, MultiplicativeWeightNoise> layer(config, batch, noise);
  layer.load(w, bias.elements(), weight_key);
  layer.forward(x, y, key);
  layer.backward(x, grad_y, {input, weights, by_bias.elements()});

  const auto coded = encode_weights<4>(w.view(), noise, weight_key);
  const auto pass =
      forward_pass(x.view(), config.dac, coded,
                   noisy_stages(config.readout, RuntimeQuantizer(4, -0.5f, 0.75f), bias.elements()),
                   key)
          .with_weight_stages(epilogue(noise.gradient_stage()), weight_key);
  reference::forward_and_backward(pass, coded.decode(), grad_y, expected_y,
                                  {expected_input, expected_weights, expected_bias.elements()},
                                  IntegerSplitProducts<2>{});
  CHECK(difference(y, expected_y) == "");
  CHECK(difference(input, expected_input) == "");
  CHECK(difference(weights, expected_weights) == "");
  CHECK(difference(by_bias, expected_bias) == "");
}

TEST_CASE("More than 8 bits run on the f32 engine", "[layer]") {
  Engine engine(2);
  const std::size_t in = 33, out = 40, batch = 5;
  const Matrix<float> w = random(engine, out, in, -0.5f, 0.5f);
  const Matrix<float> x = random(engine, batch, in, -0.2f, 1.2f);
  Matrix<float> y(batch, out), expected(batch, out);
  AnalogLinearConfig config = AnalogLinearConfig::of(profiles::datacenter_high_precision, in, out);
  config.adc_range = {-4.0f, 4.0f};
  AnalogLinear<12> layer(config);
  layer.load(w);
  layer.infer(x, y);

  Matrix<float> device_w = w, device_x = x;
  config.dac.apply(device_x.elements());
  for (std::size_t row = 0; row < out; ++row) {
    float largest = 0.0f;
    for (std::size_t col = 0; col < in; ++col) largest = std::max(largest, std::fabs(w(row, col)));
    SymmetricQuantizer<12>(largest).apply({&device_w(row, 0), in});
  }
  reference::fused_gemm(
      device_x.view(), device_w.view(), expected.view(),
      epilogue(Attenuation{config.readout.gain}, Attenuation{config.readout.attenuation},
               Quantizer<12>(-4.0f, 4.0f)),
      {});
  CHECK(difference(y, expected) == "");
}

TEST_CASE("A tracked range follows the largest magnitude, one batch behind", "[layer]") {
  Engine engine(3);
  const std::size_t in = 40, out = 200, batch = 7;
  const Matrix<float> w = random(engine, out, in, -0.5f, 0.5f);
  const Matrix<float> small = random(engine, batch, in, 0.0f, 0.4f);
  const Matrix<float> large = random(engine, batch, in, 0.6f, 1.0f);
  Matrix<float> y(batch, out), v(batch, out), expected(batch, out);
  AnalogLinear<4> layer(nano(in, out), batch);
  layer.load(w);
  const CodedWeights<4> coded = encode_weights<4>(w);
  const std::vector<float> no_bias(out);
  const Readout readout = layer.config().readout;

  // |v| in front of the ADC, by the oracle.
  const auto largest = [&](const Matrix<float>& x, const NoiseKey& key) {
    reference::fused_gemm(x.view(), layer.config().dac, coded, v.view(),
                          epilogue(Attenuation{readout.gain}, readout.shot_noise_behind_gain(),
                                   GaussianNoise{readout.noise}, Attenuation{readout.attenuation}),
                          key);
    float result = 0.0f;
    for (const float value : v.elements()) result = std::max(result, std::fabs(value));
    return result;
  };
  const auto check = [&](const Matrix<float>& x, const NoiseKey& key, float limit) {
    layer.forward(x, y, key);
    reference::fused_gemm(x.view(), layer.config().dac, coded, expected.view(),
                          noisy_stages(readout, RuntimeQuantizer(4, -limit, limit), no_bias), key);
    REQUIRE(difference(y, expected) == "");
  };

  CHECK(layer.adc_limit() == 0.0f);
  const float first = largest(small, {1}), second = largest(large, {2});
  REQUIRE(second > first);
  check(small, {1}, first);  // the very first batch sets its own range
  CHECK(layer.adc_limit() == first);
  check(large, {2}, first);
  CHECK(layer.adc_limit() == second);
  check(small, {3}, second);  // it never shrinks
  CHECK(layer.adc_limit() == second);

  // Inference leaves it alone, and another layer can be given it.
  layer.infer(large, y, {9});
  CHECK(layer.adc_limit() == second);
  AnalogLinear<4> restored(nano(in, out));
  restored.load(w);
  restored.set_adc_limit(second);
  restored.infer(large, expected, {9});
  CHECK(difference(y, expected) == "");
}

TEST_CASE("One key, the same weights after 100 steps, on any threads", "[layer][repeatable]") {
  const Trained once = train(Serial{}, 100);
  const auto same = [&](const auto& executor, const char* name) {
    CAPTURE(name);
    const Trained again = train(executor, 100);
    CHECK(difference(again.w, once.w) == "");
    CHECK(difference(again.bias, once.bias) == "");
    CHECK(difference(again.y, once.y) == "");
    CHECK(same_bits(again.limit, once.limit));
  };
  same(Serial{}, "Serial");
#if defined(_OPENMP)
  same(OpenMP{2}, "OpenMP");
#endif
  same(ShuffledThreads{2}, "shuffled");
}

TEST_CASE("A step of training lowers the loss", "[layer]") {
  // 60 steps bring y near its target, as far as the noise lets it.
  const auto distance = [](const Trained& trained) {
    Engine engine(7);
    random(engine, 140, 50, 0, 1);
    const Matrix<float> target = random(engine, 20, 140, -1.0f, 1.0f);
    double sum = 0.0;
    for (std::size_t i = 0; i < target.elements().size(); ++i) {
      const double off = static_cast<double>(trained.y.data()[i]) - target.data()[i];
      sum += off * off;
    }
    return sum;
  };
  CHECK(distance(train(Serial{}, 60)) < 0.7 * distance(train(Serial{}, 1)));
}

TEST_CASE("A layer's errors say what is wrong and write nothing", "[layer][errors]") {
  const std::size_t in = 6, out = 5, batch = 3;
  AnalogLinear<4> layer(nano(in, out), batch);
  Engine engine(4);
  TestMatrix x(batch, in), w(out, in), y(batch, out), grad_y(batch, out), grad_x(batch, in);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  const Gradients gradients{grad_x, {}, {}};

  expect_error([&] { layer.load(TestMatrix(out, in + 1).fill_uniform(engine)); },
               {"AnalogLinear", "[5, 7]", "[5, 6]"});
  const std::vector<float> long_bias(out + 1);
  expect_error([&] { layer.load(w, long_bias); }, {"AnalogLinear", "6 biases", "[5, 6]"});
  layer.load(w);
  expect_error([&] { layer.infer(x, y); }, {"AnalogLinear", "range", "forward()"});
  expect_error([&] { layer.backward(x, grad_y, gradients); }, {"backward", "no forward pass"});
  CHECK(grad_x.untouched());
  CHECK(y.untouched());
  TestMatrix wide(batch, out + 1);
  expect_error([&] { layer.forward(x, wide, {1}); }, {"fused_gemm", "[3, 6]"});
  CHECK(wide.untouched());
  CHECK(layer.adc_limit() == 0.0f);
  expect_error([&] { layer.backward(x, grad_y, gradients); }, {"no forward pass"});

  layer.forward(x, y, {1});
  TestMatrix tall(batch + 1, out);
  tall.fill_uniform(engine);
  expect_error([&] { layer.backward(x, tall, gradients); }, {"backward", "grad_y is [4, 5]"});
  CHECK(grad_x.untouched());
  layer.backward(x, grad_y, gradients);
  CHECK(!grad_x.untouched());

  AnalogLinearConfig bad = nano(in, out);
  bad.readout.gain = 0.0f;
  expect_error([&] { AnalogLinear<4>{bad}; }, {"AnalogLinear", "gain"});
}
