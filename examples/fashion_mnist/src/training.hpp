// The epochs of training, and what they show of themselves.
#pragma once

#include <lumina/lumina.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataset.hpp"
#include "progress_bar.hpp"

namespace example {

inline constexpr std::size_t kBatch = 100;  // divides the sizes of the whole set and of the subset

struct Schedule {
  int epochs;
  double first_rate;           ///< of learning; it falls linearly to 0
  std::uint64_t shuffle_seed;  ///< of the order of images
};

/// Calls trainer.step(images [kBatch, kPixels], labels, rate), which returns a loss, for all of
/// `data` in each epoch. test_accuracy(), 0 … 1, is only looked at, after each epoch.
template <class Trainer, class TestAccuracy>
void train(Trainer& trainer, const Dataset& data, const Schedule& schedule,
           const TestAccuracy& test_accuracy) {
  using Clock = std::chrono::steady_clock;
  const int epochs = schedule.epochs;
  const std::size_t steps = data.size() / kBatch;
  lumina::Matrix<float> x(kBatch, kPixels);
  std::vector<std::uint8_t> labels(kBatch);
  std::vector<std::size_t> order(data.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  lumina::FastRng rng(schedule.shuffle_seed);

  for (int epoch = 0; epoch < epochs; ++epoch) {
    for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng() % i]);
    char title[32], text[64];
    std::snprintf(title, sizeof title, "epoch %*d/%d", epochs < 10 ? 1 : 2, epoch + 1, epochs);
    ProgressBar bar(title, steps);
    double loss = 0.0;
    const auto begin = Clock::now();
    for (std::size_t step = 0; step < steps; ++step) {
      const std::span<const std::size_t> numbers(order.data() + step * kBatch, kBatch);
      data.images(numbers, x);
      for (std::size_t i = 0; i < kBatch; ++i) labels[i] = data.labels[numbers[i]];
      const double progress = epoch + static_cast<double>(step) / static_cast<double>(steps);
      const double rate = schedule.first_rate * (1.0 - progress / epochs);
      loss += static_cast<double>(trainer.step(x, labels, static_cast<float>(rate)));

      const std::chrono::duration<double> seconds = Clock::now() - begin;
      const auto done = static_cast<double>(step + 1);
      std::snprintf(text, sizeof text, "loss %.3f  %6.0f images/s", loss / done,
                    done * kBatch / seconds.count());
      bar.show(step + 1, text);
    }
    char result[32];
    std::snprintf(result, sizeof result, "  test accuracy %.2f %%", 100.0 * test_accuracy());
    bar.finish(std::string(text) + result);
  }
}

}  // namespace example
