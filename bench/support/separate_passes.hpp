// What frameworks do after the matrix product: a random tensor, an addition, a quantization, each
// a pass of its own over memory, each vectorised.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include <lumina/fast_rng.hpp>
#include <lumina/quantizer.hpp>

namespace bench {

/// A tensor of noise by FastRng::fill_normal.
class FastNoise {
 public:
  void operator()(std::span<float> out, float stddev) { rng_.fill_normal(out, 0.0f, stddev); }

 private:
  lumina::FastRng rng_{7};
};

/// The same by the standard library.
class StandardNoise {
 public:
  void operator()(std::span<float> out, float stddev) {
    std::normal_distribution<float> normal(0.0f, stddev);
    for (float& value : out) value = normal(engine_);
  }

 private:
  std::mt19937_64 engine_{7};
};

template <class Noise>
class SeparatePasses {
 public:
  SeparatePasses(std::size_t outputs, float stddev, const lumina::Quantizer<8>& adc)
      : noise_tensor_(outputs), stddev_(stddev), adc_(adc) {}

  void operator()(std::span<float> y) {
    noise_(noise_tensor_, stddev_);
    std::transform(y.begin(), y.end(), noise_tensor_.begin(), y.begin(),
                   [](float value, float noise) { return value + noise; });
    adc_.apply(y);
  }

 private:
  Noise noise_;
  std::vector<float> noise_tensor_;
  float stddev_;
  lumina::Quantizer<8> adc_;
};

}  // namespace bench
