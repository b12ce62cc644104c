// What turns gradients into better parameters.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "threads.hpp"

namespace example {

/// f(i) for each i below `count`, in pieces that threads share.
template <class F>
void for_each_index(std::size_t count, const Threads& threads, const F& f) {
  constexpr std::size_t kPiece = 1 << 15;
  const auto run_piece = [&](std::size_t piece) {
    const std::size_t end = std::min((piece + 1) * kPiece, count);
    for (std::size_t i = piece * kPiece; i < end; ++i) f(i);
  };
  if (count <= kPiece) {
    run_piece(0);
  } else {
    threads((count + kPiece - 1) / kPiece, run_piece);
  }
}

/// Stochastic gradient descent with momentum: what moves the parameters is the sum of all
/// gradients, the older the fainter.
class Sgd {
 public:
  explicit Sgd(std::size_t parameters) : velocity_(parameters) {}

  void step(std::span<float> parameters, std::span<const float> gradient, float rate,
            const Threads& threads) {
    constexpr float kMomentum = 0.9f;
    for_each_index(parameters.size(), threads, [&](std::size_t i) {
      velocity_[i] = kMomentum * velocity_[i] + gradient[i];
      parameters[i] -= rate * velocity_[i];
    });
  }

 private:
  std::vector<float> velocity_;
};

/// Adam (Kingma and Ba, 2015): the running mean of the gradient over the root of that of its
/// square, so that a parameter moves by about the rate, however large its gradients are.
class Adam {
 public:
  explicit Adam(std::size_t parameters) : mean_(parameters), square_(parameters) {}

  void step(std::span<float> parameters, std::span<const float> gradient, float rate,
            const Threads& threads) {
    constexpr float kMeanDecay = 0.9f, kSquareDecay = 0.999f, kEpsilon = 1e-8f;
    mean_weight_ = kMeanDecay * mean_weight_ + (1.0f - kMeanDecay);
    square_weight_ = kSquareDecay * square_weight_ + (1.0f - kSquareDecay);
    const float mean_factor = rate / mean_weight_, square_factor = 1.0f / square_weight_;
    for_each_index(parameters.size(), threads, [&](std::size_t i) {
      const float g = gradient[i];
      mean_[i] = kMeanDecay * mean_[i] + (1.0f - kMeanDecay) * g;
      square_[i] = kSquareDecay * square_[i] + (1.0f - kSquareDecay) * g * g;
      parameters[i] -= mean_factor * mean_[i] / (std::sqrt(square_factor * square_[i]) + kEpsilon);
    });
  }

 private:
  std::vector<float> mean_, square_;
  // Of the gradients in the means, which began with zeros.
  float mean_weight_ = 0.0f, square_weight_ = 0.0f;
};

}  // namespace example
