// The trained network on simulated analog hardware. Each layer is
//
//   y = ADC(noise(DAC(x)·Wᵀ + b))
//
// in one pass of a fused engine: the coded one, which multiplies the codes of DACs and weights in
// integers, or the f32 one, which multiplies what they stand for. DACs have 8 bits; the ADCs' bits
// and the noise are chosen for each run.
#pragma once

#include <lumina/lumina.hpp>

#include <cstdint>
#include <span>

#include "magnitudes.hpp"
#include "network.hpp"
#include "threads.hpp"
#include "weight_scales.hpp"

namespace example {

/// `noise`: the standard deviation of the noise in front of an ADC, in units of half its range, so
/// 1 would be as strong as the strongest signal that the ADC can tell.
struct Readout {
  int adc_bits;  ///< 8 at most: codes are bytes
  float noise;
};

template <int WeightBits>
struct AnalogLayer {
  lumina::CodedWeights<WeightBits> coded;  ///< symmetric codes, a scale for each output
  lumina::PackedWeights decoded;           ///< what they stand for
  std::span<const float> bias;             ///< the trained layer's own
  float range = 1.0f;                      ///< the ADC reads −range … range

  explicit AnalogLayer(const Layer& layer)
      : coded(lumina::encode_weights<WeightBits>(layer.weights,
                                                 least_error_scales<WeightBits>(layer.weights))),
        decoded(lumina::pack_weights(coded.decode())),
        bias(layer.bias) {}

  lumina::AddBias add_bias() const { return {bias}; }
  lumina::GaussianNoise noise(const Readout& readout) const { return {readout.noise * range}; }
  lumina::RuntimeQuantizer adc(const Readout& readout) const {
    return {readout.adc_bits, -range, range};
  }
};

template <int WeightBits>
struct AnalogNetwork {
  AnalogLayer<WeightBits> hidden, output;

  /// What drives the pixels and the hidden units into the next device. The images' bytes are the
  /// codes of the first.
  static lumina::Quantizer<8> input_dac() { return {0.0f, 1.0f}; }
  lumina::Quantizer<8> hidden_dac() const { return {0.0f, hidden.range}; }

  /// `x` [images, inputs], training images behind the input DAC, calibrates the ADCs: each one's
  /// range holds 99 % of the noiseless signals in front of it. Covering the rarest too would cost
  /// the others more resolution than it saves.
  AnalogNetwork(const Network& network, lumina::MatrixView<const float> x, const Threads& threads)
      : hidden(network.hidden), output(network.output) {
    constexpr double kCovered = 0.99;
    lumina::Matrix<float> h(x.rows(), hidden.bias.size()), y(x.rows(), output.bias.size());
    lumina::fused_gemm(x, hidden.decoded, h, lumina::epilogue(hidden.add_bias()), {}, threads);
    hidden.range = magnitude_quantile(h, kCovered);
    hidden_dac().apply(h.elements());  // its lower end, 0, is the ReLU's too
    lumina::fused_gemm(h, output.decoded, y, lumina::epilogue(output.add_bias()), {}, threads);
    output.range = magnitude_quantile(y, kCovered);
  }

  /// From the hidden layer's products to what drives the second device, and from that one's
  /// products to the scores.
  auto hidden_epilogue(const Readout& readout) const {
    return lumina::epilogue(hidden.add_bias(), hidden.noise(readout), hidden.adc(readout),
                            lumina::Relu{}, hidden_dac());
  }
  auto output_epilogue(const Readout& readout) const {
    return lumina::epilogue(output.add_bias(), output.noise(readout), output.adc(readout));
  }
  static lumina::NoiseKey hidden_key(std::uint64_t seed) { return {.seed = seed, .stream = 0}; }
  static lumina::NoiseKey output_key(std::uint64_t seed) { return {.seed = seed, .stream = 1}; }

  /// From images x [batch, inputs] to scores y [batch, classes], all of them codes. h [batch,
  /// hidden units] is overwritten: the codes that drive the second device.
  template <class Executor>
  void run(lumina::MatrixView<const std::uint8_t> x, lumina::MatrixView<std::uint8_t> h,
           lumina::MatrixView<std::uint8_t> y, const Readout& readout, std::uint64_t seed,
           const Executor& executor) const {
    lumina::fused_gemm(x, input_dac(), hidden.coded, h, hidden_epilogue(readout), hidden_key(seed),
                       executor);
    lumina::fused_gemm(lumina::MatrixView<const std::uint8_t>(h), hidden_dac(), output.coded, y,
                       output_epilogue(readout), output_key(seed), executor);
  }

  /// The same on the f32 engine: x, h and y are what the codes stand for.
  template <class Executor>
  void run(lumina::MatrixView<const float> x, lumina::MatrixView<float> h,
           lumina::MatrixView<float> y, const Readout& readout, std::uint64_t seed,
           const Executor& executor) const {
    lumina::fused_gemm(x, hidden.decoded, h, hidden_epilogue(readout), hidden_key(seed), executor);
    lumina::fused_gemm(h, output.decoded, y, output_epilogue(readout), output_key(seed), executor);
  }
};

}  // namespace example
