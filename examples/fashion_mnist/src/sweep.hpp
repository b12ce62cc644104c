// Accuracy over a grid of bits × noise: measured, printed, written to a file.
#pragma once

#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "analog_network.hpp"
#include "dataset.hpp"
#include "network.hpp"
#include "threads.hpp"

namespace example {

struct AccuracyTable {
  struct Row {
    int bits;
    std::vector<double> accuracy;  ///< 0 … 1, for each noise
  };

  std::string bits_of;       ///< what it is that has the rows' bits
  std::vector<float> noise;  ///< of the columns, see Readout
  std::vector<Row> rows = {};
};

/// The test set's accuracy at each noise, on the coded engine. All see the same noise field,
/// scaled, so that they differ by nothing else.
template <int WeightBits>
std::vector<double> accuracies(const AnalogNetwork<WeightBits>& network, const Dataset& test,
                               int adc_bits, const std::vector<float>& noise, std::uint64_t seed,
                               const Threads& threads) {
  lumina::Matrix<std::uint8_t> h(test.size(), network.hidden.bias.size());
  lumina::Matrix<std::uint8_t> scores(test.size(), network.output.bias.size());
  std::vector<double> row;
  for (const float deviation : noise) {
    network.run(test.bytes(), h, scores, {adc_bits, deviation}, seed, threads);
    row.push_back(accuracy(scores, test.labels));
  }
  return row;
}

inline void print(const AccuracyTable& table) {
  std::printf("               noise σ, in units of half the ADC's range\n  %6s bits ",
              table.bits_of.c_str());
  for (const float noise : table.noise) std::printf("%7g", static_cast<double>(noise));
  for (const AccuracyTable::Row& row : table.rows) {
    std::printf("\n  %11d ", row.bits);
    for (const double accuracy : row.accuracy) std::printf("%7.2f", 100.0 * accuracy);
  }
  std::printf("\n");
}

/// A line per noise, a column per bit width; accuracy in percent.
inline void write_csv(const AccuracyTable& table, const std::string& path) {
  std::ofstream csv(path);
  csv << "noise";
  for (const AccuracyTable::Row& row : table.rows) csv << ',' << row.bits << " bits";
  for (std::size_t col = 0; col < table.noise.size(); ++col) {
    csv << '\n' << table.noise[col];
    for (const AccuracyTable::Row& row : table.rows) csv << ',' << 100.0 * row.accuracy[col];
  }
  csv << '\n';
  if (!csv.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace example
