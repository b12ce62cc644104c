// How much faster the fused engines are than the same work in separate passes over memory.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <random>
#include <vector>

#include "analog_network.hpp"
#include "separate_passes.hpp"

namespace example {

/// Median seconds for a batch of images at once, on one thread.
struct Speed {
  double coded = 0.0;     ///< AnalogNetwork::run, codes
  double f32 = 0.0;       ///< AnalogNetwork::run, floats
  double products = 0.0;  ///< the two f32 products alone: what no fusion in f32 can undercut
  double separate = 0.0;  ///< SeparatePasses with this library's fill_normal
  double standard = 0.0;  ///< SeparatePasses with std::normal_distribution on std::mt19937_64
};

/// `codes` [batch, inputs] and x [batch, inputs]: the same images, x behind the input DAC.
template <int WeightBits>
Speed measure_speed(const AnalogNetwork<WeightBits>& network,
                    lumina::MatrixView<const std::uint8_t> codes, lumina::MatrixView<const float> x,
                    const Readout& readout, std::uint64_t seed, int repetitions) {
  const std::size_t batch = x.rows();
  lumina::Matrix<std::uint8_t> h_codes(batch, network.hidden.bias.size());
  lumina::Matrix<std::uint8_t> y_codes(batch, network.output.bias.size());
  lumina::Matrix<float> h(batch, network.hidden.bias.size());
  lumina::Matrix<float> y(batch, network.output.bias.size());
  SeparatePasses passes(network, batch);
  lumina::FastRng fast(seed);
  std::mt19937_64 twister(seed);
  std::normal_distribution<float> normal;

  std::array<std::vector<double>, 5> seconds;
  const auto time = [&](std::size_t what, const auto& work) {
    const auto begin = std::chrono::steady_clock::now();
    work();
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
    seconds[what].push_back(taken.count());
  };
  // In turns, because the clock of a shared machine drifts.
  for (int repetition = 0; repetition < repetitions; ++repetition) {
    time(0, [&] { network.run(codes, h_codes, y_codes, readout, seed, lumina::Serial{}); });
    time(1, [&] { network.run(x, h, y, readout, seed, lumina::Serial{}); });
    time(2, [&] {
      lumina::fused_gemm(x, network.hidden.decoded, h, lumina::epilogue(), {});
      lumina::fused_gemm(h, network.output.decoded, y, lumina::epilogue(), {});
    });
    time(3, [&] {
      passes.run(x, h, y, readout, [&](auto& noise, int) { fast.fill_normal(noise.elements()); });
    });
    time(4, [&] {
      passes.run(x, h, y, readout, [&](auto& noise, int) {
        for (float& v : noise.elements()) v = normal(twister);
      });
    });
  }
  const auto median = [](std::vector<double>& values) {
    std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
    return values[values.size() / 2];
  };
  return {median(seconds[0]), median(seconds[1]), median(seconds[2]), median(seconds[3]),
          median(seconds[4])};
}

inline void print(const Speed& speed) {
  std::printf("  %-56s %10s  %13s\n", "", "time", "time / coded");
  const auto line = [&](const char* what, double seconds) {
    std::printf("  %-56s %7.1f ms  %13.2f\n", what, 1e3 * seconds, seconds / speed.coded);
  };
  line("coded, fused", speed.coded);
  line("f32, fused", speed.f32);
  line("f32, the two matrix products alone", speed.products);
  line("f32, separate passes, noise: FastRng::fill_normal", speed.separate);
  line("f32, separate passes, noise: std::normal_distribution", speed.standard);
  std::printf(
      "  Coded is %.2f times as fast as f32, %.2f times as fast as separate passes, %.2f times "
      "with\n"
      "  standard noise.\n",
      speed.f32 / speed.coded, speed.separate / speed.coded, speed.standard / speed.coded);
}

}  // namespace example
