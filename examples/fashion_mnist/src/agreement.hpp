// Whether coded engine, f32 engine, separate passes and the oracle come to the same results.
#pragma once

#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <numeric>
#include <span>
#include <stdexcept>
#include <utility>

#include "analog_network.hpp"
#include "separate_passes.hpp"

namespace example {

template <class T>
std::size_t differing(const lumina::Matrix<T>& a, const lumina::Matrix<T>& b) {
  const std::span<const T> left = a.elements(), right = b.elements();
  return std::transform_reduce(left.begin(), left.end(), right.begin(), std::size_t{0},
                               std::plus<>(), std::not_equal_to<>());
}

/// How many hidden units and scores of images x differ between the coded engine and the oracle.
template <int WeightBits>
std::size_t differing_from_oracle(const AnalogNetwork<WeightBits>& network,
                                  lumina::MatrixView<const std::uint8_t> x, const Readout& readout,
                                  std::uint64_t seed) {
  lumina::Matrix<std::uint8_t> h(x.rows(), network.hidden.bias.size()), h_expected = h;
  lumina::Matrix<std::uint8_t> y(x.rows(), network.output.bias.size()), y_expected = y;
  network.run(x, h, y, readout, seed, lumina::Serial{});
  lumina::reference::fused_gemm(x, network.input_dac(), network.hidden.coded, h_expected.view(),
                                network.hidden_epilogue(readout), network.hidden_key(seed));
  lumina::reference::fused_gemm(std::as_const(h_expected).view(), network.hidden_dac(),
                                network.output.coded, y_expected.view(),
                                network.output_epilogue(readout), network.output_key(seed));
  return differing(h, h_expected) + differing(y, y_expected);
}

/// How many scores of images x, behind the input DAC, differ between the fused f32 engine and
/// separate passes that are given the same normals.
template <int WeightBits>
std::size_t differing_from_separate_passes(const AnalogNetwork<WeightBits>& network,
                                           lumina::MatrixView<const float> x,
                                           const Readout& readout, std::uint64_t seed) {
  lumina::Matrix<float> h(x.rows(), network.hidden.bias.size());
  lumina::Matrix<float> y(x.rows(), network.output.bias.size()), expected = y;
  network.run(x, h, y, readout, seed, lumina::Serial{});
  SeparatePasses(network, x.rows()).run(x, h, expected, readout, [&](auto& noise, int layer) {
    const auto key = layer == 0 ? network.hidden_key(seed) : network.output_key(seed);
    for (std::size_t row = 0; row < noise.rows(); ++row) {
      for (std::size_t col = 0; col < noise.cols(); ++col) {
        noise(row, col) = lumina::standard_normal_at(key, row, col);
      }
    }
  });
  return differing(y, expected);
}

/// Coded against f32: the same images, the same noise, each `equal` out of `all`.
struct EngineAgreement {
  struct Count {
    std::size_t equal, all;
  };
  Count hidden_units, scores, predictions;
};

/// `codes` and x: the same images, x behind the input DAC.
template <int WeightBits>
EngineAgreement compare_engines(const AnalogNetwork<WeightBits>& network,
                                lumina::MatrixView<const std::uint8_t> codes,
                                lumina::MatrixView<const float> x, const Readout& readout,
                                std::uint64_t seed, const Threads& threads) {
  const std::size_t images = x.rows(), classes = network.output.bias.size();
  lumina::Matrix<std::uint8_t> h(images, network.hidden.bias.size()), y(images, classes);
  lumina::Matrix<float> h_f32(images, h.cols()), y_f32(images, classes);
  network.run(codes, h, y, readout, seed, threads);
  network.run(x, h_f32, y_f32, readout, seed, threads);

  const auto count_equal = [](const auto& coded, const auto& f32, const auto& quantizer) {
    const std::span<const std::uint8_t> of_coded = coded.elements();
    const std::span<const float> of_f32 = f32.elements();
    const std::size_t equal = std::transform_reduce(
        of_coded.begin(), of_coded.end(), of_f32.begin(), std::size_t{0}, std::plus<>(),
        [&](std::uint8_t code, float value) { return code == quantizer.encode(value); });
    return EngineAgreement::Count{equal, of_coded.size()};
  };
  const auto prediction = [&](const auto& scores, std::size_t image) {
    const auto* const row = &scores(image, 0);
    return std::max_element(row, row + classes) - row;
  };
  std::size_t equal_predictions = 0;
  for (std::size_t image = 0; image < images; ++image) {
    equal_predictions += prediction(y, image) == prediction(y_f32, image) ? 1 : 0;
  }
  return {count_equal(h, h_f32, network.hidden_dac()),
          count_equal(y, y_f32, network.output.adc(readout)),
          {equal_predictions, images}};
}

/// Prints what agrees; throws where something is wrong. `codes` and x as in compare_engines.
template <int WeightBits>
void report_agreement(const AnalogNetwork<WeightBits>& network,
                      lumina::MatrixView<const std::uint8_t> codes,
                      lumina::MatrixView<const float> x, const Readout& readout, std::uint64_t seed,
                      const Threads& threads) {
  const auto line = [](const char* what, std::size_t equal, std::size_t all) {
    std::printf("  %-46s %8zu of %8zu\n", what, equal, all);
  };
  std::printf("\nThe same results, given the same noise\n");
  const EngineAgreement engines = compare_engines(network, codes, x, readout, seed, threads);
  // The sums of the f32 engine are rounded, which rarely moves a value over the ADC's next step.
  const auto& [hidden_units, scores, predictions] = engines;
  line("coded = f32, hidden units", hidden_units.equal, hidden_units.all);
  line("coded = f32, scores", scores.equal, scores.all);
  line("coded = f32, predictions", predictions.equal, predictions.all);

  const std::size_t sample = std::min<std::size_t>(x.rows(), 64);
  const std::size_t wrong =
      differing_from_oracle(network, {codes.data(), sample, codes.cols()}, readout, seed);
  const std::size_t checked = sample * (network.hidden.bias.size() + network.output.bias.size());
  line("coded = the oracle's plain loops, codes", checked - wrong, checked);

  const std::size_t apart =
      differing_from_separate_passes(network, {x.data(), sample, x.cols()}, readout, seed);
  const std::size_t compared = sample * network.output.bias.size();
  line("f32 = separate passes, scores", compared - apart, compared);
  if (wrong != 0 || apart != 0) throw std::runtime_error("a fused engine's results are wrong");
  if (100 * scores.equal < 99 * scores.all) {
    throw std::runtime_error("coded and f32 engine do not compute the same network");
  }
}

}  // namespace example
