// Which ranges the converters of a device should have.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "device.hpp"
#include "magnitudes.hpp"
#include "network.hpp"
#include "threads.hpp"

namespace example {

/// The accuracy, 0 … 1, of a device on images x [images, inputs], with noise.
template <int Bits>
double noisy_accuracy(const Device<Bits>& device, lumina::MatrixView<const float> x,
                      std::span<const std::uint8_t> labels, const Network& network,
                      std::uint64_t seed, const Threads& threads) {
  lumina::Matrix<float> h(x.rows(), network.hidden.bias.size());
  lumina::Matrix<float> y(x.rows(), network.output.bias.size());
  device.infer(x, h, y, seed, 0, threads);
  return accuracy(y, labels);
}

/// Ranges that hold some share of the signals which `network` has in f32 for the images x [images,
/// inputs]: ever larger shares, the last one all.
inline std::vector<Ranges> candidate_ranges(const Network& network,
                                            lumina::MatrixView<const float> x,
                                            const Threads& threads) {
  using namespace lumina;
  constexpr std::array kShares{0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999, 0.9999, 1.0};
  const Layer& hidden = network.hidden;
  const Layer& output = network.output;
  Matrix<float> sums(x.rows(), hidden.bias.size()), h = sums, y(x.rows(), output.bias.size());
  fused_gemm(x, hidden.weights, sums, epilogue(), {}, threads);
  fused_gemm(x, hidden.weights, h, epilogue(AddBias{hidden.bias}, Relu{}), {}, threads);
  fused_gemm(h, output.weights, y, epilogue(), {}, threads);
  const std::vector<float> of_sums = magnitude_quantiles(sums, kShares);
  const std::vector<float> of_h = magnitude_quantiles(h, kShares);
  const std::vector<float> of_y = magnitude_quantiles(y, kShares);
  std::vector<Ranges> candidates;
  for (std::size_t i = 0; i < kShares.size(); ++i) {
    candidates.push_back({of_sums[i], of_h[i], of_y[i]});
  }
  return candidates;
}

/// The ranges with which hardware that holds `network` classifies most of the images x [images,
/// inputs] right: too large a range has coarse steps, too small a one clips. First all three ranges
/// are those of one candidate; from the best on each is varied in turn, and all of them twice.
template <int Bits>
Ranges best_ranges(const lumina::HardwareProfile& profile, const Network& network,
                   std::span<const Ranges> candidates, lumina::MatrixView<const float> x,
                   std::span<const std::uint8_t> labels, std::uint64_t seed,
                   const Threads& threads) {
  Ranges best = candidates.back();
  double most = 0.0;
  const auto consider = [&](const Ranges& ranges) {
    if (std::min({ranges.hidden_adc, ranges.hidden_dac, ranges.output_adc}) == 0.0f) return;
    const Device<Bits> device(profile, ranges, network);
    const double right = noisy_accuracy(device, x, labels, network, seed, threads);
    if (right <= most) return;
    most = right;
    best = ranges;
  };
  for (const Ranges& candidate : candidates) consider(candidate);
  for (int round = 0; round < 2; ++round) {
    for (float Ranges::*range : {&Ranges::output_adc, &Ranges::hidden_adc, &Ranges::hidden_dac}) {
      for (const Ranges& candidate : candidates) {
        Ranges varied = best;
        varied.*range = candidate.*range;
        consider(varied);
      }
    }
  }
  return best;
}

}  // namespace example
