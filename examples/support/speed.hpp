// How much faster the fused engine is than the same work in separate passes over memory.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>
#include <span>
#include <vector>

#include "analog_network.hpp"

namespace example {

/// AnalogNetwork::run as frameworks do it: product, bias, noise tensor, addition, ADC, ReLU and DAC
/// one after the other, each over a whole matrix, in place. On one thread, with our own kernels.
class SeparatePasses {
 public:
  SeparatePasses(const AnalogNetwork& network, std::size_t batch)
      : network_(network),
        h_noise_(batch, network.hidden.bias.size()),
        y_noise_(batch, network.output.bias.size()) {}

  /// fill_normals(matrix, layer) makes a layer's noise, N(0, 1).
  template <class FillNormals>
  void run(lumina::MatrixView<const float> x, lumina::Matrix<float>& h, lumina::Matrix<float>& y,
           const Readout& readout, FillNormals fill_normals) {
    fill_normals(h_noise_, 0);
    read_out(x, network_.hidden, h, h_noise_, readout);
    for (float& v : h.elements()) v = v < 0.0f ? 0.0f : v;
    network_.hidden_dac().apply(h.elements());
    fill_normals(y_noise_, 1);
    read_out(h, network_.output, y, y_noise_, readout);
  }

 private:
  static void read_out(lumina::MatrixView<const float> x, const AnalogLayer& layer,
                       lumina::Matrix<float>& y, lumina::Matrix<float>& noise,
                       const Readout& readout) {
    lumina::fused_gemm(x, layer.weights, y, lumina::epilogue(), {});
    const std::size_t outputs = y.cols();
    for (std::size_t row = 0; row < y.rows(); ++row) {
      for (std::size_t col = 0; col < outputs; ++col) y(row, col) += layer.bias[col];
    }
    const float sigma = layer.noise(readout).stddev;
    const std::span<float> values = y.elements();
    const float* const normals = noise.data();
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = std::fma(sigma, normals[i], values[i]);
    }
    layer.adc(readout).apply(values);
  }

  const AnalogNetwork& network_;
  lumina::Matrix<float> h_noise_, y_noise_;
};

/// Median seconds for all rows of x [batch, inputs] at once, on one thread.
struct Speed {
  double fused = 0.0;     ///< AnalogNetwork::run
  double products = 0.0;  ///< its two matrix products and nothing else: what no fusion can undercut
  double separate = 0.0;  ///< SeparatePasses with this library's fill_normal
  double standard = 0.0;  ///< SeparatePasses with std::normal_distribution on std::mt19937_64
};

inline Speed measure_speed(const AnalogNetwork& network, lumina::MatrixView<const float> x,
                           const Readout& readout, std::uint64_t seed, int repetitions) {
  lumina::Matrix<float> h(x.rows(), network.hidden.bias.size());
  lumina::Matrix<float> y(x.rows(), network.output.bias.size());
  SeparatePasses passes(network, x.rows());
  lumina::FastRng fast(seed);
  std::mt19937_64 twister(seed);
  std::normal_distribution<float> normal;

  std::array<std::vector<double>, 4> seconds;
  const auto time = [&](std::size_t what, const auto& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    seconds[what].push_back(taken.count());
  };
  // In turns, because the clock of a shared machine drifts.
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    time(0, [&] { network.run(x, h, y, readout, seed, lumina::Serial{}); });
    time(1, [&] {
      lumina::fused_gemm(x, network.hidden.weights, h, lumina::epilogue(), {});
      lumina::fused_gemm(h, network.output.weights, y, lumina::epilogue(), {});
    });
    time(2, [&] {
      passes.run(x, h, y, readout, [&](auto& noise, int) { fast.fill_normal(noise.elements()); });
    });
    time(3, [&] {
      passes.run(x, h, y, readout, [&](auto& noise, int) {
        for (float& v : noise.elements()) v = normal(twister);
      });
    });
  }
  const auto median = [](std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
  };
  return {median(seconds[0]), median(seconds[1]), median(seconds[2]), median(seconds[3])};
}

/// How many scores of x differ between the fused engine and separate passes that are given the same
/// normals.
inline std::size_t differing_scores(const AnalogNetwork& network, lumina::MatrixView<const float> x,
                                    const Readout& readout, std::uint64_t seed) {
  lumina::Matrix<float> h(x.rows(), network.hidden.bias.size());
  lumina::Matrix<float> y(x.rows(), network.output.bias.size()), expected = y;
  network.run(x, h, y, readout, seed, lumina::Serial{});
  SeparatePasses(network, x.rows()).run(x, h, expected, readout, [&](auto& noise, int layer) {
    const lumina::NoiseKey key{.seed = seed, .stream = static_cast<std::uint64_t>(layer)};
    for (std::size_t row = 0; row < noise.rows(); ++row) {
      for (std::size_t col = 0; col < noise.cols(); ++col) {
        noise(row, col) = lumina::standard_normal_at(key, row, col);
      }
    }
  });
  const std::span<const float> a = y.elements(), b = expected.elements();
  return a.size() - static_cast<std::size_t>(std::inner_product(a.begin(), a.end(), b.begin(), 0,
                                                                std::plus<>(), std::equal_to<>()));
}

inline void print(const Speed& speed) {
  std::printf("  %-49s %10s  %16s\n", "", "time", "beyond products");
  const auto line = [&](const char* what, double seconds) {
    std::printf("  %-49s %7.1f ms  %13.1f ms\n", what, 1e3 * seconds,
                1e3 * (seconds - speed.products));
  };
  line("the two matrix products alone", speed.products);
  line("fused", speed.fused);
  line("separate passes, noise: FastRng::fill_normal", speed.separate);
  line("separate passes, noise: std::normal_distribution", speed.standard);
  std::printf("  Fused is %.2f times as fast as separate passes, %.2f times with standard noise.\n",
              speed.separate / speed.fused, speed.standard / speed.fused);
}

}  // namespace example
