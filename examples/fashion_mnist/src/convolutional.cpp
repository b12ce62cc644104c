#include "convolutional.hpp"

#include <lumina/analog_conv.hpp>
#include <lumina/analog_linear.hpp>
#include <lumina/lumina.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>

#include "layer_update.hpp"
#include "loss.hpp"
#include "network.hpp"
#include "optimizer.hpp"
#include "profile_bits.hpp"
#include "training.hpp"

namespace example {
namespace {

constexpr lumina::Convolution kFirst{1, 16, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}},
    kSecond{16, 32, {1, 3, 3}, {1, 2, 2}, {0, 1, 1}};
constexpr lumina::Size3 kImage{1, 28, 28}, kMaps1 = kFirst.output_size(kImage),
                                           kMaps2 = kSecond.output_size(kMaps1);
constexpr std::size_t kUnits1 = 16 * kMaps1[1] * kMaps1[2], kUnits2 = 32 * kMaps2[1] * kMaps2[2];

/// Parameters; filters are rows of weights.
struct Parameters {
  Layer first, second, last;

  explicit Parameters(std::uint64_t seed)
      : first(kFirst.outputs, kFirst.filter_size()),
        second(kSecond.outputs, kSecond.filter_size()),
        last(kClasses, kUnits2) {
    lumina::FastRng rng(seed);
    for (Layer* const layer : {&first, &second, &last}) {
      rng.fill_normal(layer->weights.elements(), 0.0f,
                      std::sqrt(2.0f / static_cast<float>(layer->weights.cols())));
    }
  }
};

/// What one batch makes of the layers, or the gradients by it.
struct Signals {
  lumina::Matrix<float> maps1, maps2, scores;

  explicit Signals(std::size_t batch)
      : maps1(batch, kUnits1), maps2(batch, kUnits2), scores(batch, kClasses) {}
};

template <class T>
lumina::ImageView<T> images(lumina::MatrixView<T> rows, std::size_t channels,
                            const lumina::Size3& size) {
  return {rows.data(), rows.rows(), channels, size};
}

/// The network on hardware. A layer's DAC reads what the ADC in front of it can say, from 0 on: a
/// ReLU.
template <int Bits>
class Hardware {
 public:
  Hardware(const lumina::HardwareProfile& profile, float noise_factor)
      : bits_(profile.bits),
        first_(with_noise(lumina::AnalogConvConfig::of(profile, kFirst), noise_factor)),
        second_(with_noise(lumina::AnalogConvConfig::of(profile, kSecond), noise_factor)),
        last_(
            with_noise(lumina::AnalogLinearConfig::of(profile, kUnits2, kClasses), noise_factor)) {}

  void load(const Parameters& parameters) {
    first_.load(parameters.first.weights, parameters.first.bias);
    second_.load(parameters.second.weights, parameters.second.bias);
    last_.load(parameters.last.weights, parameters.last.bias);
  }
  /// The ADCs' ranges follow x, and the DACs them.
  void forward(lumina::MatrixView<const float> x, Signals& to, const lumina::NoiseKey& key,
               const Threads& threads) {
    const auto maps1 = images<float>(to.maps1, kFirst.outputs, kMaps1);
    const auto maps2 = images<float>(to.maps2, kSecond.outputs, kMaps2);
    first_.forward(images(x, 1, kImage), maps1, stream(key, 0), threads);
    second_.set_dac({bits_, 0.0f, first_.adc_limit()});
    second_.forward(maps1, maps2, stream(key, 1), threads);
    last_.set_dac({bits_, 0.0f, second_.adc_limit()});
    last_.forward(to.maps2, to.scores, stream(key, 2), threads);
  }
  void infer(lumina::MatrixView<const float> x, Signals& to, const lumina::NoiseKey& key,
             const Threads& threads) const {
    const auto maps1 = images<float>(to.maps1, kFirst.outputs, kMaps1);
    const auto maps2 = images<float>(to.maps2, kSecond.outputs, kMaps2);
    first_.infer(images(x, 1, kImage), maps1, stream(key, 0), threads);
    second_.infer(maps1, maps2, stream(key, 1), threads);
    last_.infer(to.maps2, to.scores, stream(key, 2), threads);
  }
  /// After forward(). `gradients.scores` comes with the gradient by them.
  void backward(lumina::MatrixView<const float> x, const Signals& signals, Signals& gradients,
                LayerUpdate<Adam>& first, LayerUpdate<Adam>& second, LayerUpdate<Adam>& last,
                const Threads& threads) {
    const auto view = [](const lumina::Matrix<float>& rows, std::size_t channels,
                         const lumina::Size3& size) {
      return images<const float>(rows, channels, size);
    };
    last_.backward(signals.maps2, gradients.scores, last.gradients(gradients.maps2),
                   lumina::F32Products{}, threads);
    const auto of_second = second.gradients(), of_first = first.gradients();
    second_.backward(
        view(signals.maps1, kFirst.outputs, kMaps1), view(gradients.maps2, kSecond.outputs, kMaps2),
        {images<float>(gradients.maps1, kFirst.outputs, kMaps1), of_second.weights, of_second.bias},
        threads);
    first_.backward(images(x, 1, kImage), view(gradients.maps1, kFirst.outputs, kMaps1),
                    {{}, of_first.weights, of_first.bias}, threads);
  }

 private:
  template <class Config>
  static Config with_noise(Config config, float factor) {
    config.readout.noise *= factor;
    config.readout.shot_noise *= factor;
    return config;
  }
  static lumina::NoiseKey stream(const lumina::NoiseKey& key, std::uint64_t layer) {
    return {key.seed, 3 * key.stream + layer, key.row_offset};
  }

  int bits_;
  lumina::AnalogConv<Bits> first_, second_;
  lumina::AnalogLinear<Bits> last_;
};

template <int Bits>
double test_accuracy(const Setting& setting, const Hardware<Bits>& hardware, std::uint64_t draw) {
  Signals signals(setting.test.size());
  hardware.infer(setting.test_images, signals, {setting.seed, draw, 0}, setting.threads);
  return accuracy(signals.scores, setting.test.labels);
}

/// Trains on the hardware by Adam.
template <int Bits>
class Trainer {
 public:
  Trainer(Parameters& parameters, Hardware<Bits>& hardware, const Setting& setting)
      : parameters_(parameters),
        hardware_(hardware),
        seed_(setting.seed),
        threads_(setting.threads),
        first_(parameters.first),
        second_(parameters.second),
        last_(parameters.last),
        signals_(kBatch),
        gradients_(kBatch) {
    hardware_.load(parameters_);
  }

  float step(lumina::MatrixView<const float> x, std::span<const std::uint8_t> labels, float rate) {
    hardware_.forward(x, signals_, {seed_, ++steps_, 0}, threads_);
    std::ranges::copy(signals_.scores.elements(), gradients_.scores.data());
    const float loss = cross_entropy(gradients_.scores, labels);
    hardware_.backward(x, signals_, gradients_, first_, second_, last_, threads_);
    first_.apply(parameters_.first, rate, threads_);
    second_.apply(parameters_.second, rate, threads_);
    last_.apply(parameters_.last, rate, threads_);
    hardware_.load(parameters_);
    return loss;
  }

 private:
  Parameters& parameters_;
  Hardware<Bits>& hardware_;
  std::uint64_t seed_, steps_ = 0;  // each with noise of its own; draw 0 is the tests'
  Threads threads_;
  LayerUpdate<Adam> first_, second_, last_;
  Signals signals_, gradients_;
};

template <int Bits>
Parameters trained(const Setting& setting, const lumina::HardwareProfile& profile,
                   float noise_factor) {
  Parameters parameters(setting.seed);
  Hardware<Bits> hardware(profile, noise_factor);
  Trainer<Bits> trainer(parameters, hardware, setting);
  train(trainer, setting.training,
        {.epochs = setting.epochs, .first_rate = 2e-3, .shuffle_seed = setting.seed},
        [&] { return test_accuracy(setting, hardware, 0); });
  return parameters;
}

/// The accuracy of parameters on the profile's hardware, whose converters have seen some images.
template <int Bits>
double on_hardware(const Setting& setting, const Parameters& parameters,
                   const lumina::HardwareProfile& profile, float noise_factor) {
  Hardware<Bits> hardware(profile, noise_factor);
  hardware.load(parameters);
  const std::size_t count = std::min<std::size_t>(1000, setting.training.size());
  Signals signals(count);
  hardware.forward(setting.training.first_images(count), signals, {setting.seed, 0, 0},
                   setting.threads);
  return 100.0 * test_accuracy(setting, hardware, 0);
}

}  // namespace

void report_convolutional(const Setting& setting, const lumina::HardwareProfile& profile) {
  lumina::HardwareProfile exact = profile;
  exact.bits = 12;
  std::printf("\nTwo convolutions, 3 x 3 in steps of 2, 16 and 32 channels, and a last layer\n");
  std::printf("\nTrained with 12 bits and without noise\n");
  const Parameters plain = trained<12>(setting, exact, 0.0f);
  std::printf("\nTrained on %s\n", profile.name.data());
  with_bits_of(profile, [&]<int Bits>(std::integral_constant<int, Bits>) {
    const Parameters noise_aware = trained<Bits>(setting, profile, 1.0f);
    const std::string path = setting.output + "/convolutional.csv";
    std::ofstream table(path);
    table << "noise,plain,noise_aware\n";
    std::printf("\nTest accuracy on %s, in percent, with its noise times\n  %8s %10s %12s\n",
                profile.name.data(), "", "plain", "noise-aware");
    for (const float factor : {0.0f, 1.0f, 2.0f, 4.0f}) {
      const double of_plain = on_hardware<Bits>(setting, plain, profile, factor);
      const double of_aware = on_hardware<Bits>(setting, noise_aware, profile, factor);
      std::printf("  %8.1f %10.2f %12.2f\n", static_cast<double>(factor), of_plain, of_aware);
      table << factor << "," << of_plain << "," << of_aware << "\n";
    }
    std::printf("Table: %s\n", path.c_str());
  });
}

}  // namespace example
