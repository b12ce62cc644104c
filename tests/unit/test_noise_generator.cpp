#include <lumina/detail/random/noise_generator.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include <lumina/detail/isa/native.hpp>
#include <lumina/noise.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using lumina::NoiseKey;
using namespace lumina::detail;
using namespace test;

namespace {

/// The 128 normals of a panel by lanes and by standard_normal_at.
template <class Arch>
void check_panel(const NoiseKey& key, std::size_t row, std::size_t panel, std::size_t draw) {
  const NoiseField::Row field_row = NoiseField(key, draw).row(key.row_offset + row);
  NoiseGenerator<Arch> lanes(field_row.seed_of(panel));
  std::vector<float> actual(kBlockColumns);
  std::vector<float> expected(kBlockColumns);
  for (std::size_t block = 0; block < kBlockColumns / kNormalsPerRound; ++block) {
    NoiseGenerator<Arch>::store(lanes.next_round(), actual.data() + block * kNormalsPerRound);
  }
  for (std::size_t col = 0; col < kBlockColumns; ++col) {
    expected[col] = lumina::standard_normal_at(key, row, panel * kBlockColumns + col, draw);
  }
  CAPTURE(key.seed, key.stream, key.row_offset, row, panel, draw);
  REQUIRE(difference(actual, expected) == "");
  for (const float normal : actual) {
    if (!(std::fabs(normal) < 6.67f)) REQUIRE(std::fabs(normal) < 6.67f);
  }
}

/// The 128 uniform numbers of a panel by lanes and by standard_uniform_at.
template <class Arch>
void check_uniform_panel(const NoiseKey& key, std::size_t row, std::size_t panel,
                         std::size_t draw) {
  NoiseGenerator<Arch> lanes(NoiseField(key, draw).row(key.row_offset + row).seed_of(panel));
  std::vector<float> actual(kBlockColumns), expected(kBlockColumns);
  for (std::size_t block = 0; block < kBlockColumns / kNormalsPerRound; ++block) {
    NoiseGenerator<Arch>::store(lanes.next_uniform_round(),
                                actual.data() + block * kNormalsPerRound);
  }
  for (std::size_t col = 0; col < kBlockColumns; ++col) {
    expected[col] = lumina::standard_uniform_at(key, row, panel * kBlockColumns + col, draw);
  }
  CAPTURE(key.seed, key.stream, key.row_offset, row, panel, draw);
  REQUIRE(difference(actual, expected) == "");
  for (const float number : actual) {
    if (!(number > 0.0f && number <= 1.0f)) REQUIRE((number > 0.0f && number <= 1.0f));
  }
}

template <class Arch>
void check_panels() {
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t panel = 0; panel < 5; ++panel) {
      for (std::size_t draw = 0; draw < 3; ++draw) check_panel<Arch>({42, 1, 0}, row, panel, draw);
    }
  }
  constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
  for (const std::uint64_t offset :
       {std::uint64_t{1}, std::uint64_t{1} << 32, std::uint64_t{1} << 63, kMost - 1}) {
    for (std::size_t row = 0; row < 3; ++row) check_panel<Arch>({7, kMost, offset}, row, 2, 0);
  }
  Engine engine(1);
  for (int i = 0; i < 300; ++i) {
    const NoiseKey key{engine(), engine(), engine()};
    const std::size_t row = integer(engine, 0, 5000), draw = integer(engine, 0, 20);
    const std::size_t panel = integer(engine, 0, std::size_t{1} << 40);
    check_panel<Arch>(key, row, panel, draw);
    check_uniform_panel<Arch>(key, row, panel, draw);
  }
}

/// Vector Box–Muller in every lane equals the scalar one, for words next to each other in `words`.
template <class Arch>
void check_box_muller(const std::vector<std::uint32_t>& radii,
                      const std::vector<std::uint32_t>& angles) {
  using Words = typename Arch::template Batch<std::uint32_t>;
  for (std::size_t first = 0; first < radii.size(); ++first) {
    std::array<std::uint32_t, Words::size> radius, angle;
    for (std::size_t lane = 0; lane < Words::size; ++lane) {
      radius[lane] = radii[(first + lane) % radii.size()];
      angle[lane] = angles[(first + lane) % angles.size()];
    }
    const auto normals =
        box_muller(Words::load_unaligned(radius.data()), Words::load_unaligned(angle.data()));
    std::array<float, Words::size> cosines, sines;
    normals.cosine.store_unaligned(cosines.data());
    normals.sine.store_unaligned(sines.data());
    for (std::size_t lane = 0; lane < Words::size; ++lane) {
      const NormalPair expected = box_muller(radius[lane], angle[lane]);
      const bool right = same_bits(cosines[lane], expected.cosine) &&
                         same_bits(sines[lane], expected.sine) &&
                         std::fabs(cosines[lane]) < 6.67f && std::fabs(sines[lane]) < 6.67f;
      if (right) continue;
      CAPTURE(lane, radius[lane], angle[lane], cosines[lane], expected.cosine, sines[lane],
              expected.sine);
      REQUIRE(right);
    }
  }
}

template <class Arch>
void check_all_box_mullers() {
  std::vector<std::uint32_t> words = {
      0,          1,          2,          3,         0xffffffff, 0xfffffffe,
      0xaaaaaaaa, 0x55555555, 0xaaaaaaab, 0x55555580};  // the last ones: the logarithm's pivot
  for (int bit = 0; bit < 32; ++bit) {
    const std::uint32_t power = std::uint32_t{1} << bit;
    for (const std::uint32_t word : {power - 1, power, power + 1, ~power, ~power - 1}) {
      words.push_back(word);
    }
  }
  for (const std::uint32_t angle : words) check_box_muller<Arch>(words, {angle});

  Engine engine(2);
  std::vector<std::uint32_t> radii(5000), angles(4999);
  for (std::uint32_t& word : radii) word = static_cast<std::uint32_t>(engine());
  for (std::uint32_t& word : angles) word = static_cast<std::uint32_t>(engine());
  check_box_muller<Arch>(radii, angles);
}

template <class Arch>
void check_state() {
  using Lanes = NoiseGenerator<Arch>;
  Lanes lanes(99);
  lanes.next_round();
  const typename Lanes::State state = lanes.state();
  Lanes resumed(state);
  for (int block = 0; block < 5; ++block) {
    std::array<float, kNormalsPerRound> expected, actual;
    Lanes::store(lanes.next_round(), expected.data());
    Lanes::store(resumed.next_round(), actual.data());
    CHECK(difference(actual, expected) == "");
  }
}

}  // namespace

TEST_CASE("NoiseGenerator equals standard_normal_at bit for bit", "[noise_lanes]") {
  check_panels<Native>();
}
TEST_CASE("NoiseGenerator on PortableBatch equals standard_normal_at bit for bit",
          "[noise_lanes]") {
  check_panels<Scalar>();
}
TEST_CASE("The vector Box-Muller equals the scalar one", "[noise_lanes]") {
  check_all_box_mullers<Native>();
}
TEST_CASE("The vector Box-Muller on PortableBatch equals the scalar one", "[noise_lanes]") {
  check_all_box_mullers<Scalar>();
}
TEST_CASE("Uniform numbers are the words of the noise field, 0 excluded", "[noise_lanes]") {
  CHECK(uniform_of_word(0) == 0x1p-32f);
  CHECK(uniform_of_word(1) == 0x1.8p-31f);
  CHECK(uniform_of_word(0xffffffff) == 0x1.8p-31f);  // −1
  CHECK(uniform_of_word(0x7fffffff) == 1.0f);
  CHECK(uniform_of_word(0x80000000) == 1.0f);
  CHECK(uniform_of_word(0x40000000) == 0.5f);
  // Evenly in 16 parts, and no relation between neighbours: χ² of pairs over 256 cells.
  constexpr std::size_t kRows = 400;
  std::vector<int> pairs(256);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t col = 0; col < kBlockColumns; col += 2) {
      const auto part = [&](std::size_t c) {
        return static_cast<int>(lumina::standard_uniform_at({5, 6}, row, c) * 15.999999f);
      };
      ++pairs[static_cast<std::size_t>(16 * part(col) + part(col + 1))];
    }
  }
  const double expected = kRows * 64 / 256.0;
  double chi2 = 0.0;
  for (const int count : pairs) chi2 += (count - expected) * (count - expected) / expected;
  CHECK(chi2 < 255 + 5 * std::sqrt(2.0 * 255));
  CHECK(chi2 > 255 - 5 * std::sqrt(2.0 * 255));
}
TEST_CASE("NoiseGenerator goes on where its state was taken", "[noise_lanes]") {
  check_state<Native>();
  check_state<Scalar>();
}
