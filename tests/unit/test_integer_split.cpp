// backward() with IntegerSplitProducts against the oracle, bit for bit; near the gradients in
// double; extreme gradients, and the forms in which parts are multiplied.
#include <lumina/backward.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "support/backward_problem.hpp"
#include "support/coded_problem.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"

using namespace lumina;
using namespace test;

namespace {

/// A coded layer with random operands; x of bytes may have codes that its DAC does not have.
template <int Bits, class X>
struct Layer {
  LayerShape shape;
  RuntimeQuantizer dac;
  TestMatrixOf<X> x{shape.batch, shape.in, shape.in + shape.gap};
  TestMatrix w{shape.out, shape.in}, grad_y{shape.batch, shape.out, shape.out + 2 * shape.gap};
  std::vector<float> bias = std::vector<float>(shape.out, 0.25f);
  CodedWeights<Bits> weights = {};
  NoiseKey key = {};

  void draw(Engine& engine) {
    x.fill([&] {
      if constexpr (std::is_same_v<X, float>) {
        return integer(engine, 0, 9) == 0
                   ? any_float(engine)
                   : uniform(engine, 1.2f * dac.lo() - 0.1f, 1.2f * dac.hi());
      } else {
        return static_cast<std::uint8_t>(engine());
      }
    });
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    weights = encode_weights<Bits>(w);
    key = {engine(), engine(), engine()};
  }
  auto pass() {
    const float limit = 0.5f + 0.5f * std::sqrt(static_cast<float>(shape.in));
    const auto stages = epilogue(Attenuation{0.9f}, GaussianNoise{0.2f}, AddBias{bias}, Relu{},
                                 RuntimeQuantizer(5, 0.0f, limit));
    return forward_pass(x.constant(), dac, weights, stages, key);
  }
};

template <int Parts, int Bits, class X>
void check(Engine& engine, const LayerShape& shape, const RuntimeQuantizer& dac) {
  CAPTURE(Parts, Bits, dac.bits(), dac.is_symmetric(), sizeof(X));
  Layer<Bits, X> layer{shape, dac};
  layer.draw(engine);
  ForwardRecord record;
  BackwardWorkspace workspace;
  check_backward(layer.pass(), layer.weights.decode(), layer.grad_y, shape.gap, record, workspace,
                 {}, Serial{}, IntegerSplitProducts<Parts>{});
}

RuntimeQuantizer any_dac(Engine& engine) {
  const auto bits = static_cast<int>(integer(engine, 2, 8));
  switch (integer(engine, 0, 2)) {
    case 0:
      return {bits, 0.0f, 1.0f};
    case 1:
      return {bits, -1.0f, 0.75f};
    default:
      return RuntimeQuantizer::symmetric(bits, 1.5f);
  }
}

template <int Parts, int Bits, class X>
void check_shapes(std::uint64_t seed) {
  Engine engine(seed);
  for (int i = 0; i < 8; ++i) {
    check<Parts, Bits, X>(engine,
                          {integer(engine, 0, 40), integer(engine, 0, 70), integer(engine, 0, 70),
                           i % 3 == 0 ? integer(engine, 1, 9) : 0},
                          any_dac(engine));
  }
  for (const auto& shape : {LayerShape{3, 5, 700}, LayerShape{300, 5, 3, 1},
                            LayerShape{2, 300, 131}, LayerShape{1500, 2, 3}}) {
    check<Parts, Bits, X>(engine, shape, any_dac(engine));
  }
}

}  // namespace

TEST_CASE("IntegerSplitProducts equal the oracle: one part, at random", "[backward]") {
  check_shapes<1, 8, float>(1);
  check_shapes<1, 4, std::uint8_t>(2);
}
TEST_CASE("IntegerSplitProducts equal the oracle: two parts", "[backward]") {
  check_shapes<2, 8, float>(3);
  check_shapes<2, 8, std::uint8_t>(4);
  check_shapes<2, 4, float>(5);
  check_shapes<2, 2, float>(6);
}
TEST_CASE("IntegerSplitProducts equal the oracle: three parts", "[backward]") {
  check_shapes<3, 8, float>(7);
  check_shapes<3, 2, std::uint8_t>(8);
}

TEST_CASE("IntegerSplitProducts: every tail", "[backward]") {
  Engine engine(9);
  for (std::size_t n = 1; n <= 36; n += 1) {
    check<2, 8, float>(engine, {n, 3, 5}, {8, 0.0f, 1.0f});
    check<2, 8, float>(engine, {3, n, 5}, {8, 0.0f, 1.0f});
    check<2, 8, float>(engine, {3, 5, n}, {8, 0.0f, 1.0f});
  }
}

TEST_CASE("IntegerSplitProducts: sums at their largest", "[backward]") {
  // All gradients, weights and codes at an end of their range, in the longest sums: nothing wraps.
  for (const float sign : {1.0f, -1.0f}) {
    for (const std::size_t depth : {std::size_t{256}, std::size_t{512}, std::size_t{32768}}) {
      CAPTURE(sign, depth);
      // As the batch: codes of 255; as the outputs: weights of 127.
      for (const bool as_batch : {true, false}) {
        const LayerShape shape{as_batch ? depth : 1, 2, as_batch ? 1 : depth};
        Layer<8, float> layer{shape, {8, 0.0f, 1.0f}};
        layer.x.fill([] { return 1.0f; });
        layer.w.fill([&] { return sign; });
        layer.grad_y.fill([&] { return sign; });
        layer.weights = encode_weights<8>(layer.w);
        const auto pass = forward_pass(layer.x.constant(), layer.dac, layer.weights, epilogue());
        const auto check_parts = [&](const auto& products) {
          ForwardRecord record;
          BackwardWorkspace workspace;
          check_backward(pass, layer.weights.decode(), layer.grad_y, 0, record, workspace, {},
                         Serial{}, products);
        };
        check_parts(IntegerSplitProducts<1>{});
        check_parts(IntegerSplitProducts<2>{});
        check_parts(IntegerSplitProducts<3>{});
      }
    }
  }
}

TEST_CASE("IntegerSplitProducts: batches in pieces", "[backward]") {
  Engine engine(10);
  check<2, 8, float>(engine, {32769, 3, 2}, {8, 0.0f, 1.0f});
  check<1, 8, float>(engine, {70000, 1, 1}, {6, -1.0f, 1.0f});
}

TEST_CASE("IntegerSplitProducts refuse more outputs than sums hold", "[backward][errors]") {
  Layer<8, float> layer{{1, 1, 32769}, {8, 0.0f, 1.0f}};
  Engine engine(11);
  layer.draw(engine);
  const auto pass = forward_pass(layer.x.constant(), layer.dac, layer.weights, epilogue());
  ForwardRecord record;
  BackwardWorkspace workspace;
  LayerOutputs out(layer.shape);
  forward(pass, out.y, record);
  expect_error(
      [&] {
        backward(pass, layer.grad_y, record, out.gradients({.bias = false}), workspace,
                 IntegerSplitProducts<2>{});
      },
      {"lumina::backward", "[1, 32769]", "IntegerSplitProducts", "at most 32768 outputs"});
  CHECK(out.input.untouched());
  CHECK(backward(pass, layer.grad_y, record, out.gradients({.input = false, .bias = false}),
                 workspace, IntegerSplitProducts<2>{}));
}

TEST_CASE("IntegerSplitProducts: extreme gradients", "[backward]") {
  Engine engine(12);
  constexpr float kMax = std::numeric_limits<float>::max();
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  for (const float value : {0.0f, kTiny, 0x1p-126f, 0x1p-81f, 1e20f, kMax, kInf, kNaN}) {
    CAPTURE(value);
    Layer<8, float> layer{{9, 17, 20}, {8, 0.0f, 1.0f}};
    layer.draw(engine);
    layer.grad_y.view()(4, 7) = value;
    const auto pass = forward_pass(layer.x.constant(), layer.dac, layer.weights, epilogue());
    ForwardRecord record;
    BackwardWorkspace workspace;
    check_backward(pass, layer.weights.decode(), layer.grad_y, 0, record, workspace, {}, Serial{},
                   IntegerSplitProducts<2>{});
    check_backward(pass, layer.weights.decode(), layer.grad_y, 0, record, workspace, {}, Serial{},
                   IntegerSplitProducts<3>{});
    // All of them that small.
    layer.grad_y.fill([&] { return value == kMax || !(value <= kMax) ? 0.0f : value; });
    check_backward(pass, layer.weights.decode(), layer.grad_y, 0, record, workspace, {}, Serial{},
                   IntegerSplitProducts<2>{});
  }
}

TEST_CASE("IntegerSplitProducts: infinities and NaN stay in their row", "[backward]") {
  Engine engine(13);
  Layer<8, float> layer{{6, 10, 12}, {8, 0.0f, 1.0f}};
  layer.draw(engine);
  layer.grad_y.view()(2, 5) = kInf;
  const auto pass = forward_pass(layer.x.constant(), layer.dac, layer.weights, epilogue());
  ForwardRecord record;
  BackwardWorkspace workspace;
  LayerOutputs out(layer.shape);
  forward(pass, out.y, record);
  backward(pass, layer.grad_y, record, out.gradients({.bias = false}), workspace,
           IntegerSplitProducts<2>{});
  for (std::size_t k = 0; k < 10; ++k) {
    for (std::size_t i = 0; i < 6; ++i) {
      const float x = layer.x(i, k);
      const bool passes = x >= 0.0f && x <= 1.0f;
      CHECK(std::isnan(out.input(i, k)) == (i == 2 && passes));
    }
    for (std::size_t o = 0; o < 12; ++o) CHECK(std::isnan(out.weights(o, k)) == (o == 5));
  }
}

TEST_CASE("IntegerSplitProducts are as near as their bound says", "[backward]") {
  Engine engine(14);
  Layer<8, float> layer{{150, 33, 140}, {8, -0.5f, 1.0f}};
  layer.draw(engine);
  const auto pass = forward_pass(layer.x.constant(), layer.dac, layer.weights, epilogue());
  ForwardRecord record;
  BackwardWorkspace workspace;
  const Matrix<float> w = layer.weights.decode();
  const auto check_parts = [&](const auto& products, double error) {
    LayerOutputs out(layer.shape);
    forward(pass, out.y, record);
    backward(pass, layer.grad_y, record, out.gradients({.bias = false}), workspace, products);
    const double relative = error + 6 * 0x1p-24;  // roundings of g·scale, v·scale, and of results
    for (std::size_t i = 0; i < layer.shape.batch; ++i) {
      double largest = 0.0;
      for (std::size_t o = 0; o < layer.shape.out; ++o) {
        largest = std::max(largest, std::fabs(static_cast<double>(layer.grad_y(i, o)) *
                                              static_cast<double>(layer.weights.scales()[o])));
      }
      for (std::size_t k = 0; k < layer.shape.in; ++k) {
        if (!(layer.x(i, k) >= -0.5f && layer.x(i, k) <= 1.0f)) continue;
        double sum = 0.0, codes = 0.0;
        for (std::size_t o = 0; o < layer.shape.out; ++o) {
          sum += static_cast<double>(layer.grad_y(i, o)) *
                 static_cast<double>(layer.weights.scales()[o]) * layer.weights.code(o, k);
          codes += std::abs(layer.weights.code(o, k));
        }
        REQUIRE(std::fabs(out.input(i, k) - sum) <= relative * largest * codes);
      }
    }
    for (std::size_t o = 0; o < layer.shape.out; ++o) {
      double largest = 0.0;
      for (std::size_t i = 0; i < layer.shape.batch; ++i) {
        largest = std::max(largest, std::fabs(static_cast<double>(layer.grad_y(i, o))));
      }
      for (std::size_t k = 0; k < layer.shape.in; ++k) {
        double sum = 0.0, magnitudes = 0.0;
        for (std::size_t i = 0; i < layer.shape.batch; ++i) {
          const double code = layer.dac.encode(layer.x(i, k));
          const double x = -0.5 + code * static_cast<double>(layer.dac.step());
          sum += static_cast<double>(layer.grad_y(i, o)) * x;
          magnitudes += 0.5 + code * static_cast<double>(layer.dac.step());
        }
        REQUIRE(std::fabs(out.weights(o, k) - sum) <= relative * largest * magnitudes);
      }
    }
  };
  check_parts(IntegerSplitProducts<1>{}, 1.0 / 127);  // at random: a whole unit
  check_parts(IntegerSplitProducts<2>{}, 1.0 / 65534);
  check_parts(IntegerSplitProducts<3>{}, 1.0 / 16777214);
}

TEST_CASE("IntegerSplitProducts<1> are right in the mean", "[backward]") {
  Engine engine(15);
  Layer<8, float> layer{{20, 9, 24}, {8, 0.0f, 1.0f}};
  layer.draw(engine);
  layer.x.fill([&] { return uniform(engine, 0.0f, 1.0f); });
  const auto gradients_of = [&](const auto& products, std::uint64_t stream, LayerOutputs& out) {
    const auto pass = forward_pass(layer.x.constant(), layer.dac, layer.weights, epilogue(),
                                   NoiseKey{.seed = 5, .stream = stream});
    ForwardRecord record;
    BackwardWorkspace workspace;
    forward(pass, out.y, record);
    backward(pass, layer.grad_y, record, out.gradients({.bias = false}), workspace, products);
  };
  LayerOutputs exact(layer.shape);
  gradients_of(IntegerSplitProducts<3>{}, 0, exact);
  constexpr std::size_t kDraws = 400;
  std::vector<double> input(20 * 9), weights(24 * 9);
  for (std::size_t draw = 0; draw < kDraws; ++draw) {
    LayerOutputs out(layer.shape);
    gradients_of(IntegerSplitProducts<1>{}, draw, out);
    for (std::size_t i = 0; i < input.size(); ++i) input[i] += out.input(i / 9, i % 9);
    for (std::size_t i = 0; i < weights.size(); ++i) weights[i] += out.weights(i / 9, i % 9);
  }
  // A rounding's deviation is half a unit at most, 1/127 of the largest magnitude (1, and 1/127 of
  // the largest weight, 1, times it); here 5 of these of the mean of the sums.
  const double root = std::sqrt(static_cast<double>(kDraws));
  for (std::size_t i = 0; i < input.size(); ++i) {
    CHECK(std::fabs(input[i] / kDraws - exact.input(i / 9, i % 9)) <
          5 * 0.5 / 127 * std::sqrt(24.0) / root);
  }
  for (std::size_t i = 0; i < weights.size(); ++i) {
    CHECK(std::fabs(weights[i] / kDraws - exact.weights(i / 9, i % 9)) <
          5 * 0.5 / 127 * std::sqrt(20.0) / root);
  }
}

TEST_CASE("IntegerSplitProducts have the same bits on any threads and in any memory",
          "[backward]") {
  Engine engine(16);
  Layer<8, float> layer{{70, 150, 300}, {8, 0.0f, 1.0f}};
  layer.draw(engine);
  const auto check_on = [&](const auto& executor, const auto& products) {
    ForwardRecord record;
    BackwardWorkspace workspace;
    check_backward(layer.pass(), layer.weights.decode(), layer.grad_y, 0, record, workspace, {},
                   executor, products);
  };
  check_on(ShuffledThreads{3}, IntegerSplitProducts<2>{});
  check_on(ShuffledThreads{3}, IntegerSplitProducts<1>{});
  Matrix<std::byte> memory(1, 1 << 18);
  check_on(SerialIn(memory.elements()), IntegerSplitProducts<2>{});
}

TEST_CASE("A batch in shards has the same gradient by its input", "[backward]") {
  Engine engine(17);
  Layer<8, float> layer{{50, 30, 40}, {8, 0.0f, 1.0f}};
  layer.draw(engine);
  const auto input_gradient = [&](std::size_t begin, std::size_t rows, MatrixView<float> to) {
    NoiseKey key = layer.key;
    key.row_offset += begin;
    const MatrixView<const float> x(&layer.x(begin, 0), rows, 30, 30);
    const auto pass = forward_pass(x, layer.dac, layer.weights, epilogue(GaussianNoise{0.1f}), key);
    ForwardRecord record;
    BackwardWorkspace workspace;
    Matrix<float> y(rows, 40);
    forward(pass, y, record);
    backward(pass, MatrixView<const float>(&layer.grad_y(begin, 0), rows, 40), record,
             {.input = to}, workspace, IntegerSplitProducts<1>{});
  };
  TestMatrix whole(50, 30), shards(50, 30);
  input_gradient(0, 50, whole);
  input_gradient(0, 17, {shards.view().data(), 17, 30});
  input_gradient(17, 33, {&shards.view()(17, 0), 33, 30});
  CHECK(difference(shards, whole) == "");
}

namespace {

/// A product on an emulated matrix unit, or in bytes where pairs are usual, equals the usual one.
template <std::size_t Parts>
void check_forms(Engine& engine, std::size_t batch, std::size_t in, std::size_t out) {
  using namespace lumina::detail;
  CAPTURE(Parts, batch, in, out);
  Layer<8, float> layer{{batch, in, out}, {8, 0.0f, 1.0f}};
  layer.draw(engine);
  const MatrixView<const float> g = layer.grad_y;
  const auto rounding = split_rounding<Parts>(layer.key, 0, 0);
  CodeColumns columns;
  const auto check_product =
      [&]<bool AreBytes>(std::bool_constant<AreBytes>, const auto& source, const auto& pack,
                         std::size_t rows, const ByteValue& of_bytes, const ByteValue& of_pairs) {
        TestMatrix usual(rows, in), in_bytes(rows, in), on_unit(rows, in);
        const CodeColumns::Form form = split_form<Parts>(rows, Serial{});
        REQUIRE(pack(form));
        const bool pairs = form == CodeColumns::Form::pairs;
        run_split<Parts, AreBytes>(source, rounding, columns, form, pairs ? of_pairs : of_bytes,
                                   usual.view(), epilogue(), {}, Serial{});
        REQUIRE(pack(CodeColumns::Form::bytes));
        const auto problem = split_problem<Parts, AreBytes>(source, rounding, columns, of_bytes);
        run_on<SplitKernel<ByteKernel<Native>, Parts>>(problem, in_bytes.view(), epilogue(),
                                                       NoObserver(), {}, Serial{});
        CHECK(difference(in_bytes, usual) == "");
        if constexpr (std::is_same_v<typename CodeKernel<8>::Input, std::uint8_t> &&
                      Native::Codes::input_bias == 0) {
          using Unit = MatrixUnitKernel<CodesOnUnit<Native, 8>, EmulatedUnit>;
          run_on<SplitKernel<Unit, Parts>>(problem, on_unit.view(), epilogue(), NoObserver(), {},
                                           Serial{});
          CHECK(difference(on_unit, usual) == "");
        }
      };
  check_product(std::true_type(), ScaledRows<Native>(g, layer.weights.scales()),
                [&](auto form) {
                  return columns.pack(layer.weights, {0, out}, form, Serial{});
                },
                batch, {}, {});
  const auto value = [&](auto form) { return CodeColumns::value_of<float>(layer.dac, form); };
  check_product(
      std::false_type(), TransposedRows(g),
      [&](auto form) { return columns.pack(layer.x.constant(), layer.dac, form, Serial{}); }, out,
      value(CodeColumns::Form::bytes), value(CodeColumns::Form::pairs));
}

}  // namespace

TEST_CASE("Parts on a matrix unit, in bytes and in pairs are the same", "[backward]") {
  Engine engine(18);
  check_forms<1>(engine, 70, 45, 150);
  check_forms<2>(engine, 70, 45, 150);
  check_forms<2>(engine, 600, 33, 5);
  check_forms<2>(engine, 5, 33, 1200);
  check_forms<3>(engine, 37, 140, 66);
}
