// Writes raw random words to standard output without end, for test batteries:
//
//   g++ -std=c++20 -O2 -march=native -Iinclude tests/stats/dieharder/words.cpp -o words
//   ./words rng 42 | dieharder -a -g 200
//   ./words noise 42 | dieharder -a -g 200
//
//   rng    the words of FastRng(seed)
//   noise  the words under the noise field NoiseKey{seed}: row after row of a matrix of 512
//          columns, that is four panels, each seeded anew; in a panel, step after step, the 64-bit
//          words of its eight lanes. Box–Muller makes the normals from these words.
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <lumina/lumina.hpp>

namespace {

using namespace lumina::detail;

/// Calls fill(block) for one block after the other, until nobody reads any more.
template <class Fill>
int write_forever(Fill fill) {
  std::vector<std::uint64_t> block;
  for (;;) {
    block.clear();
    fill(block);
    if (std::fwrite(block.data(), sizeof(block[0]), block.size(), stdout) != block.size()) return 0;
  }
}

int write_rng(std::uint64_t seed) {
  lumina::FastRng rng(seed);
  return write_forever([&](std::vector<std::uint64_t>& block) {
    for (int i = 0; i < 8192; ++i) block.push_back(rng());
  });
}

int write_noise(std::uint64_t seed) {
  constexpr std::size_t kSteps = 2 * kBlockColumns / kNormalsPerRound;
  const NoiseField field(lumina::NoiseKey{seed, 0, 0});
  std::uint64_t row = 0;
  return write_forever([&](std::vector<std::uint64_t>& block) {
    const NoiseField::Row field_row = field.row(row++);
    for (std::uint64_t panel = 0; panel < 4; ++panel) {
      SplitMix64 seeder{field_row.seed_of(panel)};
      std::uint64_t lanes[kNoiseLanes][4];
      for (auto& lane : lanes) {
        for (std::uint64_t& word : lane) word = seeder();
      }
      for (std::size_t step = 0; step < kSteps; ++step) {
        for (auto& lane : lanes) block.push_back(xoshiro256pp_next<WordOperations>(lane));
      }
    }
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view source = argc > 1 ? argv[1] : "";
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 0) : 42;
  if (source == "rng") return write_rng(seed);
  if (source == "noise") return write_noise(seed);
  std::fputs("usage: words rng|noise [seed]\n", stderr);
  return 2;
}
