#include "converters.hpp"

#include <lumina/lumina.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <string>
#include <type_traits>
#include <vector>

#include "agreement.hpp"
#include "analog_network.hpp"
#include "plot.hpp"
#include "speed.hpp"
#include "sweep.hpp"

namespace example {
namespace {

using Device = AnalogNetwork<8>;

/// The first `count` images behind the input DAC, [count, kPixels].
lumina::Matrix<float> converted_images(const Dataset& data, std::size_t count) {
  lumina::Matrix<float> x = data.first_images(std::min(count, data.size()));
  Device::input_dac().apply(x.elements());
  return x;
}

void report_speed(const Setting& setting, const Device& device) {
  const Dataset& test = setting.test;
  const Readout readout{.adc_bits = 8, .noise = 0.05f};
  const lumina::Matrix<float> x = converted_images(test, test.size());
  std::printf(
      "\nSpeed of one cell: all %zu test images through both layers, 8-bit ADCs, one thread,\n"
      "medians, codes multiplied on %s\n",
      test.size(), lumina::isa());
  print(measure_speed(device, test.bytes(), x, readout, setting.seed, 11));
  report_agreement(device, test.bytes(), x, readout, setting.seed, setting.threads);
}

}  // namespace

void report_converters(const Setting& setting, const Network& network) {
  const Threads& threads = setting.threads;
  const lumina::Matrix<float> calibration = converted_images(setting.training, 10000);
  const Device device(network, calibration, threads);
  const std::vector<float> noise =
      setting.quick ? std::vector{0.0f, 0.1f} : std::vector{0.0f,   0.01f, 0.02f, 0.03f, 0.05f,
                                                            0.075f, 0.1f,  0.15f, 0.2f,  0.3f};
  const auto accuracies_of = [&](const auto& tested, int adc_bits) {
    return accuracies(tested, setting.test, adc_bits, noise, setting.seed, threads);
  };
  AccuracyTable table{"ADC", noise};
  for (const int bits : setting.quick ? std::vector{2, 8} : std::vector{2, 3, 4, 5, 6, 8}) {
    table.rows.push_back({bits, accuracies_of(device, bits)});
  }
  const double f32 =
      100.0 * accuracy(network.scores(setting.test_images, threads), setting.test.labels);
  std::printf("\nTest accuracy in %%, noise and ADC in both layers, 8-bit DACs and weights\n");
  print(table);
  std::printf("  in f32, without hardware: %.2f\n", f32);

  const auto with_weight_bits = [&](auto bits) -> AccuracyTable::Row {
    return {bits, accuracies_of(AnalogNetwork<bits>(network, calibration, threads), 8)};
  };
  std::printf("\nThe same with weights of fewer bits, 8-bit DACs and ADCs\n");
  print({"weight",
         noise,
         {with_weight_bits(std::integral_constant<int, 2>{}),
          with_weight_bits(std::integral_constant<int, 4>{}),
          {8, table.rows.back().accuracy}}});  // that of 8-bit ADCs

  const std::string csv = setting.output + "/accuracy.csv";
  write_csv(table, csv);
  draw("accuracy.gnuplot", csv, setting.output + "/accuracy.png", "f32 = " + std::to_string(f32));
  report_speed(setting, device);
}

}  // namespace example
