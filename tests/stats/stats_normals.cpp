// Whether the noise is what it says: independent, and N(0, 1) far into the tails. Prints a table.
//
// Each statistic is divided by its standard deviation under the hypothesis; more than five of them
// are a failure, which a perfect generator shows once in 1.7 million. The numbers repeat, because
// the noise does. LUMINA_STATS_SAMPLES sets the number of samples (10^8 unless given).
#include <lumina/lumina.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "support/catch.hpp"

namespace {

using namespace lumina::detail;
using lumina::NoiseKey;

constexpr double kSigmas = 5;
constexpr std::size_t kColumns = 4096;

std::size_t samples() {
  const char* const wish = std::getenv("LUMINA_STATS_SAMPLES");
  return wish != nullptr ? static_cast<std::size_t>(std::strtod(wish, nullptr)) : 100'000'000;
}

void print_title(const std::string& title, double count, const char* unit) {
  const std::string heading =
      title + ", " + std::to_string(static_cast<std::uint64_t>(count)) + unit;
  std::printf("\n%-52s %14s %14s %9s\n", heading.c_str(), "measured", "expected", "sigmas");
}

/// One line of the table, and the assertion.
void report(const std::string& name, double measured, double expected, double deviation) {
  const double sigmas = (measured - expected) / deviation;
  std::printf("%-52s %14.8g %14.8g %+9.2f%s\n", name.c_str(), measured, expected, sigmas,
              std::fabs(sigmas) < kSigmas ? "" : "   <-- FAILED");
  std::fflush(stdout);
  CAPTURE(name, measured, expected);
  CHECK(std::fabs(sigmas) < kSigmas);
}

/// Row `row` of a noise field, columns 0 … out.size() − 1 (whole panels).
void fill_row(const NoiseKey& key, std::uint64_t row, std::vector<float>& out,
              std::size_t draw = 0) {
  using Lanes = NoiseGenerator<Native>;
  const NoiseField::Row field_row = NoiseField(key, draw).row(key.row_offset + row);
  for (std::size_t first = 0; first < out.size(); first += kBlockColumns) {
    Lanes lanes(field_row.seed_of(first / kBlockColumns));
    for (std::size_t block = 0; block < kBlockColumns; block += kNormalsPerRound) {
      Lanes::store(lanes.next_round(), out.data() + first + block);
    }
  }
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
/// P(|N(0, 1)| > x).
double two_tails(double x) { return std::erfc(x / std::sqrt(2.0)); }

/// Σ of powers one to four.
struct SampleMoments {
  double count = 0, sum = 0, squares = 0, cubes = 0, fourths = 0;

  void add(const std::vector<float>& values) {
    double one = 0, two = 0, three = 0, four = 0;
    for (const float value : values) {
      const double v = static_cast<double>(value);
      const double v2 = v * v;
      one += v;
      two += v2;
      three += v2 * v;
      four += v2 * v2;
    }
    count += static_cast<double>(values.size());
    sum += one;
    squares += two;
    cubes += three;
    fourths += four;
  }

  void report_all() const {
    const double mean = sum / count;
    const double m2 = squares / count - mean * mean;
    const double m3 = cubes / count - 3 * mean * squares / count + 2 * mean * mean * mean;
    const double m4 = fourths / count - 4 * mean * cubes / count +
                      6 * mean * mean * squares / count - 3 * mean * mean * mean * mean;
    report("mean", mean, 0, 1 / std::sqrt(count));
    report("variance", m2, 1, std::sqrt(2 / count));
    report("skewness", m3 / std::pow(m2, 1.5), 0, std::sqrt(6 / count));
    report("kurtosis", m4 / (m2 * m2), 3, std::sqrt(24 / count));
  }
};

/// A histogram over 2^18 intervals of equal probability: the Kolmogorov–Smirnov statistic at their
/// bounds, and χ² on 1024 wider ones.
struct Distribution {
  static constexpr std::size_t kBins = std::size_t{1} << 18;
  std::vector<std::uint32_t> bins = std::vector<std::uint32_t>(kBins);
  double count = 0;

  static std::size_t bin(float value, std::size_t bins) {
    const double position = normal_cdf(static_cast<double>(value)) * static_cast<double>(bins);
    return std::min(static_cast<std::size_t>(position), bins - 1);
  }
  void add(const std::vector<float>& values) {
    for (const float value : values) ++bins[bin(value, kBins)];
    count += static_cast<double>(values.size());
  }

  void report_all() const {
    double below = 0, distance = 0;
    for (std::size_t i = 0; i < kBins; ++i) {
      below += bins[i];
      distance = std::max(distance, std::fabs(below / count - static_cast<double>(i + 1) / kBins));
    }
    // P(√n·D > 2.74) = 2·exp(−2·2.74²) = 6e-7: the same as five sigmas.
    const double scaled = distance * std::sqrt(count);
    std::printf("%-52s %14.8g %14s %9s%s\n", "Kolmogorov-Smirnov sqrt(n) D", scaled, "< 2.74", "",
                scaled < 2.74 ? "" : "   <-- FAILED");
    CHECK(scaled < 2.74);

    constexpr std::size_t kWide = 1024;
    const double expected = count / kWide;
    double chi_squared = 0;
    for (std::size_t i = 0; i < kWide; ++i) {
      double observed = 0;
      for (std::size_t j = 0; j < kBins / kWide; ++j) observed += bins[i * (kBins / kWide) + j];
      chi_squared += (observed - expected) * (observed - expected) / expected;
    }
    report("chi-squared, 1024 bins", chi_squared, kWide - 1, std::sqrt(2.0 * (kWide - 1)));
  }
};

/// How often |x| > 3, 4, 5, 6: Poisson numbers.
struct Tails {
  static constexpr std::array<float, 4> kLimits = {3, 4, 5, 6};
  std::array<std::uint64_t, 4> beyond{};
  double count = 0;
  float largest = 0;

  void add(const std::vector<float>& values) {
    for (std::size_t i = 0; i < kLimits.size(); ++i) {
      std::uint32_t found = 0;
      for (const float value : values) found += std::fabs(value) > kLimits[i] ? 1u : 0u;
      beyond[i] += found;
    }
    float most = 0;
    for (const float value : values) most = std::max(most, std::fabs(value));
    largest = std::max(largest, most);
    count += static_cast<double>(values.size());
  }

  void report_all() const {
    for (std::size_t i = 0; i < kLimits.size(); ++i) {
      const double expected = count * two_tails(static_cast<double>(kLimits[i]));
      const std::string name = "beyond " + std::to_string(static_cast<int>(kLimits[i])) + " sigma";
      const auto found = static_cast<double>(beyond[i]);
      if (expected >= 100) {
        report(name, found, expected, std::sqrt(expected));
        continue;
      }
      // A Poisson number is not nearly normal here: exact probabilities of both sides.
      double term = std::exp(-expected), up_to = 0, below = 0;
      for (std::uint64_t k = 0; k <= beyond[i]; ++k) {
        below = up_to;
        up_to += term;
        term *= expected / static_cast<double>(k + 1);
      }
      const bool likely = up_to > 3e-7 && 1 - below > 3e-7;
      std::printf("%-52s %14.8g %14.8g %9s%s\n", name.c_str(), found, expected, "Poisson",
                  likely ? "" : "   <-- FAILED");
      CHECK(likely);
    }
    std::printf("%-52s %14.8g\n", "largest", static_cast<double>(largest));
    CHECK(largest < 6.67f);
  }
};

/// Correlation of pairs and of their squares.
struct Pairs {
  double count = 0, products = 0, square_products = 0;

  void add(const float* a, const float* b, std::size_t size) {
    double one = 0, two = 0;
    for (std::size_t i = 0; i < size; ++i) {
      const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
      one += x * y;
      two += (x * x - 1) * (y * y - 1);
    }
    products += one;
    square_products += two;
    count += static_cast<double>(size);
  }
  void report_all(const std::string& name) const {
    report(name, products / count, 0, 1 / std::sqrt(count));
    report("  their squares", square_products / count / 2, 0, 1 / std::sqrt(count));
  }
};

/// Pairs in 32 × 32 cells of equal probability: any dependence, not only a linear one.
struct Cells {
  static constexpr std::size_t kSide = 32;
  std::vector<double> cells = std::vector<double>(kSide * kSide);
  double count = 0;

  void add(float a, float b) {
    ++cells[Distribution::bin(a, kSide) * kSide + Distribution::bin(b, kSide)];
    ++count;
  }
  void report_all(const std::string& name) const {
    const double expected = count / (kSide * kSide);
    double chi_squared = 0;
    for (const double cell : cells) chi_squared += (cell - expected) * (cell - expected) / expected;
    report(name, chi_squared, kSide * kSide - 1, std::sqrt(2.0 * (kSide * kSide - 1)));
  }
};

}  // namespace

TEST_CASE("The noise field: moments and distribution", "[stats]") {
  const NoiseKey key{42, 0, 0};
  SampleMoments moments;
  Distribution distribution;
  std::vector<float> row(kColumns);
  for (std::size_t i = 0; i * kColumns < samples(); ++i) {
    fill_row(key, i, row);
    moments.add(row);
    distribution.add(row);
  }
  print_title("noise field", moments.count, " samples");
  moments.report_all();
  distribution.report_all();
}

TEST_CASE("FastRng::fill_normal: moments and distribution", "[stats]") {
  lumina::FastRng rng(42);
  SampleMoments moments;
  Distribution distribution;
  std::vector<float> values(kColumns);
  for (std::size_t i = 0; i * kColumns < samples(); ++i) {
    rng.fill_normal(values);
    moments.add(values);
    distribution.add(values);
  }
  print_title("FastRng::fill_normal", moments.count, " samples");
  moments.report_all();
  distribution.report_all();
}

TEST_CASE("The noise field: tails", "[stats]") {
  // Thirty times as many samples: eight in 4·10^9 lie beyond 6 sigma.
  const NoiseKey key{43, 1, 0};
  Tails tails;
  std::vector<float> row(kColumns);
  for (std::size_t i = 0; i * kColumns < 30 * samples(); ++i) {
    fill_row(key, i, row);
    tails.add(row);
  }
  print_title("tails of the noise field", tails.count, " samples");
  tails.report_all();
}

TEST_CASE("The noise field: neighbours are independent", "[stats]") {
  constexpr std::array<std::size_t, 9> kLags = {1, 2, 3, 8, 15, 16, 32, 64, 128};
  const NoiseKey key{44, 2, 0};
  std::array<Pairs, kLags.size()> columns;
  Pairs next_row, second_row, next_seed, next_stream, swapped, next_draw, third_draw;
  std::vector<float> row(kColumns), before(kColumns), before_that(kColumns), other(kColumns);
  const auto compare = [&](Pairs& pairs, const NoiseKey& with, std::size_t i, std::size_t draw) {
    fill_row(with, i, other, draw);
    pairs.add(row.data(), other.data(), kColumns);
  };
  for (std::size_t i = 0; i * kColumns < samples(); ++i) {
    before_that.swap(before);
    before.swap(row);
    fill_row(key, i, row);
    for (std::size_t lag = 0; lag < kLags.size(); ++lag) {
      columns[lag].add(row.data(), row.data() + kLags[lag], kColumns - kLags[lag]);
    }
    if (i >= 1) next_row.add(row.data(), before.data(), kColumns);
    if (i >= 2) second_row.add(row.data(), before_that.data(), kColumns);
    compare(next_seed, {45, 2, 0}, i, 0);
    compare(next_stream, {44, 3, 0}, i, 0);
    compare(swapped, {2, 44, 0}, i, 0);
    compare(next_draw, key, i, 1);
    compare(third_draw, key, i, 2);
  }
  print_title("correlations in the noise field", next_seed.count, " pairs");
  for (std::size_t lag = 0; lag < kLags.size(); ++lag) {
    columns[lag].report_all("columns c, c + " + std::to_string(kLags[lag]));
  }
  next_row.report_all("rows r, r + 1");
  second_row.report_all("rows r, r + 2");
  next_seed.report_all("seeds s, s + 1");
  next_stream.report_all("streams t, t + 1");
  swapped.report_all("seed and stream swapped");
  next_draw.report_all("draws 0, 1");
  third_draw.report_all("draws 0, 2");
}

TEST_CASE("The noise field: first columns of consecutive seeds, streams and rows", "[stats]") {
  // Seeding, not stepping: only the first panel of each.
  std::vector<float> previous(kBlockColumns), current(kBlockColumns);
  const auto walk = [&](const char* name, auto key_of) {
    SampleMoments moments;
    Pairs pairs;
    for (std::size_t i = 0; i * kBlockColumns < samples() / 4; ++i) {
      current.swap(previous);
      const NoiseKey key = key_of(i);
      fill_row(key, 0, current);
      moments.add(current);
      if (i >= 1) pairs.add(current.data(), previous.data(), kBlockColumns);
    }
    print_title(name, moments.count, " samples");
    moments.report_all();
    pairs.report_all("neighbours");
  };
  walk("seeds 0, 1, 2, ...", [](std::size_t i) { return NoiseKey{i, 0, 0}; });
  walk("streams 0, 1, 2, ...", [](std::size_t i) { return NoiseKey{0, i, 0}; });
  walk("row offsets 0, 1, 2, ...", [](std::size_t i) { return NoiseKey{0, 0, i}; });
  walk("seeds 0, 2^32, 2*2^32, ...", [](std::size_t i) {
    return NoiseKey{std::uint64_t{i} << 32, 0, 0};
  });
}

TEST_CASE("The noise field: pairs fill the plane evenly", "[stats]") {
  const NoiseKey key{46, 0, 0};
  Cells neighbours, cosine_and_sine, rows;
  std::vector<float> row(kColumns), before(kColumns);
  for (std::size_t i = 0; i * kColumns < samples() / 4; ++i) {
    before.swap(row);
    fill_row(key, i, row);
    for (std::size_t col = 0; col + 16 < kColumns; col += 2) {
      neighbours.add(row[col], row[col + 1]);
      // Columns c and c + 16 of a block share a radius: the cosine and the sine of one angle.
      if (col % 32 < 16) cosine_and_sine.add(row[col], row[col + 16]);
      if (i >= 1) rows.add(row[col], before[col]);
    }
  }
  print_title("chi-squared of pairs, 32 x 32 cells", neighbours.count, " pairs");
  neighbours.report_all("columns c, c + 1");
  cosine_and_sine.report_all("cosine and sine of one angle");
  rows.report_all("rows r, r + 1");
}
