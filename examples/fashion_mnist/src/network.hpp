// A network of two layers in f32: inputs, hidden units with a ReLU, one score per class.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "threads.hpp"

namespace example {

struct Layer {
  lumina::Matrix<float> weights;  ///< [out, in]
  std::vector<float> bias;        ///< [out]

  Layer(std::size_t outputs, std::size_t inputs) : weights(outputs, inputs), bias(outputs) {}
};

struct Network {
  Layer hidden, output;

  /// Random weights of variance 2 / inputs, which keeps the scale of signals behind a ReLU (He et
  /// al., 2015).
  Network(std::size_t inputs, std::size_t hidden_units, std::size_t classes, std::uint64_t seed)
      : hidden(hidden_units, inputs), output(classes, hidden_units) {
    lumina::FastRng rng(seed);
    for (Layer* const layer : {&hidden, &output}) {
      const float deviation = std::sqrt(2.0f / static_cast<float>(layer->weights.cols()));
      rng.fill_normal(layer->weights.elements(), 0.0f, deviation);
    }
  }

  /// Scores [batch, classes] of x [batch, inputs].
  lumina::Matrix<float> scores(lumina::MatrixView<const float> x, const Threads& threads) const {
    lumina::Matrix<float> h(x.rows(), hidden.bias.size());
    lumina::Matrix<float> y(x.rows(), output.bias.size());
    lumina::fused_gemm(x, hidden.weights, h,
                       lumina::epilogue(lumina::AddBias{hidden.bias}, lumina::Relu{}), {}, threads);
    lumina::fused_gemm(h, output.weights, y, lumina::epilogue(lumina::AddBias{output.bias}), {},
                       threads);
    return y;
  }
};

/// The share of rows whose label has the highest score; scores [images, classes] are floats or
/// codes. Where n classes share it, which happens behind an ADC of few bits, the row counts as 1/n,
/// as if one of them were drawn by lot.
template <class Scores>
double accuracy(const Scores& scores, std::span<const std::uint8_t> labels) {
  double right = 0.0;
  for (std::size_t row = 0; row < scores.rows(); ++row) {
    const std::span of_row(&scores(row, 0), scores.cols());
    const auto best = *std::max_element(of_row.begin(), of_row.end());
    if (of_row[labels[row]] != best) continue;
    right += 1.0 / static_cast<double>(std::count(of_row.begin(), of_row.end(), best));
  }
  return right / static_cast<double>(scores.rows());
}

}  // namespace example
