// A network on phase-change memory over a year: its devices lose conductance, each at a pace of its
// own, and read-outs of the arrays tell the digital side how much to make up for.
//
// Trains a small network with noise, programs it onto some chips, looks at them from 20 seconds to
// a year later, and writes the accuracies as a table (pcm_drift.csv) and, where there is gnuplot,
// as a picture (pcm_drift.png).
#include <lumina/lumina.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "support/small_network.hpp"

using namespace example;

namespace {

constexpr std::size_t kChips = 5;

/// Looks at the devices of a layer some seconds after programming; what its arrays read then.
void look_at(Layer& layer, double seconds, const NoiseKey& chip, std::vector<float>& read) {
  Programmed(layer.w, Pcm{}, chip, mapping).at(seconds, layer.devices);
  read.resize(layer.devices.tiles());
  read_out(layer.devices, dac, in_array(), Compensation::per_tile, read, chip);
}

}  // namespace

int main() {
  const Patterns patterns;
  FastRng rng(7);
  const Images tests = patterns.draw(kTests, rng);
  Network network = trained_network(patterns);
  const double ideal = accuracy(network, tests, 100);
  std::printf("devices as they should be: %.1f %%\n\n%12s %15s %13s\n", ideal, "seconds",
              "as it drifts", "compensated");

  std::FILE* const csv = std::fopen("pcm_drift.csv", "w");
  if (csv != nullptr) std::fprintf(csv, "seconds,as it drifts,compensated\n");
  double last_drifted = 0.0, last_compensated = 0.0;
  for (const double seconds : {20.0, 300.0, 3600.0, 86400.0, 2592000.0, 31536000.0}) {
    double drifted = 0.0, compensated = 0.0;
    for (std::uint64_t chip = 0; chip < kChips; ++chip) {
      std::vector<float> reference, now;
      std::uint64_t number = 0;
      for (Layer* const layer : {&network.hidden, &network.last}) {
        look_at(*layer, 20.0, NoiseKey{20 + number, chip}, reference);
        look_at(*layer, seconds, NoiseKey{20 + number++, chip}, now);
      }
      drifted += accuracy(network, tests, chip) / kChips;
      number = 0;
      for (Layer* const layer : {&network.hidden, &network.last}) {
        look_at(*layer, 20.0, NoiseKey{20 + number, chip}, reference);
        look_at(*layer, seconds, NoiseKey{20 + number++, chip}, now);
        compensate(layer->devices, reference, now);
      }
      compensated += accuracy(network, tests, chip) / kChips;
    }
    std::printf("%12.0f %13.1f %% %11.1f %%\n", seconds, drifted, compensated);
    if (csv != nullptr) std::fprintf(csv, "%.0f,%.2f,%.2f\n", seconds, drifted, compensated);
    last_drifted = drifted;
    last_compensated = compensated;
  }
  if (csv != nullptr) std::fclose(csv);

  draw_picture("pcm_drift.png",
               "set logscale x\nset key bottom left\n"
               "set xlabel 'seconds after programming'\nset ylabel 'accuracy in percent'\n"
               "plot " +
                   std::to_string(ideal) +
                   " title 'devices as they should be' lc rgb 'gray', for [i=2:3] 'pcm_drift.csv' "
                   "using 1:i with linespoints lw 2 pt 7 title columnhead(i)");
  return last_compensated > last_drifted + 3.0 && last_compensated > ideal - 5.0 ? 0 : 1;
}
