// The backward pass with Bf16SplitProducts, on an emulated matrix unit: near the exact gradients,
// the same bits on any threads; and what happens where there is no unit.
#include <lumina/backward.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <lumina/isa.hpp>
#include <lumina/reference_backward.hpp>

#include "support/catch.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/executors.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// 2^-24 times the magnitudes that are added up, and once more for what a scale and a step round:
/// detail/training/bf16_split.hpp.
double bound(std::size_t depth, double magnitudes) {
  const double steps = std::ceil(static_cast<double>(depth) / 32.0);
  return (16.0 + 3.1 * steps + 4.0) * 0x1p-24 * magnitudes + 0x1p-120;
}

struct Split {
  std::size_t batch, in, out;
  TestMatrix x{batch, in}, w{out, in}, grad_y{batch, out}, y{batch, out};
  TestMatrix input{batch, in}, weights{out, in}, bias{1, out};
  std::vector<float> bias_values = std::vector<float>(out, 0.25f);
  ForwardRecord record = {};
  BackwardWorkspace workspace = {};

  Gradients gradients() { return {input, weights, {bias.view().data(), out}}; }

  void draw(Engine& engine) {
    x.fill_uniform(engine, -1.5f, 2.5f);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
  }
};

template <int Bits, class Dac = Quantizer<6>>
void check(Engine& engine, std::size_t batch, std::size_t in, std::size_t out,
           const Dac& dac = {-1.0f, 2.0f}) {
  CAPTURE(Bits, batch, in, out);
  Split split{batch, in, out};
  split.draw(engine);
  const Quantizer<8> adc(-3.0f, 3.0f);
  const CodedWeights<Bits> coded = encode_weights<Bits>(split.w);
  const auto pass = forward_pass(
      split.x.constant(), dac, coded,
      epilogue(AddBias{split.bias_values}, Attenuation{0.75f}, GaussianNoise{0.2f}, adc),
      {.seed = engine()});
  forward(pass, split.y, split.record);
  detail::run_backward<EmulatedUnit>(pass, split.grad_y.constant(), split.record, split.gradients(),
                                     split.workspace, Serial{});

  // The same gradient by the dot products; the two products in double.
  const float* const g = split.workspace.gradient.data();
  const Matrix<float> device_w = coded.decode();
  for (std::size_t i = 0; i < batch; ++i) {
    for (std::size_t k = 0; k < in; ++k) {
      double sum = 0.0, magnitudes = 0.0;
      for (std::size_t o = 0; o < out; ++o) {
        const double term = static_cast<double>(g[i * out + o]) * device_w(o, k);
        sum += term;
        magnitudes += std::fabs(term);
      }
      if (split.x(i, k) < dac.lo() || split.x(i, k) > dac.hi()) sum = magnitudes = 0.0;
      REQUIRE(std::fabs(split.input(i, k) - sum) <= bound(out, magnitudes));
    }
  }
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t k = 0; k < in; ++k) {
      double sum = 0.0, magnitudes = 0.0;
      for (std::size_t i = 0; i < batch; ++i) {
        const double value = g[i * out + o];
        const double code = dac.encode(split.x(i, k));
        sum += value * (dac.offset() + code * static_cast<double>(dac.step()));
        // step·code and offset enter by themselves, and may cancel each other.
        magnitudes += std::fabs(value) * (std::fabs(static_cast<double>(dac.offset())) +
                                          std::fabs(code) * static_cast<double>(dac.step()));
      }
      // The sum of g alone is a chain of floats.
      const double chain = static_cast<double>(batch) * 0x1p-24 * magnitudes;
      REQUIRE(std::fabs(split.weights(o, k) - sum) <= bound(batch, magnitudes) + chain);
    }
  }

  // The gradient by the bias has nothing to do with the products.
  Split f32{batch, in, out};
  forward(pass, f32.y, f32.record);
  backward(pass, split.grad_y, f32.record, f32.gradients(), f32.workspace);
  CHECK(difference(split.bias, f32.bias) == "");
}

}  // namespace

TEST_CASE("Split products are as near as their bound says", "[backward][bf16]") {
  Engine engine(1);
  check<8>(engine, 5, 40, 33);
  check<4>(engine, 37, 70, 130);
  check<2>(engine, 64, 33, 17);
  check<8>(engine, 37, 40, 50, SymmetricQuantizer<8>(1.25f));
}

TEST_CASE("Split products of codes that a symmetric DAC has made before", "[backward][bf16]") {
  // Integers, so that F32Products and the split are exact and equal.
  Engine engine(5);
  Matrix<std::uint8_t> x(40, 35);
  for (std::uint8_t& code : x.elements()) code = static_cast<std::uint8_t>(integer(engine, 0, 14));
  TestMatrix w(20, 35), grad_y(40, 20), y(40, 20), split(20, 35), f32(20, 35);
  w.fill_uniform(engine);
  grad_y.fill([&] { return static_cast<float>(integer(engine, 0, 8)) - 4.0f; });
  const CodedWeights<8> coded = encode_weights<8>(w);
  const auto dac = RuntimeQuantizer::symmetric(4, 7.0f);
  const auto pass = forward_pass(x, dac, coded, epilogue(), {});
  ForwardRecord record;
  BackwardWorkspace workspace;
  forward(pass, y, record);
  detail::run_backward<EmulatedUnit>(pass, grad_y.constant(), record, Gradients{{}, split, {}},
                                     workspace, Serial{});
  backward(pass, grad_y, record, Gradients{{}, f32, {}}, workspace);
  CHECK(difference(split, f32) == "");
}

TEST_CASE("Split products have the same bits on any threads", "[backward][bf16]") {
  Engine engine(2);
  Split once{70, 150, 300};
  once.draw(engine);
  const Quantizer<8> dac(0.0f, 1.0f);
  const CodedWeights<8> coded = encode_weights<8>(once.w);
  const auto pass = forward_pass(once.x.constant(), dac, coded, epilogue(Relu{}), {});
  const auto run = [&](Split& split, const auto& executor) {
    forward(pass, split.y, split.record);
    detail::run_backward<EmulatedUnit>(pass, once.grad_y.constant(), split.record,
                                       Gradients{split.input, split.weights, {}}, split.workspace,
                                       executor);
  };
  run(once, Serial{});
  Split again{70, 150, 300};
  run(again, ShuffledThreads{3});
  CHECK(difference(again.input, once.input) == "");
  CHECK(difference(again.weights, once.weights) == "");
}

TEST_CASE("Without a matrix unit for bf16 F32Products take over", "[backward][bf16]") {
  const std::string before = isa();
  if (detail::bf16_split_active()) REQUIRE(force_isa("avx512_vnni"));
  REQUIRE(!detail::bf16_split_active());
  Engine engine(3);
  Split split{9, 20, 30}, f32{9, 20, 30};
  split.draw(engine);
  const Quantizer<8> dac(0.0f, 1.0f);
  const CodedWeights<8> coded = encode_weights<8>(split.w);
  const auto pass = forward_pass(split.x.constant(), dac, coded, epilogue(Relu{}), {});
  forward(pass, split.y, split.record);
  backward(pass, split.grad_y, split.record, Gradients{split.input, split.weights, {}},
           split.workspace, Bf16SplitProducts{});
  backward(pass, split.grad_y, split.record, Gradients{f32.input, f32.weights, {}}, f32.workspace);
  CHECK(difference(split.input, f32.input) == "");
  CHECK(difference(split.weights, f32.weights) == "");
  REQUIRE(force_isa(before));
}
