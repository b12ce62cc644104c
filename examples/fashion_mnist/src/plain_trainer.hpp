// A step of training in f32: forward, cross-entropy, backward, descent.
#pragma once

#include <lumina/backward.hpp>
#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

#include "layer_update.hpp"
#include "loss.hpp"
#include "network.hpp"
#include "threads.hpp"

namespace example {

template <class Optimizer>
class PlainTrainer {
 public:
  PlainTrainer(Network& network, std::size_t batch, const Threads& threads)
      : network_(network),
        threads_(threads),
        hidden_(network.hidden),
        output_(network.output),
        h_(batch, network.hidden.bias.size()),
        h_gradient_(batch, network.hidden.bias.size()),
        scores_(batch, network.output.bias.size()) {}

  /// One step on x [batch, inputs] and its labels; returns the mean loss before the step.
  float step(lumina::MatrixView<const float> x, std::span<const std::uint8_t> labels, float rate) {
    using namespace lumina;
    Layer& hidden = network_.hidden;
    Layer& output = network_.output;
    pack_weights(hidden.weights, hidden_weights_);
    pack_weights(output.weights, output_weights_);
    const auto first = forward_pass(x, hidden_weights_, epilogue(AddBias{hidden.bias}, Relu{}));
    const auto second = forward_pass(h_, output_weights_, epilogue(AddBias{output.bias}));

    forward(first, h_, hidden_record_, threads_);
    forward(second, scores_, output_record_, threads_);
    const float loss = cross_entropy(scores_, labels);
    backward(second, scores_, output_record_, output_.gradients(h_gradient_), workspace_,
             F32Products{}, threads_);
    backward(first, h_gradient_, hidden_record_, hidden_.gradients(), workspace_, F32Products{},
             threads_);
    output_.apply(output, rate, threads_);
    hidden_.apply(hidden, rate, threads_);
    return loss;
  }

 private:
  Network& network_;
  Threads threads_;
  LayerUpdate<Optimizer> hidden_, output_;
  lumina::PackedWeights hidden_weights_, output_weights_;
  lumina::ForwardRecord hidden_record_, output_record_;
  lumina::BackwardWorkspace workspace_;
  lumina::Matrix<float> h_, h_gradient_;  // [batch, hidden units]
  lumina::Matrix<float> scores_;          // [batch, classes]; then the gradient by them
};

}  // namespace example
