// backward() through each kind of stage against the oracle: clipped values, values exactly at the
// ends of a range, zeros, infinities and NaN.
#include <lumina/backward.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "support/backward_problem.hpp"

using namespace lumina;
using namespace test;

namespace {

/// stages(bias) is the epilogue.
template <class MakeStages>
void check_stages(MakeStages stages) {
  Engine engine(1);
  ForwardRecord record;
  BackwardWorkspace workspace;
  for (const auto& shape : {LayerShape{9, 3, 37, 1}, LayerShape{2, 4, 150}, LayerShape{17, 5, 8}}) {
    for (const Values kind : {Values::floats, Values::integers, Values::special}) {
      FloatLayer layer(engine, shape, kind);
      const PackedWeights packed = pack_weights(layer.w);
      const auto pass = forward_pass(layer.x, packed, stages(layer.columns()), layer.key);
      check_backward(pass, layer.w, layer.grad_y, shape.gap, record, workspace);
    }
  }
}

/// A user's stage whose derivative needs what entered it, two normals and its column.
struct Wobble {
  static constexpr std::size_t normals_per_element = 2;
  std::span<const float> gains;

  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 2>& normals) const {
    const Floats gain = product(load_columns<Floats>(gains, at, active), normals[0]);
    return fused_multiply_add(gain, product(values, values), normals[1]);
  }
  template <class Floats>
  Floats backward(const Floats& gradient, const Floats& values, const Coordinates& at,
                  const ActiveLanes& active, const std::array<Floats, 2>& normals) const {
    const Floats gain = product(load_columns<Floats>(gains, at, active), normals[0]);
    return product(gradient, product(gain, values + values));
  }
};

/// A user's gate.
struct OnlySmall {
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&, const Normals&) const {
    return values;
  }
  template <class Floats>
  auto passes(const Floats& values) const {
    return abs(values) < Floats(1.0f);
  }
};

}  // namespace

TEST_CASE("backward equals the oracle: each stage alone", "[backward]") {
  check_stages([](auto) { return epilogue(); });
  check_stages([](auto bias) { return epilogue(AddBias{bias}); });
  check_stages([](auto) { return epilogue(Relu{}); });
  check_stages([](auto) { return epilogue(Attenuation{0.7f}); });
  check_stages([](auto) { return epilogue(GaussianNoise{0.3f}); });
  check_stages([](auto) { return epilogue(ShotNoise{0.3f}); });
  check_stages([](auto) { return epilogue(ShotNoiseWithDerivative{0.3f}); });
  check_stages([](auto) { return epilogue(Quantizer<4>(-4.0f, 2.0f)); });
  check_stages([](auto) { return epilogue(RuntimeQuantizer(16, -1.0f, 4.0f)); });
  check_stages([](auto) { return epilogue(SymmetricQuantizer<6>(4.0f)); });
}

TEST_CASE("backward equals the oracle: users' stages", "[backward]") {
  check_stages([](auto bias) {
    return epilogue(Wobble{bias}, OnlySmall{}, AddBias{bias}, GaussianNoise{0.1f});
  });
  check_stages([](auto bias) { return epilogue(OnlySmall{}, AddBias{bias}, Relu{}); });
}

TEST_CASE("backward equals the oracle: gates before, between and behind", "[backward]") {
  const Quantizer<8> adc(-4.0f, 4.0f);
  check_stages([&](auto bias) {
    return epilogue(AddBias{bias}, Relu{}, Attenuation{0.8f}, ShotNoise{0.1f}, GaussianNoise{0.2f},
                    adc);
  });
  check_stages([&](auto bias) {
    return epilogue(Attenuation{0.8f}, ShotNoiseWithDerivative{0.4f}, GaussianNoise{0.2f}, adc,
                    AddBias{bias});
  });
  check_stages([&](auto bias) {
    return epilogue(ShotNoiseWithDerivative{0.4f}, Relu{}, AddBias{bias},
                    ShotNoiseWithDerivative{0.2f}, SymmetricQuantizer<8>(3.0f));
  });
}

TEST_CASE("ShotNoiseWithDerivative at 0: the gradient itself, an infinite one too", "[backward]") {
  TestMatrix x(1, 1), w(1, 40), y(1, 40), grad_y(1, 40), by_bias(1, 40), expected(1, 40);
  TestMatrix weights(40, 1);
  x(0, 0) = 0.0f;
  weights.fill([] { return 1.0f; });
  // Values 0, −0, NaN and others meet gradients of every kind.
  const float values[] = {0.0f, -0.0f, kNaN, 1.0f, -1.0f}, gradients[] = {kInf, -kInf, 2.0f, kNaN};
  std::vector<float> bias;
  for (std::size_t i = 0; i < 40; ++i) {
    bias.push_back(values[i % 5]);
    grad_y(0, i) = gradients[i % 4];
  }
  const auto packed = pack_weights(weights);
  const auto pass =
      forward_pass(x, packed, epilogue(AddBias{bias}, ShotNoiseWithDerivative{0.1f}), {1});
  ForwardRecord record;
  BackwardWorkspace workspace;
  forward(pass, y, record);
  backward(pass, grad_y, record, {{}, {}, {by_bias.view().data(), 40}}, workspace);
  reference::forward_and_backward(pass, weights, grad_y, y, {{}, {}, {expected.view().data(), 40}});
  CHECK(by_bias(0, 0) == kInf);
  for (std::size_t i = 0; i < 40; ++i) {
    CAPTURE(i);
    CHECK(
        (std::isnan(expected(0, i)) ? std::isnan(by_bias(0, i)) : by_bias(0, i) == expected(0, i)));
  }
}
