// Runs the unit of every ISA that the machine has on the same problems and compares their results
// bit for bit. The one exception is the fused product of a scalar unit that is compiled without
// FMA: there an output may be the neighbouring code.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <vector>

#include "../../../dispatch/src/cpu_features.hpp"
#include "units.hpp"

namespace {

bool agree(const std::vector<NamedUnit>& units, std::size_t batch, std::size_t in,
           std::size_t out) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(batch * in), w(out * in);
  for (float& value : x) value = normal(random);
  for (float& value : w) value = normal(random) / 8.0f;
  const Problem problem{batch, in, out, x.data(), w.data()};

  const std::size_t count = batch * out * results_per_output;
  std::vector<float> expected(count), actual(count);
  const bool fma = units[0].run(problem, expected.data());
  for (std::size_t u = 1; u < units.size(); ++u) {
    const bool rounds_alike = units[u].run(problem, actual.data()) == fma;
    for (std::size_t i = 0; i < count; ++i) {
      if (std::memcmp(&actual[i], &expected[i], sizeof(float)) == 0) continue;
      const std::size_t part = i / (batch * out), place = i % (batch * out);
      if (!rounds_alike && part == 0 && std::fabs(actual[i] - expected[i]) < 1.001f * adc_step) {
        continue;
      }
      std::printf("%zu x %zu x %zu, result %zu at (%zu, %zu): %s has %.9g, %s has %.9g\n", batch,
                  in, out, part, place / out, place % out, units[u].name, double{actual[i]},
                  units[0].name, double{expected[i]});
      return false;
    }
  }
  return true;
}

}  // namespace

int main() {
  std::vector<NamedUnit> units;
  for (const NamedUnit& unit : linked_units) {
    if (cpu_has(unit.name)) units.push_back(unit);
  }
  if (units.size() < 2) {
    std::printf("SKIPPED: this machine runs one of the units only\n");
    return 77;
  }
  // Tails in every dimension, more than one column block, and one shape without tails.
  const bool same = agree(units, 1, 1, 1) && agree(units, 1, 100, 300) && agree(units, 5, 17, 33) &&
                    agree(units, 13, 65, 129) && agree(units, 64, 784, 512);
  if (!same) return 1;
  for (const NamedUnit& unit : units) std::printf("%s ", unit.name);
  std::printf("agree bit for bit\n");
}
