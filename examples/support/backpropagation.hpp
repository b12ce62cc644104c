// One step of training: cross-entropy, back-propagation, gradient descent with momentum. All five
// products, forward and backward, run through the fused engine.
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

/// A stage: the derivative of a ReLU. Keeps a gradient where the unit's output was positive.
struct ReluDerivative {
  lumina::MatrixView<const float> output;

  template <class Floats, class Normals>
  Floats apply(const Floats& gradient, const lumina::Coordinates& at,
               const lumina::ActiveLanes& active, const Normals&) const {
    const std::span<const float> row(&output(at.row, 0), output.cols());
    const auto on = lumina::load_columns<Floats>(row, at, active) > Floats(0.0f);
    return select(on, gradient, Floats(0.0f));
  }
};

/// `from` [rows, cols] to `to` [cols, rows], in squares that fit the L1 cache.
inline void transpose(lumina::MatrixView<const float> from, lumina::MatrixView<float> to) {
  constexpr std::size_t kSide = 32;
  for (std::size_t row0 = 0; row0 < from.rows(); row0 += kSide) {
    for (std::size_t col0 = 0; col0 < from.cols(); col0 += kSide) {
      for (std::size_t col = col0; col < std::min(col0 + kSide, from.cols()); ++col) {
        for (std::size_t row = row0; row < std::min(row0 + kSide, from.rows()); ++row) {
          to(col, row) = from(row, col);
        }
      }
    }
  }
}

/// Scores to the gradient of the mean cross-entropy by the scores, in place; returns that mean.
inline float cross_entropy(lumina::MatrixView<float> scores, std::span<const std::uint8_t> labels) {
  const float share = 1.0f / static_cast<float>(scores.rows());
  float loss = 0.0f;
  for (std::size_t row = 0; row < scores.rows(); ++row) {
    const std::span<float> of_row(&scores(row, 0), scores.cols());
    const float highest = *std::max_element(of_row.begin(), of_row.end());
    const float of_label = of_row[labels[row]] - highest;
    float sum = 0.0f;
    for (float& v : of_row) sum += v = std::exp(v - highest);
    loss += share * (std::log(sum) - of_label);
    for (float& v : of_row) v *= share / sum;
    of_row[labels[row]] -= share;
  }
  return loss;
}

/// One layer under training: what a batch makes of it, and its momentum.
class TrainedLayer {
 public:
  TrainedLayer(Layer& layer, std::size_t batch, const Threads& threads)
      : layer_(layer),
        threads_(threads),
        gradient_t_(layer.weights.rows(), batch),
        x_t_(layer.weights.cols(), batch),
        weights_gradient_(layer.weights.rows(), layer.weights.cols()),
        velocity_(layer.weights.rows(), layer.weights.cols()),
        bias_velocity_(layer.bias.size()) {}

  /// One step downhill on x [batch, in]. `gradient` [batch, out]: of the loss, by x·wᵀ + bias.
  void descend(lumina::MatrixView<const float> x, lumina::MatrixView<const float> gradient,
               float rate) {
    // The gradient by the weights is gradientᵀ·x: a product over the batch.
    transpose(gradient, gradient_t_);
    transpose(x, x_t_);
    lumina::fused_gemm(gradient_t_, x_t_, weights_gradient_, lumina::epilogue(), {}, threads_);
    threads_(layer_.bias.size(), [&](std::size_t out) {
      float bias_gradient = 0.0f;
      for (std::size_t i = 0; i < x.rows(); ++i) bias_gradient += gradient_t_(out, i);
      update(layer_.bias[out], bias_velocity_[out], bias_gradient, rate);
      for (std::size_t in = 0; in < x.cols(); ++in) {
        update(layer_.weights(out, in), velocity_(out, in), weights_gradient_(out, in), rate);
      }
    });
  }

 private:
  static void update(float& parameter, float& velocity, float gradient, float rate) {
    constexpr float kMomentum = 0.9f;
    velocity = kMomentum * velocity + gradient;
    parameter -= rate * velocity;
  }

  Layer& layer_;
  Threads threads_;
  lumina::Matrix<float> gradient_t_;        // [out, batch]
  lumina::Matrix<float> x_t_;               // [in, batch]
  lumina::Matrix<float> weights_gradient_;  // [out, in]
  lumina::Matrix<float> velocity_;          // [out, in]
  std::vector<float> bias_velocity_;        // [out]
};

class Trainer {
 public:
  Trainer(Network& network, std::size_t batch, const Threads& threads)
      : network_(network),
        threads_(threads),
        hidden_(network.hidden, batch, threads),
        output_(network.output, batch, threads),
        h_(batch, network.hidden.bias.size()),
        h_gradient_(batch, network.hidden.bias.size()),
        scores_(batch, network.output.bias.size()),
        output_weights_t_(network.hidden.bias.size(), network.output.bias.size()) {}

  /// One step on x [batch, inputs] and its labels; returns the mean loss before the step.
  float step(lumina::MatrixView<const float> x, std::span<const std::uint8_t> labels, float rate) {
    using namespace lumina;
    const Layer& hidden = network_.hidden;
    const Layer& output = network_.output;
    fused_gemm(x, hidden.weights, h_, epilogue(AddBias{hidden.bias}, Relu{}), {}, threads_);
    fused_gemm(h_, output.weights, scores_, epilogue(AddBias{output.bias}), {}, threads_);
    const float loss = cross_entropy(scores_, labels);

    transpose(output.weights, output_weights_t_);
    fused_gemm(scores_, output_weights_t_, h_gradient_, epilogue(ReluDerivative{h_}), {}, threads_);
    output_.descend(h_, scores_, rate);
    hidden_.descend(x, h_gradient_, rate);
    return loss;
  }

 private:
  Network& network_;
  Threads threads_;
  TrainedLayer hidden_, output_;
  lumina::Matrix<float> h_, h_gradient_;    // [batch, hidden units]
  lumina::Matrix<float> scores_;            // [batch, classes]; then the gradient by them
  lumina::Matrix<float> output_weights_t_;  // [hidden units, classes]
};

}  // namespace example
