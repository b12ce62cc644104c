// A step of noise-aware training: forward on the noisy device, straight-through gradients, descent
// of the exact parameters that the device holds with few bits.
#pragma once

#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

#include "device.hpp"
#include "layer_update.hpp"
#include "loss.hpp"
#include "network.hpp"
#include "optimizer.hpp"
#include "threads.hpp"

namespace example {

/// `Products`: of the gradients (lumina/backward.hpp).
template <int Bits, class Products = typename Device<Bits>::Products>
class NoiseAwareTrainer {
 public:
  NoiseAwareTrainer(Network& network, Device<Bits>& device, std::size_t batch, std::uint64_t seed,
                    const Threads& threads)
      : network_(network),
        device_(device),
        seed_(seed),
        threads_(threads),
        hidden_(network.hidden),
        output_(network.output),
        h_(batch, network.hidden.bias.size()),
        h_gradient_(batch, network.hidden.bias.size()),
        scores_(batch, network.output.bias.size()) {}

  /// One step on x [batch, inputs] and its labels; returns the mean loss before the step. The
  /// device holds the new parameters then.
  float step(lumina::MatrixView<const float> x, std::span<const std::uint8_t> labels, float rate) {
    // An ADC of few bits has steps that a softmax of the scores themselves would find large.
    constexpr float kTemperature = 1.5f;
    device_.forward(x, h_, scores_, seed_, ++steps_, threads_);
    const float loss = cross_entropy(scores_, labels, kTemperature);
    device_.backward(x, h_, scores_, hidden_.gradients(), output_.gradients(h_gradient_), threads_,
                     Products{});
    output_.apply(network_.output, rate, threads_);
    hidden_.apply(network_.hidden, rate, threads_);
    device_.load(network_);
    return loss;
  }

 private:
  Network& network_;
  Device<Bits>& device_;
  std::uint64_t seed_;
  std::uint64_t steps_ = 0;  // each with noise of its own; draw 0 is the tests'
  Threads threads_;
  LayerUpdate<Adam> hidden_, output_;
  lumina::Matrix<float> h_, h_gradient_;  // [batch, hidden units]
  lumina::Matrix<float> scores_;          // [batch, classes]; then the gradient by them
};

}  // namespace example
