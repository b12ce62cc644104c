// Fashion-MNIST on simulated analog hardware.
//
// Trains a 784-512-10 network in f32, then classifies the test images on hardware with 8-bit DACs,
// 8-bit weights, noise, and ADCs of few bits: an accuracy table over bits × noise, a picture of it,
// the same with weights of fewer bits, and what multiplying codes and fusing all of that into the
// matrix product saves.
#include <lumina/lumina.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

#include "support/agreement.hpp"
#include "support/analog_network.hpp"
#include "support/dataset.hpp"
#include "support/network.hpp"
#include "support/plot.hpp"
#include "support/speed.hpp"
#include "support/sweep.hpp"
#include "support/threads.hpp"
#include "support/training.hpp"

namespace {

/// Where Debian's package dataset-fashion-mnist puts its files, and the subset that lies here.
const std::string kInstalledData = "/usr/share/datasets/fashion-mnist";
const std::string kSubset = LUMINA_EXAMPLES_DIR "/data";

struct Options {
  std::string data;  ///< empty: the installed data set, else the subset
  std::string output = ".";
  std::optional<int> epochs;
  std::uint64_t seed = 1;
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  bool quick = false;
};

std::string find_data(const Options& options) {
  if (!options.data.empty()) return options.data;
  const bool installed = std::filesystem::exists(kInstalledData + "/train-images-idx3-ubyte.gz");
  return installed && !options.quick ? kInstalledData : kSubset;
}

using Device = example::AnalogNetwork<8>;

/// The first `count` images behind the input DAC, [count, kPixels].
lumina::Matrix<float> converted_images(const example::Dataset& data, std::size_t count) {
  lumina::Matrix<float> x = data.first_images(std::min(count, data.size()));
  Device::input_dac().apply(x.elements());
  return x;
}

void report_speed(const Device& device, const example::Dataset& test, const Options& options,
                  const example::Threads& threads) {
  const example::Readout readout{.adc_bits = 8, .noise = 0.05f};
  const lumina::Matrix<float> x = converted_images(test, test.size());
  std::printf(
      "\nSpeed of one cell: all %zu test images through both layers, 8-bit ADCs, one thread,\n"
      "medians, codes multiplied on %s\n",
      test.size(), lumina::isa());
  example::print(example::measure_speed(device, test.bytes(), x, readout, options.seed, 11));
  example::report_agreement(device, test.bytes(), x, readout, options.seed, threads);
}

void run(const Options& options) {
  const std::string directory = find_data(options);
  const example::Dataset training = example::load_dataset(directory, "train");
  const example::Dataset test = example::load_dataset(directory, "t10k");
  std::printf("Data: %s, %zu training and %zu test images\n", directory.c_str(), training.size(),
              test.size());
  if (directory == kSubset) {
    std::printf(
        "NOTE: this is a small SUBSET of Fashion-MNIST, so accuracies are lower than with\n"
        "all of it. For the whole: apt-get install dataset-fashion-mnist, or --data DIR.\n");
  }
  const example::Threads threads{options.threads};
  const int epochs = options.epochs.value_or(options.quick ? 2 : directory == kSubset ? 30 : 10);

  std::printf("\nTraining 784-512-10 in f32, threads: %d, seed: %llu\n", threads.threads,
              static_cast<unsigned long long>(options.seed));
  example::Network network(example::kPixels, 512, example::kClasses, options.seed);
  const lumina::Matrix<float> test_images = test.first_images(test.size());
  example::train(network, training, epochs, options.seed, test, test_images, threads);

  const lumina::Matrix<float> calibration = converted_images(training, 10000);
  const Device device(network, calibration, threads);
  const std::vector<float> noise =
      options.quick ? std::vector{0.0f, 0.1f} : std::vector{0.0f,   0.01f, 0.02f, 0.03f, 0.05f,
                                                            0.075f, 0.1f,  0.15f, 0.2f,  0.3f};
  const auto accuracies = [&](const auto& tested, int adc_bits) {
    return example::accuracies(tested, test, adc_bits, noise, options.seed, threads);
  };
  example::AccuracyTable table{"ADC", noise};
  for (const int bits : options.quick ? std::vector{2, 8} : std::vector{2, 3, 4, 5, 6, 8}) {
    table.rows.push_back({bits, accuracies(device, bits)});
  }
  const double f32 = 100.0 * example::accuracy(network.scores(test_images, threads), test.labels);
  std::printf("\nTest accuracy in %%, noise and ADC in both layers, 8-bit DACs and weights\n");
  example::print(table);
  std::printf("  in f32, without hardware: %.2f\n", f32);

  const auto with_weight_bits = [&](auto bits) -> example::AccuracyTable::Row {
    return {bits, accuracies(example::AnalogNetwork<bits>(network, calibration, threads), 8)};
  };
  std::printf("\nThe same with weights of fewer bits, 8-bit DACs and ADCs\n");
  example::print({"weight",
                  noise,
                  {with_weight_bits(std::integral_constant<int, 2>{}),
                   with_weight_bits(std::integral_constant<int, 4>{}),
                   {8, table.rows.back().accuracy}}});  // that of 8-bit ADCs

  std::filesystem::create_directories(options.output);
  const std::string csv = options.output + "/accuracy.csv", png = options.output + "/accuracy.png";
  example::write_csv(table, csv);
  const bool drawn = example::run_gnuplot(LUMINA_EXAMPLES_DIR "/accuracy.gnuplot",
                                          "csv = " + example::gnuplot_quoted(csv) +
                                              "; png = " + example::gnuplot_quoted(png) +
                                              "; f32 = " + std::to_string(f32));

  report_speed(device, test, options, threads);
  std::printf("\nTable:   %s\nPicture: %s\n", csv.c_str(),
              drawn ? png.c_str() : "none, because gnuplot failed or is missing (gnuplot-nox)");
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Trains a network on Fashion-MNIST and runs it on simulated analog hardware.");
  app.add_option("--data", options.data, "folder with the four *-ubyte.gz files");
  app.add_option("--output", options.output, "folder for accuracy.csv and accuracy.png")
      ->take_last();  // so that scripts/demo has a default that its user can override
  app.add_option("--epochs", options.epochs, "passes over the training images")
      ->check(CLI::Range(1, 1000));
  app.add_option("--seed", options.seed, "of the weights, the order of images and the noise");
  app.add_option("--threads", options.threads, "OpenMP threads")->check(CLI::Range(1, 1024));
  app.add_flag("--quick", options.quick, "a smoke test: the subset, few epochs, a small grid");
  CLI11_PARSE(app, argc, argv);
  try {
    run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fashion_mnist: %s\n", error.what());
    return 1;
  }
}
