// Fashion-MNIST on simulated analog hardware.
//
// With --network cnn: convolutions, trained with the noise of a profile and without it
// (convolutional.hpp). Else: trains a 784-512-10 network in f32, then classifies the test images on
// hardware with 8-bit DACs, 8-bit weights, noise, and ADCs of few bits: an accuracy table over bits
// × noise, a picture of it, the same with weights of fewer bits, and what multiplying codes and
// fusing all of that into the matrix product saves. Then trains the network further, in f32 and
// with the noise of a hardware profile, and draws both accuracies over the noise.
#include <lumina/hardware_profile.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "converters.hpp"
#include "convolutional.hpp"
#include "dataset.hpp"
#include "network.hpp"
#include "noise_aware.hpp"
#include "plain_training.hpp"
#include "setting.hpp"
#include "threads.hpp"

namespace {

/// Where Debian's package dataset-fashion-mnist puts its files, and the subset that lies here.
const std::string kInstalledData = "/usr/share/datasets/fashion-mnist";
const std::string kSubset = LUMINA_FASHION_MNIST_DIR "/data";

struct Options {
  std::string data;  ///< empty: the installed data set, else the subset
  std::string output = ".";
  std::string profile{lumina::profiles::lumina_nano_v1.name};
  std::string network = "mlp";
  std::optional<int> epochs;
  std::uint64_t seed = 1;
  int seeds = 1;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  bool quick = false;
};

std::string find_data(const Options& options) {
  if (!options.data.empty()) return options.data;
  const bool installed = std::filesystem::exists(kInstalledData + "/train-images-idx3-ubyte.gz");
  return installed && !options.quick ? kInstalledData : kSubset;
}

example::Setting setting_for(const Options& options) {
  const std::string directory = find_data(options);
  example::Dataset training = example::load_dataset(directory, "train");
  example::Dataset test = example::load_dataset(directory, "t10k");
  std::printf("Data: %s, %zu training and %zu test images\n", directory.c_str(), training.size(),
              test.size());
  if (directory == kSubset) {
    std::printf(
        "NOTE: this is a small SUBSET of Fashion-MNIST, so accuracies are lower than with\n"
        "all of it. For the whole: apt-get install dataset-fashion-mnist, or --data DIR.\n");
  }
  lumina::Matrix<float> test_images = test.first_images(test.size());
  const int epochs = options.epochs.value_or(options.quick ? 2 : directory == kSubset ? 30 : 10);
  std::filesystem::create_directories(options.output);
  return {.training = std::move(training),
          .test = std::move(test),
          .test_images = std::move(test_images),
          .epochs = epochs,
          .seed = options.seed,
          .threads = example::Threads{options.threads},
          .quick = options.quick,
          .output = options.output};
}

void run(const Options& options) {
  const example::Setting setting = setting_for(options);
  if (options.network == "cnn") {
    example::report_convolutional(setting, lumina::hardware_profile(options.profile));
    return;
  }
  std::printf("\nTraining 784-512-10 in f32, threads: %d, seed: %llu\n", setting.threads.threads,
              static_cast<unsigned long long>(setting.seed));
  const example::Network network = example::trained_in_f32(setting, setting.seed);
  example::report_converters(setting, network);
  example::report_noise_aware(setting, network, lumina::hardware_profile(options.profile),
                              options.seeds);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  std::vector<std::string> profiles;
  for (const auto& profile : lumina::profiles::all) profiles.emplace_back(profile.name);

  CLI::App app("Trains networks on Fashion-MNIST and runs them on simulated analog hardware.");
  app.add_option("--data", options.data, "folder with the four *-ubyte.gz files");
  app.add_option("--output", options.output, "folder for the tables (CSV) and pictures (PNG)")
      ->take_last();  // so that scripts/demo has a default that its user can override
  app.add_option("--network", options.network, "layers of 784-512-10, or convolutions")
      ->check(CLI::IsMember({"mlp", "cnn"}));
  app.add_option("--epochs", options.epochs, "passes over the training images, of each training")
      ->check(CLI::Range(1, 1000));
  app.add_option("--profile", options.profile, "the hardware of noise-aware training")
      ->check(CLI::IsMember(profiles));
  app.add_option("--seed", options.seed, "of the weights, the order of images and the noise");
  app.add_option("--seeds", options.seeds, "noise-aware training for so many seeds, from --seed on")
      ->check(CLI::Range(1, 100));
  app.add_option("--threads", options.threads, "OpenMP threads")->check(CLI::Range(1, 1024));
  app.add_flag("--quick", options.quick, "a smoke test: the subset, few epochs, few noise levels");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fashion_mnist: %s\n", error.what());
    return 1;
  }
}
