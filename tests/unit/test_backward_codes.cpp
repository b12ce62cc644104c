// backward() against the oracle behind a DAC: coded weights, inputs in floats and codes, weights in
// floats, and the stages of the gradient by the weights.
#include <lumina/backward.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "support/backward_problem.hpp"
#include "support/coded_problem.hpp"
#include "support/executors.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Also the ends of the DAC's range exactly, their neighbours, infinities and NaN.
float draw_any(Engine& engine, const RuntimeQuantizer& dac, float) {
  const float edges[] = {dac.lo(),
                         dac.hi(),
                         std::nextafter(dac.lo(), -kInf),
                         std::nextafter(dac.hi(), kInf),
                         kInf,
                         -kInf,
                         kNaN,
                         any_float(engine)};
  if (integer(engine, 0, 3) == 0) return edges[integer(engine, 0, std::size(edges) - 1)];
  return draw_input(engine, dac, 0.0f);
}
/// Also codes that the DAC does not have.
std::uint8_t draw_any(Engine& engine, const RuntimeQuantizer& dac, std::uint8_t) {
  if (integer(engine, 0, 3) == 0) return static_cast<std::uint8_t>(engine());
  return draw_input(engine, dac, std::uint8_t{});
}

/// Weights as a pass takes them, and the values that they stand for.
template <int Bits>
struct Coded {
  static CodedWeights<Bits> make(MatrixView<const float> w) { return encode_weights<Bits>(w); }
  static Matrix<float> values(const CodedWeights<Bits>& weights, MatrixView<const float>) {
    return weights.decode();
  }
};
struct Floats {
  static PackedWeights make(MatrixView<const float> w) { return pack_weights(w); }
  static MatrixView<const float> values(const PackedWeights&, MatrixView<const float> w) {
    return w;
  }
};

template <class Form, class X>
void check_form_of(Engine& engine, const LayerShape& shape, ForwardRecord& record,
                   BackwardWorkspace& workspace, int dac_bits) {
  const auto [batch, in, out, gap] = shape;
  const RuntimeQuantizer dac = draw_dac(engine, dac_bits);
  TestMatrixOf<X> x(batch, in, in + gap);
  TestMatrix w(out, in), grad_y(batch, out, out + 2 * gap), bias(1, out);
  x.fill([&] { return draw_any(engine, dac, X{}); });
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  bias.fill_uniform(engine);
  const auto weights = Form::make(w);
  const float limit = 0.5f + 0.5f * std::sqrt(static_cast<float>(in));
  const auto stages =
      epilogue(Attenuation{0.9f}, GaussianNoise{0.2f}, AddBias{{bias.view().data(), out}}, Relu{},
               RuntimeQuantizer(5, 0.0f, limit));
  const auto pass =
      forward_pass(x.constant(), dac, weights, stages, NoiseKey{engine(), engine(), engine()});
  CAPTURE(dac_bits, sizeof(X));
  check_backward(pass, Form::values(weights, w), grad_y, gap, record, workspace);
}

template <class Form, class X>
void check_form_of(std::uint64_t seed, int most_dac_bits) {
  Engine engine(seed);
  ForwardRecord record;
  BackwardWorkspace workspace;
  for (int i = 0; i < 25; ++i) {
    const auto bits = static_cast<int>(integer(engine, 1, static_cast<std::size_t>(most_dac_bits)));
    check_form_of<Form, X>(engine,
                           {integer(engine, 0, 40), integer(engine, 0, 70), integer(engine, 0, 70),
                            i % 3 == 0 ? integer(engine, 1, 9) : 0},
                           record, workspace, bits);
  }
  for (const auto& shape : {LayerShape{3, 7000, 2}, LayerShape{130, 5, 3, 1},
                            LayerShape{2, 300, 131}, LayerShape{6000, 2, 3}}) {
    check_form_of<Form, X>(engine, shape, record, workspace, most_dac_bits);
  }
}

}  // namespace

TEST_CASE("backward equals the oracle: codes of 8 bits", "[backward]") {
  check_form_of<Coded<8>, float>(1, 8);
  check_form_of<Coded<8>, std::uint8_t>(2, 8);
}
TEST_CASE("backward equals the oracle: codes of 4 bits", "[backward]") {
  check_form_of<Coded<4>, float>(3, 8);
}
TEST_CASE("backward equals the oracle: codes of 2 bits", "[backward]") {
  check_form_of<Coded<2>, std::uint8_t>(4, 8);
}
TEST_CASE("backward equals the oracle: weights in floats behind a DAC", "[backward]") {
  check_form_of<Floats, float>(5, 16);
}

TEST_CASE("backward equals the oracle: shot noise with its derivative on sums of codes",
          "[backward]") {
  Engine engine(6);
  const Quantizer<8> dac(-1.0f, 1.0f);
  ForwardRecord record;
  BackwardWorkspace workspace;
  for (const auto& shape : {LayerShape{9, 30, 45, 2}, LayerShape{40, 3, 150}}) {
    const auto [batch, in, out, gap] = shape;
    TestMatrix x(batch, in, in + gap), w(out, in), grad_y(batch, out);
    x.fill_uniform(engine, -1.2f, 1.2f);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    const auto coded = encode_weights<8>(w);
    const auto stages =
        epilogue(ShotNoiseWithDerivative{0.3f}, GaussianNoise{0.1f}, Quantizer<6>(-2.0f, 2.0f));
    check_backward(forward_pass(x.constant(), dac, coded, stages, {7, 8, 9}), coded.decode(),
                   grad_y, gap, record, workspace);
  }
}

TEST_CASE("Clipped inputs have no gradient, those at the ends of the range have", "[backward]") {
  // Independent of the oracle.
  const Quantizer<8> dac(-1.0f, 0.5f);
  const std::vector<float> inputs = {
      -1.0f, std::nextafter(-1.0f, -kInf), 0.5f, std::nextafter(0.5f, kInf), 0.0f, kInf, -kInf,
      kNaN};
  const std::vector<bool> passes = {true, false, true, false, true, false, false, false};
  Matrix<float> w(1, inputs.size()), grad_y(1, 1), y(1, 1), by_x(1, inputs.size());
  for (float& weight : w.elements()) weight = 1.0f;
  grad_y(0, 0) = 3.0f;
  const auto coded = encode_weights<8>(w);
  const auto pass = forward_pass(MatrixView<const float>(inputs.data(), 1, inputs.size()), dac,
                                 coded, epilogue());
  ForwardRecord record;
  BackwardWorkspace workspace;
  forward(pass, y, record);
  backward(pass, grad_y, record, {.input = by_x}, workspace);
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    CAPTURE(inputs[k]);
    CHECK(by_x(0, k) == (passes[k] ? 3.0f : 0.0f));
  }
}

TEST_CASE("Saturated weights have no gradient, those at the largest code have", "[backward]") {
  Engine engine(7);
  TestMatrix x(9, 40), w(35, 40), grad_y(9, 35), y(9, 35), plain(35, 40), gated(35, 40);
  x.fill_uniform(engine);
  w.fill_uniform(engine, -2.0f, 2.0f);
  grad_y.fill_uniform(engine);
  std::vector<float> scales(35);
  for (float& scale : scales) scale = uniform(engine, 0.003f, 0.015f);
  w(3, 1) = 127.0f * scales[3];
  w(34, 39) = -127.0f * scales[34];
  w(3, 2) = std::nextafter(127.0f * scales[3], kInf);
  CodedWeights<8> coded;
  encode_weights(w, coded, scales);
  const auto pass = forward_pass(x.constant(), Quantizer<8>(-1.0f, 1.0f), coded, epilogue());
  ForwardRecord record;
  BackwardWorkspace workspace;
  forward(pass, y, record);
  backward(pass, grad_y, record, {.weights = plain}, workspace);
  backward(pass.with_weight_stages(epilogue(WeightGate<8>{w, scales})), grad_y, record,
           {.weights = gated}, workspace);
  for (std::size_t o = 0; o < 35; ++o) {
    for (std::size_t k = 0; k < 40; ++k) {
      if (std::fabs(w(o, k)) > 127.0f * scales[o]) plain(o, k) = 0.0f;
    }
  }
  CHECK(difference(gated, plain) == "");
  CHECK(gated(3, 1) != 0.0f);
  CHECK(gated(34, 39) != 0.0f);
  CHECK(gated(3, 2) == 0.0f);
}

TEST_CASE("Stages of the gradient by the weights have a key of their own", "[backward]") {
  Engine engine(8);
  TestMatrix x(9, 140), w(35, 140), grad_y(9, 35);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  const auto coded = encode_weights<8>(w);
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto pass =
      forward_pass(x.constant(), Quantizer<8>(-1.0f, 1.0f), coded, epilogue(), {1, 2, 3})
          .with_weight_stages(epilogue(Attenuation{0.5f}, GaussianNoise{0.5f}), NoiseKey{4, 5, 6});
  check_backward(pass, coded.decode(), grad_y, 0, record, workspace);
  check_backward(pass, coded.decode(), grad_y, 0, record, workspace, {}, ShuffledThreads{3});
}
