// Accuracy over a grid of ADC bits × noise: measured, printed, written to a file.
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
#include "network.hpp"
#include "threads.hpp"

namespace example {

struct AccuracyTable {
  std::vector<int> adc_bits;        ///< of the rows
  std::vector<float> noise;         ///< of the columns, see Readout
  lumina::Matrix<double> accuracy;  ///< [adc_bits.size(), noise.size()], 0 … 1
};

/// Every cell sees the same noise field, scaled, so that cells differ by nothing else.
inline AccuracyTable sweep(const AnalogNetwork& network, lumina::MatrixView<const float> x,
                           std::span<const std::uint8_t> labels, const std::vector<int>& adc_bits,
                           const std::vector<float>& noise, std::uint64_t seed,
                           const Threads& threads) {
  AccuracyTable table{adc_bits, noise, {adc_bits.size(), noise.size()}};
  lumina::Matrix<float> h(x.rows(), network.hidden.bias.size());
  lumina::Matrix<float> scores(x.rows(), network.output.bias.size());
  for (std::size_t row = 0; row < adc_bits.size(); ++row) {
    for (std::size_t col = 0; col < noise.size(); ++col) {
      network.run(x, h, scores, {adc_bits[row], noise[col]}, seed, threads);
      table.accuracy(row, col) = accuracy(scores, labels);
    }
  }
  return table;
}

inline void print(const AccuracyTable& table) {
  std::printf("            noise σ, in units of half the ADC's range\n  ADC bits ");
  for (const float noise : table.noise) std::printf("%7g", static_cast<double>(noise));
  for (std::size_t row = 0; row < table.adc_bits.size(); ++row) {
    std::printf("\n  %8d ", table.adc_bits[row]);
    for (std::size_t col = 0; col < table.noise.size(); ++col) {
      std::printf("%7.2f", 100.0 * table.accuracy(row, col));
    }
  }
  std::printf("\n");
}

/// A line per noise, a column per bit width; accuracy in percent.
inline void write_csv(const AccuracyTable& table, const std::string& path) {
  std::ofstream csv(path);
  csv << "noise";
  for (const int bits : table.adc_bits) csv << ',' << bits << " bits";
  for (std::size_t col = 0; col < table.noise.size(); ++col) {
    csv << '\n' << table.noise[col];
    for (std::size_t row = 0; row < table.adc_bits.size(); ++row) {
      csv << ',' << 100.0 * table.accuracy(row, col);
    }
  }
  csv << '\n';
  if (!csv.flush()) throw std::runtime_error("cannot write " + path);
}

}  // namespace example
