// A layer's gradients, and the descent along them.
#pragma once

#include <lumina/backward.hpp>
#include <lumina/matrix.hpp>

#include <vector>

#include "network.hpp"
#include "threads.hpp"

namespace example {

/// `Optimizer`: one of optimizer.hpp's.
template <class Optimizer>
class LayerUpdate {
 public:
  explicit LayerUpdate(const Layer& layer)
      : weights_(layer.weights.rows(), layer.weights.cols()),
        bias_(layer.bias.size()),
        of_weights_(weights_.elements().size()),
        of_bias_(bias_.size()) {}

  /// Where backward() writes. `input` [batch, in]: the gradient by what the layer reads; without
  /// it, nobody needs that one.
  lumina::Gradients gradients(lumina::MatrixView<float> input = {}) {
    return {.input = input, .weights = weights_, .bias = bias_};
  }

  void apply(Layer& layer, float rate, const Threads& threads) {
    of_weights_.step(layer.weights.elements(), weights_.elements(), rate, threads);
    of_bias_.step(layer.bias, bias_, rate, threads);
  }

 private:
  lumina::Matrix<float> weights_;  // [out, in]
  std::vector<float> bias_;        // [out]
  Optimizer of_weights_, of_bias_;
};

}  // namespace example
