// How coarse the codes of weights should be.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace example {

/// For each output, w [out, in], the scale with the least squared error of the weights that their
/// codes stand for, for lumina::encode_weights. With few bits that is far finer than what holds the
/// largest weight: that one saturates, so that the many small ones are not all 0.
template <int Bits>
std::vector<float> least_error_scales(lumina::MatrixView<const float> w) {
  constexpr int kCandidates = 32;
  std::vector<float> scales;
  for (std::size_t out = 0; out < w.rows(); ++out) {
    const std::span<const float> weights(w.row(out), w.cols());
    float largest = 0.0f;
    for (const float v : weights) largest = std::max(largest, std::fabs(v));
    float best = 1.0f, least = largest == 0.0f ? 0.0f : HUGE_VALF;
    for (int i = kCandidates; i > 0 && largest > 0.0f; --i) {
      const lumina::SymmetricQuantizer<Bits> held(largest * static_cast<float>(i) / kCandidates);
      float error = 0.0f;
      for (const float v : weights) error += (v - held(v)) * (v - held(v));
      if (error < least) best = held.step();
      least = std::min(least, error);
    }
    scales.push_back(best);
  }
  return scales;
}

}  // namespace example
