#include <lumina/cells.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include <lumina/reference_cells.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using Seconds = std::optional<double>;

const PolynomialCell kQuartic{{0.5f, -0.04f, 3e-3f, -1e-4f, 1e-6f}, 30.0f};

template <class F>
void for_every_cell(F f) {
  f(Pcm{});
  f(Pcm{80.0f});
  f(PcmJoshi2020{});
  f(PcmJoshi2020{10.0f});
  f(ReRamMilo2021{});
  f(ReRamWan2022{});
  f(kQuartic);
  f(StuckAt<Pcm>{Pcm{}, 0.1f, 0.05f, 0.5f, 20.0f});
  f(StuckAt<ReRamWan2022>{ReRamWan2022{}, 0.0f, 0.3f});
}

/// Targets all over the range, its ends among them.
template <class Cell>
std::vector<float> targets_of(const Cell& cell, std::size_t count, Engine& engine) {
  std::vector<float> targets(count);
  for (float& target : targets) {
    switch (integer(engine, 0, 9)) {
      case 0:
        target = 0.0f;
        break;
      case 1:
        target = cell.g_max;
        break;
      case 2:
        target = cell.g_max * uniform(engine, 0.0f, 1e-3f);
        break;
      default:
        target = cell.g_max * uniform(engine, 0.0f, 1.0f);
    }
  }
  return targets;
}

template <class Cell>
std::vector<float> devices(const Cell& cell, std::span<const float> targets, Seconds seconds,
                           const NoiseKey& key) {
  std::vector<float> result(targets.size());
  REQUIRE(conductances(cell, targets, result, seconds, key));
  return result;
}

struct Moments {
  double mean, deviation;
};
Moments moments(const std::vector<float>& values) {
  double sum = 0.0, squares = 0.0;
  for (const float v : values) sum += v;
  const double mean = sum / static_cast<double>(values.size());
  for (const float v : values) squares += (v - mean) * (v - mean);
  return {mean, std::sqrt(squares / static_cast<double>(values.size()))};
}

/// A cell of a user's: drifts without noise.
struct Leaking {
  float g_max = 10.0f;
  static constexpr std::array draws{Draw::uniform, Draw::drift};
  bool valid() const { return g_max > 0.0f; }
  float largest_deviation() const { return 0.5f; }
  template <class Floats>
  Floats programmed(const Floats& targets, const std::array<Floats, 2>& drawn) const {
    return targets - drawn[0] * Floats(0.5f);
  }
  float moment(double seconds) const { return static_cast<float>(seconds); }
  template <class Floats>
  Floats at(float seconds, const Floats&, const Floats& programmed,
            const std::array<Floats, 2>& drawn) const {
    return programmed * lumina::exp(abs(drawn[1]) * Floats(-seconds));
  }
};
static_assert(CellModel<Leaking> && CellModel<StuckAt<StuckAt<Leaking>>>);
static_assert(!CellModel<NoiseKey>);

}  // namespace

TEST_CASE("Devices are what the oracle says, bit for bit", "[cells]") {
  Engine engine(1);
  for_every_cell([&](const auto& cell) {
    for (const std::size_t count : {1u, 15u, 33u, 128u, 300u}) {
      const std::vector<float> targets = targets_of(cell, count, engine);
      std::vector<float> expected(count);
      for (const Seconds seconds :
           {Seconds(), Seconds(0.0), Seconds(1.0), Seconds(86400.0), Seconds(1e20)}) {
        const NoiseKey key{engine(), engine(), integer(engine, 0, 2)};
        reference::conductances(cell, targets, expected, seconds, key);
        CAPTURE(cell.g_max, count, seconds.value_or(-1.0));
        REQUIRE(difference(devices(cell, targets, seconds, key), expected) == "");
      }
    }
  });
}

TEST_CASE("A device is a function of chip, place, target and time: any times in any order",
          "[cells]") {
  Engine engine(2);
  const std::vector<float> targets = targets_of(Pcm{}, 500, engine);
  const NoiseKey chip{3, 4};
  const auto day = devices(Pcm{}, targets, 86400.0, chip);
  const auto fresh = devices(Pcm{}, targets, std::nullopt, chip);
  const auto year = devices(Pcm{}, targets, 3.15e7, chip);
  CHECK(difference(devices(Pcm{}, targets, 86400.0, chip), day) == "");
  CHECK(difference(devices(Pcm{}, targets, std::nullopt, chip), fresh) == "");
  CHECK(difference(devices(Pcm{}, targets, 3.15e7, chip), year) == "");
  // Without readings a device only loses: drift's draw is the same at each time.
  CHECK(difference(devices(Pcm{}, targets, 86400.0, {3, 5}), day) != "");
  // A part of the devices are those of the whole; the result may be the targets.
  const auto part = devices(Pcm{}, std::span(targets).first(77), 86400.0, chip);
  CHECK(difference(part, std::span(day).first(77)) == "");
  std::vector<float> in_place = targets;
  REQUIRE(conductances(Pcm{}, in_place, in_place, 86400.0, chip));
  CHECK(difference(in_place, day) == "");
  // Rows of the noise field are those of key.row_offset.
  CHECK(difference(devices(Pcm{}, targets, 1.0, {3, 4, 1}),
                   devices(Pcm{}, targets, 1.0, {3, 4, 0})) != "");
}

TEST_CASE("PCM: means and deviations of the published model", "[cells]") {
  // From an oracle in NumPy, 10^6 devices: target; then mean and standard deviation, in µS.
  const double seconds[] = {1.0, 3600.0, 86400.0, 365.0 * 86400.0};
  struct Row {
    float target;
    Moments programmed, at[4];
  };
  const Row table[] = {
      {0.0f, {0.105, 0.154}, {{0.107, 0.186}, {0.066, 0.122}, {0.051, 0.100}, {0.032, 0.074}}},
      {5.0f, {5.000, 0.610}, {{4.988, 0.802}, {3.879, 0.723}, {3.332, 0.713}, {2.523, 0.706}}},
      {25.0f,
       {24.999, 1.055},
       {{24.939, 1.397}, {19.394, 1.409}, {16.623, 1.513}, {12.503, 1.651}}}};
  constexpr std::size_t kDevices = 100000;
  std::vector<float> targets(kDevices);
  std::uint64_t chip = 0;
  for (const Row& row : table) {
    std::fill(targets.begin(), targets.end(), row.target);
    const auto check = [&](Seconds at, const Moments& expected) {
      const Moments actual = moments(devices(Pcm{}, targets, at, {11, chip++}));
      CAPTURE(row.target, at.value_or(-1.0), actual.mean, expected.mean, actual.deviation,
              expected.deviation);
      // Four standard errors of both, the table's last digit; devices at 0 are no normals.
      const double error = expected.deviation / std::sqrt(1.0 * kDevices);
      CHECK(std::fabs(actual.mean - expected.mean) < 5.0 * error + 0.0006);
      CHECK(std::fabs(actual.deviation - expected.deviation) < 7.0 * error + 0.0006);
    };
    check({}, row.programmed);
    for (std::size_t i = 0; i < 4; ++i) check(seconds[i], row.at[i]);
  }
}

TEST_CASE("Other g_max: the same r, as many times the deviation", "[cells]") {
  CHECK(Pcm{}.deviation(25.0f) == Approx(1.05538).epsilon(1e-5));
  CHECK(Pcm{50.0f}.deviation(50.0f) == Approx(2 * 1.05538).epsilon(1e-5));
  CHECK(PcmJoshi2020{}.deviation(25.0f) == Approx(1.065524).epsilon(1e-5));
  CHECK(PcmJoshi2020{5.0f}.deviation(5.0f) == Approx(1.065524 / 5).epsilon(1e-5));
  CHECK(ReRamMilo2021{}.deviation(225.0f) == Approx(2.733246).epsilon(1e-5));
  CHECK(ReRamWan2022{}.deviation(40.0f) == Approx(1.7074).epsilon(1e-4));
  CHECK(Pcm{}.largest_deviation() == Approx(1.08634).epsilon(1e-5));
  CHECK(ReRamMilo2021{}.largest_deviation() == 4.782321f);
  CHECK(PolynomialCell{{-1.0f}}.largest_deviation() == 0.0f);
}

TEST_CASE("As many devices are stuck as should be, for ever", "[cells]") {
  constexpr std::size_t kDevices = 200000;
  const std::vector<float> targets(kDevices, 10.0f);
  const StuckAt<Pcm> cell{Pcm{}, 0.02f, 0.01f, 0.25f};
  const auto fresh = devices(cell, targets, std::nullopt, {1, 2});
  const auto year = devices(cell, targets, 3e7, {1, 2});
  const auto healthy = devices(Pcm{}, targets, 3e7, {1, 2});
  double off = 0, on = 0;
  for (std::size_t i = 0; i < kDevices; ++i) {
    const bool is_off = fresh[i] == 0.25f, is_on = fresh[i] == 25.0f;
    off += is_off;
    on += is_on;
    const float expected = is_off ? 0.25f : is_on ? 25.0f : healthy[i];
    if (year[i] != expected) REQUIRE(year[i] == expected);
  }
  CHECK(std::fabs(off / kDevices - 0.02) < 5 * std::sqrt(0.02 * 0.98 / kDevices));
  CHECK(std::fabs(on / kDevices - 0.01) < 5 * std::sqrt(0.01 * 0.99 / kDevices));

  CHECK(difference(devices(StuckAt<Pcm>{}, targets, 1.0, {1, 2}),
                   devices(Pcm{}, targets, 1.0, {1, 2})) == "");
  const auto all_on = devices(StuckAt<Pcm>{Pcm{}, 0.0f, 1.0f}, targets, 1.0, {1, 2});
  CHECK(std::count(all_on.begin(), all_on.end(), 25.0f) == kDevices);
}

TEST_CASE("Cells of one's own compose", "[cells]") {
  const std::vector<float> targets(200, 8.0f);
  const auto fresh = devices(Leaking{}, targets, std::nullopt, {5, 6});
  const auto later = devices(StuckAt<Leaking>{Leaking{}, 0.1f}, targets, 2.0, {5, 6});
  for (std::size_t i = 0; i < targets.size(); ++i) {
    CHECK(fresh[i] == 8.0f - standard_uniform_at({5, 6}, 0, i, 0) * 0.5f);
    if (standard_uniform_at({5, 6}, 0, i, 2) < 0.1f) {
      CHECK(later[i] == 0.0f);
    } else {
      const float rate = std::fabs(standard_normal_at({5, 6}, 0, i, 1));
      CHECK(later[i] == fresh[i] * detail::exponential(rate * -2.0f));
    }
  }
}

TEST_CASE("What conductances() refuses, with nothing written", "[cells]") {
  std::vector<float> targets(40, 1.0f), result(40, -7.0f);
  const auto refuses = [&](const auto& cell, Seconds seconds,
                           std::initializer_list<std::string_view> parts) {
    bool made = false;
    expect_error([&] { made = conductances(cell, targets, result, seconds, {}); }, parts);
    CHECK_FALSE(made);
    CHECK(std::count(result.begin(), result.end(), -7.0f) == 40);
  };
  refuses(Pcm{}, -1.0, {"conductances", "-1 seconds"});
  refuses(Pcm{}, kNaN, {"NaN seconds"});
  refuses(Pcm{}, 1e300, {"1e+300 seconds"});
  refuses(Pcm{0.0f}, 1.0, {"Pcm", "g_max is 0 "});
  refuses(PcmJoshi2020{-25.0f}, {}, {"PcmJoshi2020", "g_max is -25 "});
  refuses(ReRamMilo2021{kInf}, {}, {"ReRamMilo2021", "infinite"});
  refuses(ReRamWan2022{kNaN}, {}, {"ReRamWan2022", "NaN"});
  refuses(PolynomialCell{{0, 0, kNaN}}, {}, {"coefficients[2] is NaN"});
  refuses(StuckAt<Pcm>{Pcm{-1.0f}}, {}, {"Pcm", "g_max is -1"});
  refuses(StuckAt<Pcm>{Pcm{}, 0.7f, 0.4f}, {}, {"p_off is 0.7", "p_on 0.4"});
  refuses(StuckAt<Pcm>{Pcm{}, -0.5f}, {}, {"p_off is -0.5"});
  refuses(StuckAt<Pcm>{Pcm{}, 0.0f, 0.0f, 30.0f}, {}, {"g_min is 30", "<= 25"});
  refuses(StuckAt<Pcm>{Pcm{}, 0.0f, 0.0f, 0.0f, 26.0f}, {}, {"g_max 26"});
  refuses(Leaking{0.0f}, {}, {"a cell refused"});
  targets[33] = 25.5f;
  refuses(Pcm{}, {}, {"targets[33] is 25.5", "25"});
  targets[33] = -0.5f;
  refuses(Pcm{}, {}, {"targets[33] is -0.5"});
  targets[33] = kNaN;
  refuses(Pcm{}, {}, {"targets[33] is NaN"});
  expect_error([&] { conductances(Pcm{}, targets, std::span(result).first(39), {}, {}); },
               {"40 targets", "39 results"});
}

TEST_CASE("Weights to conductances and back", "[cells]") {
  for (const Pair pair : {Pair::differential, Pair::two_sided, Pair::offset}) {
    for (const float g_min : {0.0f, 0.25f, 5.0f, 24.0f}) {
      const Cells cells{pair, g_min};
      const detail::PairMapping mapping(cells, 25.0f);
      for (float w = -1.25f; w <= 1.25f; w += 0x1p-6f) {
        using Floats = detail::PortableBatch<float>;
        const Floats plus = mapping.target(Floats(w), 1.0f);
        const Floats minus = mapping.target(Floats(w), -1.0f);
        CHECK(same_bits(plus.get(0), reference::target(cells, 25.0f, w, 0)));
        CHECK(same_bits(minus.get(0), reference::target(cells, 25.0f, w, 1)));
        CHECK((plus.get(0) >= g_min && plus.get(0) <= 25.0f));
        CHECK((minus.get(0) >= g_min && minus.get(0) <= 25.0f));
        if (pair == Pair::differential) CHECK(std::min(plus.get(0), minus.get(0)) == g_min);
        const Floats back =
            pair == Pair::offset ? mapping.weight(plus) : mapping.weight(plus, minus);
        CHECK(same_bits(back.get(0), reference::weight(cells, 25.0f, plus.get(0), minus.get(0))));
        CHECK(std::fabs(back.get(0) - std::clamp(w, -1.0f, 1.0f)) <
              25.0f / (25.0f - g_min) * 1e-6f);
      }
    }
  }
}
