// What training makes small.
#pragma once

#include <lumina/matrix.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>

namespace example {

/// Scores to the gradient of the mean cross-entropy by the scores, in place; returns that mean.
/// The probabilities are the softmax of scores / temperature.
inline float cross_entropy(lumina::MatrixView<float> scores, std::span<const std::uint8_t> labels,
                           float temperature = 1.0f) {
  const float share = 1.0f / static_cast<float>(scores.rows());
  float loss = 0.0f;
  for (std::size_t row = 0; row < scores.rows(); ++row) {
    const std::span<float> of_row(&scores(row, 0), scores.cols());
    const float highest = *std::max_element(of_row.begin(), of_row.end());
    const float of_label = (of_row[labels[row]] - highest) / temperature;
    float sum = 0.0f;
    for (float& v : of_row) sum += v = std::exp((v - highest) / temperature);
    loss += share * (std::log(sum) - of_label);
    for (float& v : of_row) v *= share / (temperature * sum);
    of_row[labels[row]] -= share / temperature;
  }
  return loss;
}

}  // namespace example
