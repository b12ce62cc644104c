// The trained network on simulated analog hardware. Each layer is
//
//   y = ADC(noise(DAC(x)·Wᵀ + b))
//
// in one pass of the fused engine. DACs and weights have 8 bits; the ADCs' bits and the noise are
// chosen for each run.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "network.hpp"
#include "threads.hpp"

namespace example {

/// `noise`: the standard deviation of the noise in front of an ADC, in units of half its range, so
/// 1 would be as strong as the strongest signal that the ADC can tell.
struct Readout {
  int adc_bits;
  float noise;
};

/// The magnitude that this share of the elements does not exceed; 1: the largest.
inline float magnitude_quantile(const lumina::Matrix<float>& m, double share) {
  std::vector<float> magnitudes;
  for (const float v : m.elements()) magnitudes.push_back(std::fabs(v));
  const auto at = static_cast<std::ptrdiff_t>(share * static_cast<double>(magnitudes.size() - 1));
  std::nth_element(magnitudes.begin(), magnitudes.begin() + at, magnitudes.end());
  return magnitudes[static_cast<std::size_t>(at)];
}

struct AnalogLayer {
  lumina::PackedWeights weights;
  std::span<const float> bias;  ///< the trained layer's own
  float range = 1.0f;           ///< the ADC reads −range … range

  /// Weights are held as symmetric 8-bit codes, one scale for the whole layer.
  explicit AnalogLayer(const Layer& layer) : bias(layer.bias) {
    lumina::Matrix<float> held = layer.weights;
    lumina::SymmetricQuantizer<8>(magnitude_quantile(held, 1.0)).apply(held.elements());
    weights = lumina::pack_weights(held);
  }

  lumina::AddBias add_bias() const { return {bias}; }
  lumina::GaussianNoise noise(const Readout& readout) const { return {readout.noise * range}; }
  lumina::RuntimeQuantizer adc(const Readout& readout) const {
    return {readout.adc_bits, -range, range};
  }
};

struct AnalogNetwork {
  AnalogLayer hidden, output;

  /// What drives the pixels and the hidden units into the next device.
  static lumina::Quantizer<8> input_dac() { return {0.0f, 1.0f}; }
  lumina::Quantizer<8> hidden_dac() const { return {0.0f, hidden.range}; }

  /// `x` [images, inputs], training images behind the input DAC, calibrates the ADCs: each one's
  /// range holds 99 % of the noiseless signals in front of it. Covering the rarest too would cost
  /// the others more resolution than it saves.
  AnalogNetwork(const Network& network, lumina::MatrixView<const float> x, const Threads& threads)
      : hidden(network.hidden), output(network.output) {
    constexpr double kCovered = 0.99;
    lumina::Matrix<float> h(x.rows(), hidden.bias.size()), y(x.rows(), output.bias.size());
    lumina::fused_gemm(x, hidden.weights, h, lumina::epilogue(hidden.add_bias()), {}, threads);
    hidden.range = magnitude_quantile(h, kCovered);
    hidden_dac().apply(h.elements());  // its lower end, 0, is the ReLU's too
    lumina::fused_gemm(h, output.weights, y, lumina::epilogue(output.add_bias()), {}, threads);
    output.range = magnitude_quantile(y, kCovered);
  }

  /// Scores y [batch, classes] of x [batch, inputs], which has passed the input DAC. h [batch,
  /// hidden units] is overwritten: the hidden units as the second device sees them.
  template <class Executor>
  void run(lumina::MatrixView<const float> x, lumina::MatrixView<float> h,
           lumina::MatrixView<float> y, const Readout& readout, std::uint64_t seed,
           const Executor& executor) const {
    using namespace lumina;
    fused_gemm(x, hidden.weights, h,
               epilogue(hidden.add_bias(), hidden.noise(readout), hidden.adc(readout), Relu{},
                        hidden_dac()),
               NoiseKey{.seed = seed, .stream = 0}, executor);
    fused_gemm(h, output.weights, y,
               epilogue(output.add_bias(), output.noise(readout), output.adc(readout)),
               NoiseKey{.seed = seed, .stream = 1}, executor);
  }
};

}  // namespace example
