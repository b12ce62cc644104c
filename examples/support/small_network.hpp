// What examples of arrays look at: a small network that tells ten patterns apart, trained with
// noise, and how it does on tests.
#pragma once

#include <lumina/lumina.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace example {

using namespace lumina;

inline constexpr std::size_t kSide = 16, kPixels = kSide * kSide, kClasses = 10, kHidden = 64;
inline constexpr std::size_t kBatch = 64, kTests = 2000;

// --- Images: ten smooth random patterns, shifted and noisy ---------------------------------------

struct Images {
  Matrix<float> pixels;
  std::vector<std::size_t> labels;
};

class Patterns {
 public:
  Patterns() {
    FastRng rng(1);
    for (auto& pattern : patterns_) {
      std::vector<float> rough(kPixels);
      for (float& v : rough) v = rng.normal();
      for (std::size_t i = 0; i < kPixels; ++i) {
        for (std::size_t j = 0; j < 25; ++j) {
          const std::size_t y = i / kSide + j / 5, x = i % kSide + j % 5;
          pattern[i] += 0.2f * rough[y % kSide * kSide + x % kSide];
        }
      }
    }
  }
  Images draw(std::size_t count, FastRng& rng) const {
    Images result{Matrix<float>(count, kPixels), std::vector<std::size_t>(count)};
    for (std::size_t n = 0; n < count; ++n) {
      const std::size_t label = rng() % kClasses, shift = rng() % 9;
      result.labels[n] = label;
      for (std::size_t i = 0; i < kPixels; ++i) {
        const std::size_t y = i / kSide + shift / 3, x = i % kSide + shift % 3;
        result.pixels(n, i) = patterns_[label][y % kSide * kSide + x % kSide] + 5.0f * rng.normal();
      }
    }
    return result;
  }

 private:
  float patterns_[kClasses][kPixels] = {};
};

// --- The network: two layers, trained on arrays of 256 × 512 devices
// ------------------------------

struct Layer {
  Matrix<float> w;
  std::vector<float> bias;
  TiledWeights<8> devices;
};

inline const ManagedDac dac{.bits = 8, .noise_management = NoiseManagement::abs_max};
inline const Mapping mapping{{256, 512}};
inline auto in_array() { return array(GaussianNoise{0.04f}, SymmetricQuantizer<8>(10.0f)); }

struct Network {
  Layer hidden{Matrix<float>(kHidden, kPixels), std::vector<float>(kHidden), {}};
  Layer last{Matrix<float>(kClasses, kHidden), std::vector<float>(kClasses), {}};

  Network() {
    FastRng rng(2);
    for (Layer* const layer : {&hidden, &last}) {
      const float spread = std::sqrt(2.0f / static_cast<float>(layer->w.cols()));
      for (float& v : layer->w.elements()) v = spread * rng.normal();
    }
  }
};

inline auto hidden_pass(MatrixView<const float> x, const Network& network, std::uint64_t stream) {
  return analog_pass(x, dac, network.hidden.devices, in_array(),
                     digital(AddBias{network.hidden.bias}, Relu{}), NoiseKey{3, stream});
}
inline auto last_pass(MatrixView<const float> h, const Network& network, std::uint64_t stream) {
  return analog_pass(h, dac, network.last.devices, in_array(), digital(AddBias{network.last.bias}),
                     NoiseKey{4, stream});
}

/// Softmax and cross entropy: scores become their gradient.
inline void to_gradient(MatrixView<float> scores, const std::vector<std::size_t>& labels) {
  for (std::size_t n = 0; n < scores.rows(); ++n) {
    float* const row = scores.row(n);
    const float largest = *std::max_element(row, row + kClasses);
    float sum = 0.0f;
    for (std::size_t c = 0; c < kClasses; ++c) sum += row[c] = std::exp(row[c] - largest);
    for (std::size_t c = 0; c < kClasses; ++c) {
      row[c] = (row[c] / sum - (c == labels[n] ? 1.0f : 0.0f)) / static_cast<float>(kBatch);
    }
  }
}

/// Gradient descent, with weights that deviate in each step as devices will.
inline void train(Network& network, const Patterns& patterns, std::size_t steps) {
  FastRng rng(5);
  Matrix<float> h(kBatch, kHidden), scores(kBatch, kClasses), by_h(kBatch, kHidden);
  ForwardRecord hidden_record, last_record;
  BackwardWorkspace workspace;
  for (std::uint64_t step = 0; step < steps; ++step) {
    const Images images = patterns.draw(kBatch, rng);
    std::uint64_t number = 0;
    for (Layer* const layer : {&network.hidden, &network.last}) {
      encode_tiles(layer->w, mapping, layer->devices, 8, AdditiveWeightNoise{0.04f},
                   NoiseKey{6 + number++, step});
    }
    const auto first = hidden_pass(images.pixels, network, step);
    forward(first, h, hidden_record);
    const auto second = last_pass(h, network, step);
    forward(second, scores, last_record);
    to_gradient(scores, images.labels);

    Matrix<float> by_w(kClasses, kHidden), by_hidden_w(kHidden, kPixels);
    std::vector<float> by_bias(kClasses), by_hidden_bias(kHidden);
    Gradients gradients;
    gradients.input = by_h;
    gradients.weights = by_w;
    gradients.bias = by_bias;
    backward(second, scores, last_record, gradients, workspace);
    Gradients hidden_gradients;
    hidden_gradients.weights = by_hidden_w;
    hidden_gradients.bias = by_hidden_bias;
    backward(first, by_h, hidden_record, hidden_gradients, workspace);

    const float rate = 0.2f * (1.0f - static_cast<float>(step) / static_cast<float>(steps));
    const auto descend = [rate](auto&& parameters, auto&& gradient) {
      for (std::size_t i = 0; i < gradient.size(); ++i) parameters[i] -= rate * gradient[i];
    };
    descend(network.last.w.elements(), by_w.elements());
    descend(network.last.bias, by_bias);
    descend(network.hidden.w.elements(), by_hidden_w.elements());
    descend(network.hidden.bias, by_hidden_bias);
  }
}

/// A network that has learned with weights that deviate, its devices as they should be.
inline Network trained_network(const Patterns& patterns) {
  Network network;
  train(network, patterns, 1500);
  for (Layer* const layer : {&network.hidden, &network.last}) {
    encode_tiles(layer->w, mapping, layer->devices);
  }
  return network;
}

/// Percent of the tests, where hidden(x, h) and last(h, scores) are the layers.
template <class Hidden, class Last>
double accuracy(const Images& tests, const Hidden& hidden, const Last& last) {
  Matrix<float> h(kTests, kHidden), scores(kTests, kClasses);
  hidden(tests.pixels, h);
  last(h, scores);
  std::size_t right = 0;
  for (std::size_t n = 0; n < kTests; ++n) {
    const float* const row = scores.view().row(n);
    const auto guess = static_cast<std::size_t>(std::max_element(row, row + kClasses) - row);
    right += guess == tests.labels[n] ? 1 : 0;
  }
  return 100.0 * static_cast<double>(right) / static_cast<double>(kTests);
}
/// On the network's devices as they are.
inline double accuracy(const Network& network, const Images& tests, std::uint64_t stream) {
  ForwardRecord record;
  return accuracy(
      tests,
      [&](const Matrix<float>& x, Matrix<float>& h) {
        forward(hidden_pass(x, network, stream), h, record);
      },
      [&](const Matrix<float>& h, Matrix<float>& scores) {
        forward(last_pass(h, network, stream), scores, record);
      });
}

/// A picture that gnuplot draws, where there is one: `commands` after those that name the file.
inline void draw_picture(const std::string& file, const std::string& commands) {
  std::FILE* const gnuplot = popen("gnuplot 2>/dev/null", "w");
  if (gnuplot == nullptr) return;
  std::fprintf(gnuplot,
               "set datafile separator ','\nset terminal pngcairo size 900, 560\n"
               "set output '%s'\n%s\n",
               file.c_str(), commands.c_str());
  if (pclose(gnuplot) == 0) std::printf("\n%s\n", file.c_str());
}

}  // namespace example
