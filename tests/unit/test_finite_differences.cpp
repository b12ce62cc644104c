// The gradients of the smooth part of a layer against central finite differences in float64: the
// loss Σ grad_y·y, with the normals that the forward pass drew as constants.
#include <lumina/backward.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include "support/backward_problem.hpp"

using namespace lumina;
using namespace test;

namespace {

using Doubles = std::vector<double>;

/// y = Attenuation(x·wᵀ + bias), then shot noise, then additive noise, in float64.
struct SmoothLayer {
  static constexpr std::size_t kBatch = 7, kIn = 5, kOut = 9;
  static constexpr float kFactor = 0.8f, kShot = 0.3f, kAdditive = 0.2f;
  static constexpr NoiseKey kKey{11, 12, 13};
  Doubles x, w, bias, grad_y;

  double loss() const {
    double result = 0.0;
    for (std::size_t row = 0; row < kBatch; ++row) {
      for (std::size_t o = 0; o < kOut; ++o) {
        double y = bias[o];
        for (std::size_t k = 0; k < kIn; ++k) y += x[row * kIn + k] * w[o * kIn + k];
        y *= static_cast<double>(kFactor);
        const double shot = standard_normal_at(kKey, row, o, 0);
        const double additive = standard_normal_at(kKey, row, o, 1);
        y += static_cast<double>(kShot) * std::sqrt(std::fabs(y)) * shot;
        y += static_cast<double>(kAdditive) * additive;
        result += grad_y[row * kOut + o] * y;
      }
    }
    return result;
  }
};

/// The derivative of the loss by each of `parameters`, which are the layer's.
Doubles differences(const SmoothLayer& layer, Doubles& parameters) {
  constexpr double kStep = 1e-5;
  Doubles result;
  for (double& parameter : parameters) {
    const double at = parameter;
    parameter = at + kStep;
    const double above = layer.loss();
    parameter = at - kStep;
    const double below = layer.loss();
    parameter = at;
    result.push_back((above - below) / (2.0 * kStep));
  }
  return result;
}

/// The largest distance between a gradient and what it should be.
double distance(MatrixView<const float> gradient, const Doubles& expected) {
  double result = 0.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const float actual = gradient(i / gradient.cols(), i % gradient.cols());
    result = std::fmax(result, std::fabs(static_cast<double>(actual) - expected[i]));
  }
  return result;
}

/// The values of a float matrix.
Doubles doubles(MatrixView<const float> m) {
  Doubles result;
  for (std::size_t row = 0; row < m.rows(); ++row) {
    for (std::size_t col = 0; col < m.cols(); ++col) result.push_back(m(row, col));
  }
  return result;
}

struct Distances {
  double input, weights, bias;
};

/// `Shot`: with the derivative of its deviation, or without.
template <class Shot>
Distances distances_to_differences() {
  using L = SmoothLayer;
  Engine engine(1);
  TestMatrix x(L::kBatch, L::kIn), w(L::kOut, L::kIn), bias(1, L::kOut), grad_y(L::kBatch, L::kOut);
  // Away from 0, where the root has no derivative, but with both signs.
  x.fill_uniform(engine, 0.2f, 1.0f);
  w.fill_uniform(engine, 0.2f, 1.0f);
  for (std::size_t o = 0; o < L::kOut; o += 2) {
    for (std::size_t k = 0; k < L::kIn; ++k) w(o, k) = -w(o, k);
  }
  bias.fill_uniform(engine, -0.1f, 0.1f);
  grad_y.fill_uniform(engine);

  const PackedWeights packed = pack_weights(w);
  const auto pass =
      forward_pass(x, packed,
                   epilogue(AddBias{{bias.view().data(), L::kOut}}, Attenuation{L::kFactor},
                            Shot{L::kShot}, GaussianNoise{L::kAdditive}),
                   L::kKey);
  ForwardRecord record;
  BackwardWorkspace workspace;
  LayerOutputs outputs({L::kBatch, L::kIn, L::kOut});
  forward(pass, outputs.y, record);
  backward(pass, grad_y, record, outputs.gradients({}), workspace);

  SmoothLayer layer{doubles(x), doubles(w), doubles(bias), doubles(grad_y)};
  return {distance(outputs.input, differences(layer, layer.x)),
          distance(outputs.weights, differences(layer, layer.w)),
          distance(outputs.bias, differences(layer, layer.bias))};
}

}  // namespace

TEST_CASE("Gradients equal central finite differences", "[backward]") {
  const Distances distances = distances_to_differences<ShotNoiseWithDerivative>();
  CHECK(distances.input < 3e-6);
  CHECK(distances.weights < 3e-6);
  CHECK(distances.bias < 3e-6);
}

TEST_CASE("Shot noise without its derivative is not the derivative", "[backward]") {
  // So the differences would show it.
  const Distances distances = distances_to_differences<ShotNoise>();
  CHECK(distances.input > 1e-2);
  CHECK(distances.weights > 1e-2);
  CHECK(distances.bias > 1e-2);
}
