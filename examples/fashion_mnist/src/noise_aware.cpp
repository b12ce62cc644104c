#include "noise_aware.hpp"

#include <lumina/lumina.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "calibration.hpp"
#include "device.hpp"
#include "noise_aware_trainer.hpp"
#include "plain_training.hpp"
#include "plot.hpp"
#include "profile_bits.hpp"
#include "statistics.hpp"
#include "training.hpp"

namespace example {
namespace {

/// Accuracies of the test images in percent, of one seed's networks.
struct Outcome {
  double plain_f32, noise_aware_8_bits;
  // On the hardware, for each noise level:
  std::vector<double> plain_wide;  ///< with wide ranges
  std::vector<double> plain;
  std::vector<double> noise_aware;
};

/// The noise levels of the curves; the second one is the profile's own.
std::vector<float> noise_levels(const Setting& setting, const lumina::HardwareProfile& profile) {
  std::vector<float> levels;
  for (const float factor : setting.quick ? std::vector{0.0f, 1.0f}
                                          : std::vector{0.0f, 1.0f, 2.0f, 3.0f, 4.0f, 6.0f, 8.0f}) {
    levels.push_back(factor * profile.noise_level);
  }
  return levels;
}
constexpr std::size_t kOwnLevel = 1;

/// How many training images choose the ranges of converters.
std::size_t calibration_size(const Setting& setting) {
  return std::min<std::size_t>(5000, setting.training.size());
}

template <int Bits>
class Comparison {
 public:
  Comparison(const Setting& setting, const lumina::HardwareProfile& profile)
      : setting_(setting),
        profile_(profile),
        calibration_images_(setting.training.first_images(calibration_size(setting))) {}

  /// Both networks go on from `start` for as many epochs, with the images in the same order.
  Outcome run(const Network& start, std::uint64_t seed) const {
    const Schedule schedule{
        .epochs = setting_.epochs, .first_rate = 1e-3, .shuffle_seed = seed + 1000};

    std::printf("\nThe plain network, in f32, seed: %llu\n", static_cast<unsigned long long>(seed));
    const Network plain = trained_further(setting_, start, schedule);
    const Written written = write(plain, seed);

    std::printf("\nThe noise-aware network, on %s, seed: %llu\n", profile_.name.data(),
                static_cast<unsigned long long>(seed));
    Written trained = write(start, seed);
    Network& noise_aware = trained.network;
    Device<Bits> device(profile_, trained.best, noise_aware);
    NoiseAwareTrainer<Bits> trainer(noise_aware, device, kBatch, seed, setting_.threads);
    train(trainer, setting_.training, schedule,
          [&] { return test_accuracy(device, noise_aware, seed) / 100.0; });

    return {.plain_f32 = 100.0 * accuracy(plain.scores(setting_.test_images, setting_.threads),
                                          setting_.test.labels),
            .noise_aware_8_bits = accuracy_with_8_bits(noise_aware, trained.best),
            .plain_wide = curve(written.network, written.wide, seed),
            .plain = curve(written.network, written.best, seed),
            .noise_aware = curve(noise_aware, trained.best, seed)};
  }

 private:
  /// A network as it is written to the hardware, and ranges of the converters for it.
  struct Written {
    Network network;
    Ranges best, wide;
  };

  /// `network`: trained in f32.
  Written write(const Network& network, std::uint64_t seed) const {
    const lumina::Matrix<float>& x = calibration_images_;
    const auto candidates = candidate_ranges(network, x, setting_.threads);
    Network written = compensated(network, profile_);
    const Ranges best = best_ranges<Bits>(profile_, written, candidates, x,
                                          std::span(setting_.training.labels).first(x.rows()), seed,
                                          setting_.threads);
    return {std::move(written), best, candidates.back()};
  }

  double test_accuracy(const Device<Bits>& device, const Network& network,
                       std::uint64_t seed) const {
    return 100.0 * noisy_accuracy(device, setting_.test_images, setting_.test.labels, network, seed,
                                  setting_.threads);
  }

  std::vector<double> curve(const Network& network, const Ranges& ranges,
                            std::uint64_t seed) const {
    std::vector<double> accuracies;
    for (const float level : noise_levels(setting_, profile_)) {
      lumina::HardwareProfile varied = profile_;
      varied.noise_level = level;
      accuracies.push_back(test_accuracy(Device<Bits>(varied, ranges, network), network, seed));
    }
    return accuracies;
  }

  /// On hardware with 8 bits and no noise.
  double accuracy_with_8_bits(const Network& network, const Ranges& ranges) const {
    lumina::HardwareProfile exact = profile_;
    exact.bits = 8;
    const lumina::Matrix<float>& x = setting_.test_images;
    lumina::Matrix<float> h(x.rows(), network.hidden.bias.size());
    lumina::Matrix<float> y(x.rows(), network.output.bias.size());
    Device<8>(exact, ranges, network).infer_without_noise(x, h, y, setting_.threads);
    return 100.0 * accuracy(y, setting_.test.labels);
  }

  const Setting& setting_;
  lumina::HardwareProfile profile_;
  lumina::Matrix<float> calibration_images_;
};

/// of(outcome), over all seeds.
template <class Of>
MeanAndSpread over_seeds(const std::vector<Outcome>& outcomes, const Of& of) {
  std::vector<double> values;
  for (const Outcome& outcome : outcomes) values.push_back(of(outcome));
  return MeanAndSpread(values);
}

/// A network's accuracy at each noise level.
std::vector<MeanAndSpread> over_seeds(const std::vector<Outcome>& outcomes,
                                      std::vector<double> Outcome::*network) {
  std::vector<MeanAndSpread> curve;
  for (std::size_t level = 0; level < (outcomes.front().*network).size(); ++level) {
    curve.push_back(over_seeds(outcomes, [&](const Outcome& o) { return (o.*network)[level]; }));
  }
  return curve;
}

void print(const char* what, const MeanAndSpread& accuracy, std::size_t seeds) {
  std::printf("  %-38s %7.2f", what, accuracy.mean);
  if (seeds > 1) std::printf(" ± %.2f", accuracy.spread);
  std::printf("\n");
}

void print_curve(const char* what, const std::vector<MeanAndSpread>& curve) {
  std::printf("\n  %-27s", what);
  for (const MeanAndSpread& accuracy : curve) std::printf("%7.2f", accuracy.mean);
}

void report(const std::vector<Outcome>& outcomes, const Setting& setting,
            const lumina::HardwareProfile& profile) {
  const std::size_t seeds = outcomes.size();
  const std::vector<float> levels = noise_levels(setting, profile);
  const auto wide = over_seeds(outcomes, &Outcome::plain_wide);
  const auto plain = over_seeds(outcomes, &Outcome::plain);
  const auto noise_aware = over_seeds(outcomes, &Outcome::noise_aware);
  const auto f32 = over_seeds(outcomes, [](const Outcome& o) { return o.plain_f32; });
  const auto exact = over_seeds(outcomes, [](const Outcome& o) { return o.noise_aware_8_bits; });

  std::printf("\nTest accuracy in %%");
  if (seeds > 1) std::printf(", mean ± standard deviation of %zu seeds", seeds);
  std::printf("\n");
  print("plain, in f32", f32, seeds);
  print("plain, on the hardware, wide ranges", wide[kOwnLevel], seeds);
  print("plain, on the hardware, best ranges", plain[kOwnLevel], seeds);
  print("noise-aware, on the hardware", noise_aware[kOwnLevel], seeds);
  print("noise-aware, with 8 bits and no noise", exact, seeds);

  std::printf("\n  noise level of the hardware");
  for (const float level : levels) std::printf("%7.3g", static_cast<double>(level));
  print_curve("plain, wide ranges", wide);
  print_curve("plain, best ranges", plain);
  print_curve("noise-aware", noise_aware);
  std::printf("\n");

  const std::string csv = setting.output + "/noise_aware.csv";
  std::ofstream table(csv);
  table << "noise level,\"plain, wide ranges\",spread,plain,spread,noise-aware,spread\n";
  for (std::size_t i = 0; i < levels.size(); ++i) {
    table << levels[i];
    for (const auto* const curve : {&wide, &plain, &noise_aware}) {
      table << ',' << (*curve)[i].mean << ',' << (*curve)[i].spread;
    }
    table << '\n';
  }
  if (!table.flush()) throw std::runtime_error("cannot write " + csv);
  draw("noise_aware.gnuplot", csv, setting.output + "/noise_aware.png",
       "f32 = " + std::to_string(f32.mean) + "; own = " + std::to_string(profile.noise_level) +
           "; profile = " + gnuplot_quoted(std::string(profile.name)) +
           "; bits = " + std::to_string(profile.bits) + "; seeds = " + std::to_string(seeds));
}

template <int Bits>
std::vector<Outcome> compare(const Setting& setting, const Network& network,
                             const lumina::HardwareProfile& profile, int seeds) {
  const Comparison<Bits> comparison(setting, profile);
  std::vector<Outcome> outcomes{comparison.run(network, setting.seed)};
  for (int i = 1; i < seeds; ++i) {
    const std::uint64_t seed = setting.seed + static_cast<std::uint64_t>(i);
    std::printf("\nAnother start in f32, seed: %llu\n", static_cast<unsigned long long>(seed));
    outcomes.push_back(comparison.run(trained_in_f32(setting, seed), seed));
  }
  return outcomes;
}

}  // namespace

void report_noise_aware(const Setting& setting, const Network& network,
                        const lumina::HardwareProfile& profile, int seeds) {
  std::printf(
      "\nNoise-aware training for %s: %d bits, noise %g, attenuation %g, temperature\n"
      "drift %g. Two networks go on from the one above, by Adam, with the same images in the same\n"
      "order: the plain one in f32, the noise-aware one on the hardware. On the hardware, the "
      "plain\n"
      "one's weights make up for attenuation and drift. Best ranges: those of the converters with\n"
      "which it classifies most of %zu training images right; the noise-aware one keeps the best\n"
      "ranges of where it began. Wide ranges hold every signal, so that their steps are coarse.\n",
      profile.name.data(), profile.bits, static_cast<double>(profile.noise_level),
      static_cast<double>(profile.attenuation), static_cast<double>(profile.temp_drift),
      calibration_size(setting));
  const auto outcomes = with_bits_of(profile, [&]<int Bits>(std::integral_constant<int, Bits>) {
    return compare<Bits>(setting, network, profile, seeds);
  });
  report(outcomes, setting, profile);
}

}  // namespace example
