// backward() against the oracle with weights and inputs in floats: every shape. Each kind of stage:
// test_backward_stages.cpp; behind a DAC: test_backward_codes.cpp.
#include <lumina/backward.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "support/backward_problem.hpp"
#include "support/executors.hpp"

using namespace lumina;
using namespace test;

namespace {

/// All that a layer has; gates are recorded.
auto layer_stages(std::span<const float> bias) {
  return epilogue(Attenuation{0.8f}, GaussianNoise{0.5f}, Relu{}, AddBias{bias},
                  Quantizer<8>(-3.0f, 3.0f));
}

void check_layer(Engine& engine, const LayerShape& shape, ForwardRecord& record,
                 BackwardWorkspace& workspace, const Wanted& wanted = {}) {
  FloatLayer layer(engine, shape, Values::floats);
  const PackedWeights packed = pack_weights(layer.w);
  check_backward(forward_pass(layer.x, packed, layer_stages(layer.columns()), layer.key), layer.w,
                 layer.grad_y, shape.gap, record, workspace, wanted);
}

}  // namespace

TEST_CASE("backward equals the oracle: random shapes and strides", "[backward]") {
  Engine engine(2);
  ForwardRecord record;
  BackwardWorkspace workspace;  // For all of them: larger and smaller ones follow each other.
  for (int i = 0; i < 40; ++i) {
    check_layer(engine,
                {integer(engine, 1, 70), integer(engine, 1, 70), integer(engine, 1, 70),
                 i % 2 == 0 ? 0 : integer(engine, 1, 20)},
                record, workspace);
  }
}

TEST_CASE("backward equals the oracle: every tail", "[backward]") {
  Engine engine(3);
  ForwardRecord record;
  BackwardWorkspace workspace;
  for (std::size_t n = 1; n <= 40; ++n) {
    check_layer(engine, {n, 3, 5}, record, workspace);
    check_layer(engine, {3, n, 5}, record, workspace);
    check_layer(engine, {3, 5, n}, record, workspace);
  }
  for (const std::size_t n : {63u, 64u, 65u, 127u, 128u, 129u, 160u, 257u, 300u}) {
    check_layer(engine, {n, 5, 3}, record, workspace);
    check_layer(engine, {3, n, 5}, record, workspace);
    check_layer(engine, {5, 3, n}, record, workspace);
  }
}

TEST_CASE("backward equals the oracle: a batch deeper than a block of the workspace",
          "[backward]") {
  Engine engine(4);
  ForwardRecord record;
  BackwardWorkspace workspace;
  check_layer(engine, {7001, 3, 5}, record, workspace);
  check_layer(engine, {2500, 2, 33, 3}, record, workspace);
}

TEST_CASE("backward equals the oracle: any of the gradients", "[backward]") {
  Engine engine(5);
  ForwardRecord record;
  BackwardWorkspace workspace;
  for (unsigned wanted = 0; wanted < 8; ++wanted) {
    check_layer(engine, {13, 21, 34, 2}, record, workspace,
                {(wanted & 1) != 0, (wanted & 2) != 0, (wanted & 4) != 0});
  }
}

TEST_CASE("backward equals the oracle: nothing in a dimension", "[backward]") {
  Engine engine(6);
  ForwardRecord record;
  BackwardWorkspace workspace;
  // Without a batch the gradients by weights and bias are zeros, without outputs the one by x is.
  for (const LayerShape& shape : {LayerShape{0, 7, 9}, LayerShape{7, 0, 9}, LayerShape{7, 9, 0},
                                  LayerShape{0, 0, 0}, LayerShape{1, 1, 1}}) {
    check_layer(engine, shape, record, workspace);
  }
}

TEST_CASE("backward gives the same bits with every executor", "[backward]") {
  Engine engine(7);
  // Large enough for several tasks in each of the three steps.
  FloatLayer layer(engine, {260, 40, 270}, Values::floats);
  const PackedWeights packed = pack_weights(layer.w);
  const auto check = [&](const auto& stages) {
    const auto pass = forward_pass(layer.x, packed, stages, layer.key);
    LayerOutputs expected(layer.shape);
    reference::forward_and_backward(pass, layer.w, layer.grad_y, expected.y,
                                    expected.gradients({}));
    for_each_executor([&](const auto& executor, const char* name) {
      CAPTURE(name);
      ForwardRecord record;
      BackwardWorkspace workspace;
      LayerOutputs actual(layer.shape);
      forward(pass, actual.y, record, executor);
      backward(pass, layer.grad_y, record, actual.gradients({}), workspace, {}, executor);
      check_outputs(actual, expected, {});
    });
  };
  check(layer_stages(layer.columns()));
}

TEST_CASE("A batch in shards has the gradients by x of the whole", "[backward]") {
  Engine engine(8);
  FloatLayer layer(engine, {30, 11, 140}, Values::floats);
  const PackedWeights packed = pack_weights(layer.w);
  const auto stages = epilogue(ShotNoiseWithDerivative{0.3f}, Quantizer<8>(-3.0f, 3.0f));
  ForwardRecord record;
  BackwardWorkspace workspace;
  LayerOutputs whole(layer.shape), shards(layer.shape);
  const auto rows = [](auto view, std::size_t first, std::size_t count) {
    return decltype(view)(view.row(first), count, view.cols(), view.row_stride());
  };
  const auto run = [&](LayerOutputs& to, std::size_t first, std::size_t count) {
    const NoiseKey key{5, 6, first};
    const auto pass = forward_pass(rows(layer.x.constant(), first, count), packed, stages, key);
    forward(pass, rows(to.y.view(), first, count), record);
    Gradients gradients;
    gradients.input = rows(to.input.view(), first, count);
    backward(pass, rows(layer.grad_y.constant(), first, count), record, gradients, workspace);
  };
  run(whole, 0, 30);
  run(shards, 0, 13);
  run(shards, 13, 17);
  CHECK(difference(shards.y, whole.y) == "");
  CHECK(difference(shards.input, whole.input) == "");
}

TEST_CASE("The gradient by the bias is one sum over the batch, wherever AddBias stands",
          "[backward]") {
  // Independent of the oracle. The terms do not commute: a sum in another order has other bits.
  Engine engine(9);
  FloatLayer layer(engine, {200, 1, 40}, Values::integers);
  layer.grad_y.fill([&] { return uniform(engine, -1e4f, 1e4f); });
  const PackedWeights packed = pack_weights(layer.w);
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto check = [&](const auto& stages, auto passes) {
    const auto pass = forward_pass(layer.x, packed, stages, layer.key);
    LayerOutputs outputs(layer.shape);
    forward(pass, outputs.y, record);
    backward(pass, layer.grad_y, record, outputs.gradients({false, false, true}), workspace);
    for (std::size_t o = 0; o < 40; ++o) {
      float sum = 0.0f;
      for (std::size_t row = 0; row < 200; ++row) {
        const float s = layer.x(row, 0) * layer.w(o, 0);
        if (passes(s, layer.bias(0, o))) sum += layer.grad_y(row, o);
      }
      CHECK(outputs.bias(0, o) == sum);
    }
  };
  const AddBias bias{layer.columns()};
  check(epilogue(bias, Relu{}), [](float s, float b) { return s + b > 0.0f; });
  check(epilogue(Relu{}, bias), [](float, float) { return true; });
}

TEST_CASE("What goes through a layer by hand", "[backward]") {
  // y = adc(relu(x·wᵀ + b)): the first output is inside, the second off, the third clipped.
  Matrix<float> x(1, 2), w(3, 2), grad_y(1, 3), y(1, 3), by_x(1, 2), by_w(3, 2);
  x(0, 0) = 1.0f;
  x(0, 1) = 2.0f;
  w(0, 0) = 1.0f;  // 1·1 + 2·0.5 + 0 = 2
  w(0, 1) = 0.5f;
  w(1, 0) = -3.0f;  // −3 + 1 = −2
  w(2, 1) = 50.0f;  // 100 + 2
  grad_y(0, 0) = 10.0f;
  grad_y(0, 1) = 20.0f;
  grad_y(0, 2) = 30.0f;
  const std::vector<float> bias = {0.0f, 1.0f, 2.0f};
  std::vector<float> by_bias(3);
  const PackedWeights packed = pack_weights(w);
  const auto pass =
      forward_pass(x, packed, epilogue(AddBias{bias}, Relu{}, Quantizer<8>(0.0f, 51.0f)));
  ForwardRecord record;
  BackwardWorkspace workspace;
  forward(pass, y, record);
  CHECK(y(0, 0) == Approx(2.0f));
  CHECK(y(0, 1) == 0.0f);
  CHECK(y(0, 2) == Approx(51.0f));
  backward(pass, grad_y, record, {.input = by_x, .weights = by_w, .bias = by_bias}, workspace);
  CHECK(by_x(0, 0) == 10.0f);
  CHECK(by_x(0, 1) == 5.0f);
  CHECK(by_w(0, 0) == 10.0f);
  CHECK(by_w(0, 1) == 20.0f);
  for (const std::size_t o : {1u, 2u}) {
    CHECK(by_w(o, 0) == 0.0f);
    CHECK(by_w(o, 1) == 0.0f);
    CHECK(by_bias[o] == 0.0f);
  }
  CHECK(by_bias[0] == 10.0f);
}

TEST_CASE("product_backward has the gradients of a pass without stages", "[backward]") {
  Engine engine(9);
  TestMatrix x(7, 35), w(41, 35), grad_y(7, 41);
  TestMatrix by_input(7, 35), by_weights(41, 35), input(7, 35), weights(41, 35), y(7, 41);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  BackwardWorkspace workspace;
  ForwardRecord record;
  const PackedWeights packed = pack_weights(w);
  const auto pass = forward_pass(x, packed, epilogue());
  forward(pass, y, record);
  backward(pass, grad_y, record, {by_input.view(), by_weights.view(), {}}, workspace);
  product_backward(grad_y, x, w, {input.view(), weights.view(), {}}, workspace);
  CHECK(difference(input, by_input) == "");
  CHECK(difference(weights, by_weights) == "");
}
