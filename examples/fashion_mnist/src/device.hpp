// Analog hardware of a profile, which holds both layers of a network.
#pragma once

#include <lumina/analog_linear.hpp>
#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>

#include "loss.hpp"
#include "network.hpp"
#include "threads.hpp"

namespace example {

/// The ranges of converters that a profile leaves open; the first DAC reads the pixels' 0 … 1.
struct Ranges {
  float hidden_adc;  ///< the hidden layer's ADC reads ± this
  float hidden_dac;  ///< what drives the output layer reads 0 … this: a ReLU too
  float output_adc;  ///< the output layer's ADC reads ± this
};

/// `Bits`: the profile's.
template <int Bits>
class Device {
 public:
  Device(const lumina::HardwareProfile& profile, const Ranges& ranges, const Network& network)
      : hidden_(config(profile, network.hidden, 1.0f, ranges.hidden_adc)),
        output_(config(profile, network.output, ranges.hidden_dac, ranges.output_adc)) {
    load(network);
  }

  /// The parameters of the next calls; the biases are read by these calls.
  void load(const Network& network) {
    hidden_.load(network.hidden.weights, network.hidden.bias);
    output_.load(network.output.weights, network.output.bias);
  }

  /// From images x [batch, inputs] to hidden units h and scores y [batch, classes]. Each `draw` has
  /// noise of its own.
  void infer(lumina::MatrixView<const float> x, lumina::Matrix<float>& h, lumina::Matrix<float>& y,
             std::uint64_t seed, std::uint64_t draw, const Threads& threads) const {
    hidden_.infer(x, h, hidden_key(seed, draw), threads);
    output_.infer(h, y, output_key(seed, draw), threads);
  }
  void infer_without_noise(lumina::MatrixView<const float> x, lumina::Matrix<float>& h,
                           lumina::Matrix<float>& y, const Threads& threads) const {
    hidden_.infer(x, h, threads);
    output_.infer(h, y, threads);
  }

  /// The same for training: backward() belongs to the forward() before it.
  void forward(lumina::MatrixView<const float> x, lumina::Matrix<float>& h,
               lumina::Matrix<float>& y, std::uint64_t seed, std::uint64_t draw,
               const Threads& threads) {
    hidden_.forward(x, h, hidden_key(seed, draw), threads);
    output_.forward(h, y, output_key(seed, draw), threads);
  }
  using Products = lumina::DefaultProducts<typename lumina::AnalogLinear<Bits>::Weights>;

  /// `of_output.input` is [batch, hidden units].
  template <class AnyProducts = Products>
  void backward(lumina::MatrixView<const float> x, const lumina::Matrix<float>& h,
                const lumina::Matrix<float>& y_gradient, const lumina::Gradients& of_hidden,
                const lumina::Gradients& of_output, const Threads& threads,
                const AnyProducts& products = {}) {
    output_.backward(h, y_gradient, of_output, products, threads);
    hidden_.backward(x, of_output.input, of_hidden, products, threads);
  }

 private:
  static lumina::AnalogLinearConfig config(const lumina::HardwareProfile& profile,
                                           const Layer& layer, float dac, float adc) {
    auto config = lumina::AnalogLinearConfig::of(profile, layer.weights.cols(), layer.bias.size());
    config.dac = {profile.bits, 0.0f, dac};
    config.adc_range = lumina::AnalogLinearConfig::Range{-adc, adc};
    return config;
  }
  static lumina::NoiseKey hidden_key(std::uint64_t seed, std::uint64_t draw) {
    return {.seed = seed, .stream = 2 * draw};
  }
  static lumina::NoiseKey output_key(std::uint64_t seed, std::uint64_t draw) {
    return {.seed = seed, .stream = 2 * draw + 1};
  }

  lumina::AnalogLinear<Bits> hidden_, output_;
};

/// A network that was trained in f32, as it is written to hardware of a profile: its weights make
/// up for what the hardware takes from every signal.
inline Network compensated(Network network, const lumina::HardwareProfile& profile) {
  const auto readout = lumina::Readout::of(profile);
  for (Layer* const layer : {&network.hidden, &network.output}) {
    for (float& w : layer->weights.elements()) w /= readout.gain * readout.attenuation;
  }
  return network;
}

}  // namespace example
