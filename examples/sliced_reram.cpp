// A network on resistive memory whose cells have few levels: weights in slices, pixels bit by bit,
// on arrays of 128 × 128 cells, and what the ADC behind each may cost.
//
// Trains a small network, puts its 8-bit weights into cells of 1, 2, 4 and 7 bits, and looks at
// ADCs of 3 to 8 bits with three ranges: all currents that there can be; the same rounded up to
// steps of 2^n cells (granular); what 99.9 % of the currents of a slice are (calibrated). Writes
// the accuracies as a table (sliced_reram.csv) and, where there is gnuplot, as a picture.
#include <lumina/lumina.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <string>
#include <vector>

#include "support/small_network.hpp"

using namespace example;

namespace {

const Mapping kArrays{{128, 128}};
constexpr int kFewestBits = 3, kMostBits = 8;

enum class Range { largest, granular, calibrated };
constexpr Range kRanges[] = {Range::largest, Range::granular, Range::calibrated};

/// What stands in front of an ADC, and it. Cells fluctuate while they are read.
auto conversion(const RuntimeQuantizer& adc) { return array(ReadNoise(0.01f), adc); }
using Conversion = decltype(conversion(full_range_adc(8, 1.0f)));

/// A layer's weights in slices, and the currents that each slice was seen to have.
class SlicedLayer {
 public:
  SlicedLayer(const Layer& layer, int cell_bits, std::uint64_t seed)
      : bias_(layer.bias),
        weights_(encode_slices<8>(layer.w, kArrays, {.cell_bits = cell_bits, .input_bits = 1})),
        seen_(weights_.slices()),
        seed_(seed) {}

  std::size_t slices() const { return weights_.slices(); }

  /// y = the layer of x, its ADCs of this kind.
  template <class Behind>
  void operator()(const Matrix<float>& x, Matrix<float>& y, int bits, Range range,
                  const Behind& behind) const {
    const float largest = largest_current(weights_, dac);
    std::vector<Conversion> each;
    for (std::size_t slice = 0; slice < slices(); ++slice) {
      each.push_back(
          conversion(range == Range::largest ? full_range_adc(bits, largest)
                     : range == Range::granular
                         ? granular_adc(bits, largest)
                         : full_range_adc(bits, seen_.histogram(slice).quantile(0.999))));
    }
    analog_gemm(x, dac, weights_, array_of_slices(std::span<const Conversion>(each)), behind, y,
                NoiseKey{seed_});
  }
  template <class Behind>
  void calibrate(const Matrix<float>& x, Matrix<float>& y, const Behind& behind) {
    const auto pass = analog_pass(x, dac, weights_,
                                  conversion(full_range_adc(16, largest_current(weights_, dac))),
                                  behind, NoiseKey{seed_});
    calibrate_slices(pass, y, seen_);
  }
  auto with_bias() const { return digital(AddBias{bias_}); }
  auto with_bias_and_relu() const { return digital(AddBias{bias_}, Relu{}); }

 private:
  std::vector<float> bias_;
  SlicedWeights<8> weights_;
  AdcCalibration seen_;
  std::uint64_t seed_;
};

}  // namespace

int main() {
  const Patterns patterns;
  FastRng rng(7);
  const Images tests = patterns.draw(kTests, rng), others = patterns.draw(kTests, rng);
  const Network network = trained_network(patterns);
  const double ideal = accuracy(network, tests, 100);
  std::printf("weights as a whole: %.1f %%\n\n%5s %6s %9s", ideal, "cells", "slices", "ADC bits");
  std::printf("%10s %10s %10s\n", "all", "granular", "calibrated");

  std::FILE* const csv = std::fopen("sliced_reram.csv", "w");
  if (csv != nullptr) std::fprintf(csv, "bits,cell bits,all,granular,calibrated\n");
  double best = 0.0, few_bits_all = 0.0, few_bits_calibrated = 0.0;
  for (const int cell_bits : {1, 2, 4, 7}) {
    SlicedLayer hidden(network.hidden, cell_bits, 30), last(network.last, cell_bits, 31);
    Matrix<float> h(kTests, kHidden), scores(kTests, kClasses);
    hidden.calibrate(others.pixels, h, hidden.with_bias_and_relu());
    last.calibrate(h, scores, last.with_bias());
    for (int bits = kFewestBits; bits <= kMostBits; ++bits) {
      std::printf("%5d %6zu %9d", cell_bits, hidden.slices(), bits);
      if (csv != nullptr) std::fprintf(csv, "%d,%d", bits, cell_bits);
      for (const Range range : kRanges) {
        const double percent = accuracy(
            tests,
            [&](const Matrix<float>& x, Matrix<float>& y) {
              hidden(x, y, bits, range, hidden.with_bias_and_relu());
            },
            [&](const Matrix<float>& x, Matrix<float>& y) {
              last(x, y, bits, range, last.with_bias());
            });
        std::printf(" %9.1f", percent);
        if (csv != nullptr) std::fprintf(csv, ",%.2f", percent);
        best = std::max(best, percent);
        if (bits == 4 && range == Range::largest) few_bits_all += percent / 4.0;
        if (bits == 4 && range == Range::calibrated) few_bits_calibrated += percent / 4.0;
      }
      std::printf("\n");
      if (csv != nullptr) std::fprintf(csv, "\n");
    }
    if (csv != nullptr) std::fprintf(csv, "\n\n");  // another set for gnuplot
  }
  if (csv != nullptr) std::fclose(csv);
  draw_picture("sliced_reram.png",
               "set key bottom right\nset title 'dashed: ADCs over all currents'\n"
               "set xlabel 'bits of each ADC'\n"
               "set ylabel 'accuracy in percent'\ncells = '1 2 4 7'\n"
               "plot for [i=0:3] 'sliced_reram.csv' index i using 1:5 with linespoints lw 2 pt 7 "
               "lc i + 1 title word(cells, i + 1).'-bit cells, calibrated', "
               "for [i=0:3] '' index i using 1:3 with linespoints dt 2 pt 7 lc i + 1 notitle");
  return best > ideal - 3.0 && few_bits_calibrated > few_bits_all + 3.0 ? 0 : 1;
}
