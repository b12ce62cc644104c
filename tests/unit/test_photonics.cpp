// Photonic weights against what their matrices, formulas and sources say; in double, so that there
// is no faster path to compare with.
#include <lumina/photonics.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>
#include <set>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr double kPi = std::numbers::pi;
const NoiseKey kChip{11, 12, 13};

double uniform_double(Engine& engine) {
  return static_cast<double>(engine() >> 11) * 0x1p-52 - 1.0;
}

/// Rows of random numbers, made orthonormal.
Matrix<Amplitude> random_unitary(Engine& engine, std::size_t modes) {
  Matrix<Amplitude> u(modes, modes);
  for (std::size_t row = 0; row < modes; ++row) {
    for (std::size_t k = 0; k < modes; ++k) {
      u(row, k) = {uniform_double(engine), uniform_double(engine)};
    }
    for (int pass = 0; pass < 2; ++pass) {
      for (std::size_t other = 0; other < row; ++other) {
        Amplitude part;
        for (std::size_t k = 0; k < modes; ++k) {
          part = part + u(row, k) * detail::conjugate(u(other, k));
        }
        for (std::size_t k = 0; k < modes; ++k) u(row, k) = u(row, k) - part * u(other, k);
      }
    }
    double norm = 0.0;
    for (std::size_t k = 0; k < modes; ++k) norm += detail::squared_magnitude(u(row, k));
    for (std::size_t k = 0; k < modes; ++k) u(row, k) = (1.0 / std::sqrt(norm)) * u(row, k);
  }
  return u;
}

double largest_difference(const Matrix<Amplitude>& a, const Matrix<Amplitude>& b) {
  double largest = 0.0;
  for (std::size_t i = 0; i < a.elements().size(); ++i) {
    largest = std::max(largest, detail::magnitude(a.elements()[i] - b.elements()[i]));
  }
  return largest;
}

double largest_difference(MatrixView<const float> a, MatrixView<const float> b) {
  double largest = 0.0;
  for (std::size_t row = 0; row < a.rows(); ++row) {
    for (std::size_t col = 0; col < a.cols(); ++col) {
      largest = std::max(largest, std::fabs(double{a(row, col)} - double{b(row, col)}));
    }
  }
  return largest;
}

/// How far from 0 apart two angles are.
double angle_between(double a, double b) { return std::fabs(std::remainder(a - b, 2.0 * kPi)); }

}  // namespace

TEST_CASE("Sine, cosine and angle are those of the C library but for roundings", "[photonics]") {
  Engine engine(1);
  double largest = 0.0;
  for (int i = 0; i < 200000; ++i) {
    const double x = uniform_double(engine) * (i % 2 == 0 ? 7.0 : 1000.0);
    const auto [sine, cosine] = detail::sine_cosine(x);
    largest = std::max({largest, std::fabs(sine - std::sin(x)), std::fabs(cosine - std::cos(x))});
    const double y = uniform_double(engine);
    largest = std::max(largest, std::fabs(detail::angle(y, x) - std::atan2(y, x)) / 4.0);
  }
  CHECK(largest < 2.5e-16);
  for (int quarter = -9; quarter < 9; ++quarter) {
    const double x = quarter * kPi / 4;
    CHECK(std::fabs(detail::sine_cosine(x).sine - std::sin(x)) < 2.5e-16);
    CHECK(detail::turned_into_range(x) >= 0.0);
    CHECK(detail::turned_into_range(x) < 2.0 * kPi);
    CHECK(angle_between(detail::turned_into_range(x), x) < 1e-14);
  }
  CHECK(detail::angle(0.0, -1.0) == kPi);
  CHECK(detail::angle(1.0, 0.0) == kPi / 2);
  CHECK(detail::angle(-1.0, 1.0) == -kPi / 4);
  CHECK(detail::angle(0.0, 0.0) == 0.0);
  CHECK(detail::turned_into_range(-1e-30) == 0.0);
}

TEST_CASE("A mesh rebuilds its unitary matrix to 1e-12", "[photonics]") {
  Engine engine(2);
  for (const std::size_t modes : {1u, 2u, 3u, 4u, 5u, 8u, 9u, 16u, 33u}) {
    const Matrix<Amplitude> u = random_unitary(engine, modes);
    for (const MeshLayout layout : {MeshLayout::rectangular, MeshLayout::triangular}) {
      const UnitaryMesh mesh(u, layout);
      CAPTURE(modes, layout == MeshLayout::triangular);
      REQUIRE(mesh.modes() == modes);
      CHECK(mesh.interferometers() == modes * (modes - 1) / 2);
      REQUIRE(mesh.phases().size() == modes * modes);
      Matrix<Amplitude> rebuilt(modes, modes);
      mesh.build(mesh.phases(), rebuilt);
      CHECK(largest_difference(rebuilt, u) < 1e-12);
      for (std::size_t i = 0; i < mesh.phases().size(); ++i) {
        const bool internal = i < 2 * mesh.interferometers() && i % 2 == 0;
        CHECK(mesh.phases()[i] >= 0.0);
        CHECK(mesh.phases()[i] <= (internal ? kPi : 2.0 * kPi));
      }
      // The depths of the two papers.
      const bool rectangular = layout == MeshLayout::rectangular;
      if (modes >= 3) CHECK(mesh.columns() == (rectangular ? modes : 2 * modes - 3));
    }
  }
}

TEST_CASE("A beam splitter is one interferometer at half its range", "[photonics]") {
  const double h = std::sqrt(0.5);
  Matrix<Amplitude> u(2, 2);
  u(0, 0) = u(1, 0) = u(0, 1) = {h, 0.0};
  u(1, 1) = {-h, 0.0};
  const UnitaryMesh mesh(u);
  REQUIRE(mesh.interferometers() == 1);
  CHECK(mesh.phases()[0] == Approx(kPi / 2).epsilon(1e-15));
  // A permutation is crossings, ϑ = π; the identity passes, ϑ = 0.
  Matrix<Amplitude> crossed(2, 2), straight(2, 2);
  crossed(0, 1) = crossed(1, 0) = straight(0, 0) = straight(1, 1) = {1.0, 0.0};
  CHECK(UnitaryMesh(crossed).phases()[0] == kPi);
  CHECK(UnitaryMesh(straight).phases()[0] == 0.0);
}

TEST_CASE("Shifters are set to levels, deviate by their chip's normals, and keep the energy",
          "[photonics]") {
  Engine engine(3);
  const std::size_t modes = 7;
  const UnitaryMesh mesh(random_unitary(engine, modes));
  const PhaseShifters coarse{.bits = 5};
  const double step = 2.0 * kPi / 32;
  const std::vector<double> set = mesh.driven(coarse, kChip, 3);
  const std::vector<double> noisy = mesh.driven({.bits = 5, .deviation = 0.02}, kChip, 3);
  for (std::size_t i = 0; i < set.size(); ++i) {
    CHECK(std::fabs(set[i] / step - std::nearbyint(set[i] / step)) < 1e-12);
    CHECK(set[i] < 2.0 * kPi - step / 2);
    CHECK(angle_between(set[i], mesh.phases()[i]) <= step / 2 + 1e-12);
    const double normal = double{standard_normal_at(kChip, 3, i)};
    CHECK(noisy[i] == Approx(set[i] + 0.02 * normal).epsilon(1e-13));
  }
  Matrix<Amplitude> u(modes, modes);
  mesh.build(mesh.driven({.bits = 4, .deviation = 0.3, .crosstalk = 0.1}, kChip, 3), u);
  for (std::size_t col = 0; col < modes; ++col) {
    double energy = 0.0;
    for (std::size_t row = 0; row < modes; ++row) energy += detail::squared_magnitude(u(row, col));
    CHECK(energy == Approx(1.0).epsilon(1e-13));
  }
}

TEST_CASE("Heaters warm their neighbours", "[photonics]") {
  // Three modes: interferometers on modes 0, 1, 0 in three columns, φ before ϑ in each; outputs.
  //   column   0   1   2   3   4   5   6
  //   mode 0   φ₀  ϑ₀          φ₂  ϑ₂  o₀
  //   mode 1           φ₁  ϑ₁          o₁
  //   mode 2                           o₂
  Engine engine(4);
  const UnitaryMesh mesh(random_unitary(engine, 3));
  REQUIRE(mesh.first_mode(0) == 0);
  REQUIRE(mesh.first_mode(1) == 1);
  REQUIRE(mesh.first_mode(2) == 0);
  const auto p = mesh.phases();  // ϑ₀ φ₀ ϑ₁ φ₁ ϑ₂ φ₂ o₀ o₁ o₂
  const double c = 0.05;
  const std::vector<double> warm = mesh.driven({.crosstalk = c}, kChip, 0);
  const double expected[] = {p[0] + c * (p[1] + p[3]),
                             p[1] + c * p[0],
                             p[2] + c * (p[3] + p[5]),
                             p[3] + c * (p[0] + p[2]),
                             p[4] + c * (p[5] + p[6] + p[7]),
                             p[5] + c * (p[2] + p[4]),
                             p[6] + c * (p[4] + p[7]),
                             p[7] + c * (p[4] + p[6] + p[8]),
                             p[8] + c * p[7]};
  for (std::size_t i = 0; i < 9; ++i) {
    CAPTURE(i);
    CHECK(warm[i] == Approx(expected[i]).epsilon(1e-14));
  }
}

TEST_CASE("Singular values and their vectors make the matrix again", "[photonics]") {
  Engine engine(5);
  struct Shape {
    std::size_t rows, cols, rank;
  };
  for (const Shape& shape : {Shape{1, 1, 1}, Shape{1, 5, 1}, Shape{5, 1, 1}, Shape{8, 8, 8},
                             Shape{20, 7, 7}, Shape{7, 20, 7}, Shape{9, 9, 3}, Shape{6, 9, 0}}) {
    Matrix<double> left(shape.rows, shape.rank), right(shape.rank, shape.cols);
    Matrix<double> a(shape.rows, shape.cols);
    for (double& v : left.elements()) v = uniform_double(engine);
    for (double& v : right.elements()) v = uniform_double(engine);
    for (std::size_t i = 0; i < shape.rows; ++i) {
      for (std::size_t j = 0; j < shape.cols; ++j) {
        for (std::size_t k = 0; k < shape.rank; ++k) a(i, j) += left(i, k) * right(k, j);
      }
    }
    const SingularValues parts = singular_values(a);
    CAPTURE(shape.rows, shape.cols, shape.rank);
    REQUIRE(parts.values.size() == std::min(shape.rows, shape.cols));
    double worst = 0.0;
    for (std::size_t i = 0; i < shape.rows; ++i) {
      for (std::size_t j = 0; j < shape.cols; ++j) {
        double sum = 0.0;
        for (std::size_t k = 0; k < parts.values.size(); ++k) {
          sum += parts.u(i, k) * parts.values[k] * parts.v(j, k);
        }
        worst = std::max(worst, std::fabs(sum - a(i, j)));
      }
    }
    const auto not_orthogonal = [](const Matrix<double>& q) {
      double largest = 0.0;
      for (std::size_t i = 0; i < q.cols(); ++i) {
        for (std::size_t j = 0; j < q.cols(); ++j) {
          double sum = i == j ? -1.0 : 0.0;
          for (std::size_t k = 0; k < q.rows(); ++k) sum += q(k, i) * q(k, j);
          largest = std::max(largest, std::fabs(sum));
        }
      }
      return largest;
    };
    CHECK(worst < 1e-13);
    CHECK(not_orthogonal(parts.u) < 1e-13);
    CHECK(not_orthogonal(parts.v) < 1e-13);
    const auto nonzero = std::count_if(parts.values.begin(), parts.values.end(),
                                       [](double value) { return value > 1e-12; });
    CHECK(static_cast<std::size_t>(nonzero) == shape.rank);
  }
  Matrix<double> known(2, 2);  // √45 and √5
  known(0, 0) = 3.0;
  known(1, 0) = 4.0;
  known(1, 1) = 5.0;
  auto values = singular_values(known).values;
  std::sort(values.begin(), values.end());
  CHECK(values[0] == Approx(std::sqrt(5.0)).epsilon(1e-14));
  CHECK(values[1] == Approx(std::sqrt(45.0)).epsilon(1e-14));
}

TEST_CASE("Ideal meshes give weights back, others deviate as their shifters do", "[photonics]") {
  Engine engine(6);
  TestMatrix w(21, 30, 33), made(21, 30, 31), other(21, 30), pairs(21, 60);
  w.fill_uniform(engine, -0.5f, 0.5f);
  for (std::size_t k = 0; k < 30; ++k) w(4, k) = w(5, k);  // no full rank
  for (const MeshLayout layout : {MeshLayout::rectangular, MeshLayout::triangular}) {
    for (const std::size_t modes : {8u, 64u}) {
      const MziArray array{.modes = modes, .layout = layout};
      REQUIRE(mzi_weights(w, array, kChip, made));
      CHECK(largest_difference(made, w) < 1e-6);
      REQUIRE(complex_mzi_weights(w, array, kChip, pairs));
      double imaginary = 0.0;
      for (std::size_t row = 0; row < 21; ++row) {
        for (std::size_t k = 0; k < 30; ++k) {
          CHECK(same_bits(pairs(row, 2 * k), made(row, k)));
          imaginary = std::max(imaginary, std::fabs(double{pairs(row, 2 * k + 1)}));
        }
      }
      CHECK(imaginary < 1e-6);
    }
  }
  CHECK(made.gaps_untouched());

  const auto error = [&](const PhaseShifters& shifters, const NoiseKey& chip) {
    REQUIRE(mzi_weights(w, {.modes = 16, .shifters = shifters}, chip, other));
    return largest_difference(other, w);
  };
  const double fine = error({.bits = 12}, kChip), coarse = error({.bits = 6}, kChip);
  CHECK(fine > 1e-5);
  CHECK(coarse > 10.0 * fine);
  CHECK(coarse < 0.5);
  CHECK(error({.crosstalk = 0.01}, kChip) > fine);
  const double noisy = error({.deviation = 0.01}, kChip);
  CHECK(noisy > fine);
  TestMatrix again(21, 30), elsewhere(21, 30);
  mzi_weights(w, {.modes = 16, .shifters = {.deviation = 0.01}}, kChip, again);
  CHECK(difference(again, other) == "");
  mzi_weights(w, {.modes = 16, .shifters = {.deviation = 0.01}}, {11, 12, 14}, elsewhere);
  CHECK(difference(elsewhere, other) != "");

  // Blocks of zeros stay so, whatever their shifters do; without weights there is nothing to do.
  w.fill([] { return 0.0f; });
  REQUIRE(mzi_weights(w, {.shifters = {.bits = 3, .deviation = 1.0}}, kChip, made));
  CHECK(largest_difference(made, w) == 0.0);
  CHECK(mzi_weights(MatrixView<const float>(), {}, kChip, MatrixView<float>()));
}

TEST_CASE("Deviations of phases become those of amplitudes, to first order", "[photonics]") {
  // One attenuator alone: w = cos(ϑ/2) of the larger one, so d w = −sin(ϑ/2)·σN/2. A diagonal 2 × 2
  // has meshes that pass (ϑ = 0), whose own deviations have no effect on |w| in first order.
  TestMatrix w(2, 2), made(2, 2);
  w.fill([] { return 0.0f; });
  w(0, 0) = 1.0f;
  w(1, 1) = 0.6f;
  double sum = 0.0, squares = 0.0;
  constexpr int kChips = 4000;
  constexpr double kSigma = 1e-3;
  for (int i = 0; i < kChips; ++i) {
    const NoiseKey chip{1, static_cast<std::uint64_t>(i)};
    REQUIRE(mzi_weights(w, {.modes = 2, .shifters = {.deviation = kSigma}}, chip, made));
    const double deviation = double{made(1, 1)} - double{w(1, 1)};
    sum += deviation;
    squares += deviation * deviation;
  }
  CHECK(std::fabs(sum / kChips) < 4e-4 / std::sqrt(kChips) * 4.0);
  CHECK(std::sqrt(squares / kChips) == Approx(0.8 * kSigma / 2).epsilon(0.05));
}

TEST_CASE("Rings: extremes, inversion, and weights that come back", "[photonics]") {
  for (const auto& [a, r] : {std::pair{0.9, 0.9}, std::pair{0.99, 0.95}, std::pair{0.5, 0.8}}) {
    const MicroRing ring{.amplitude = a, .coupling = r};
    CAPTURE(a, r);
    // Bogaerts et al. 2012: on resonance (a − r)²/(1 − ar)², between resonances (a + r)²/(1 + ar)².
    CHECK(ring.lowest() == Approx(std::pow((a - r) / (1 - a * r), 2)).epsilon(1e-12).margin(1e-15));
    CHECK(ring.highest() == Approx(std::pow((a + r) / (1 + a * r), 2)).epsilon(1e-13));
    for (int i = 0; i <= 100; ++i) {
      const double t = ring.lowest() + (ring.highest() - ring.lowest()) * i / 100;
      CHECK(ring.transmission(ring.phase(t)) == Approx(t).epsilon(1e-10).margin(1e-12));
      const double phase = kPi * i / 100;
      const double numerator = a * a + r * r - 2 * a * r * std::cos(phase);
      CHECK(ring.transmission(phase) ==
            Approx(numerator / (1 + a * a * r * r - 2 * a * r * std::cos(phase)))
                .epsilon(1e-12)
                .margin(1e-14));
    }
    CHECK(ring.phase(2.0) == Approx(kPi));
    CHECK(std::fabs(ring.phase(-1.0)) < 1e-7);
  }
  Engine engine(7);
  TestMatrix w(9, 40, 41), made(9, 40);
  w.fill_uniform(engine, -0.2f, 0.2f);
  for (std::size_t k = 0; k < 40; ++k) w(3, k) = 0.0f;
  for (const WeightScale how : {WeightScale::per_output, WeightScale::per_matrix}) {
    REQUIRE(transmission_weights(w, MicroRing{}, kChip, made, Transmissions::difference, how));
    CHECK(largest_difference(made, w) < 1e-6);
  }
  // 4 bits a turn are 9 levels of [0, π].
  REQUIRE(transmission_weights(w, MicroRing{.shifters = {.bits = 4}}, kChip, made,
                               Transmissions::single, WeightScale::per_matrix));
  std::set<float> levels;
  for (std::size_t row = 0; row < 9; ++row) {
    for (std::size_t k = 0; k < 40; ++k) levels.insert(made(row, k));
  }
  CHECK(levels.size() <= 9);
  CHECK(levels.size() > 3);
}

TEST_CASE("Rings deviate by their chip's normals and warm their neighbours", "[photonics]") {
  const MicroRing ring{.shifters = {.deviation = 0.03, .crosstalk = 0.1}};
  std::vector<double> row = {0.2, 0.5, 0.7};
  std::vector<double> phases;
  for (std::size_t k = 0; k < 3; ++k) {
    phases.push_back(ring.phase(row[k]) + 0.03 * double{standard_normal_at(kChip, 4, k)});
  }
  ring.program(row, kChip, 4);
  CHECK(row[0] == Approx(ring.transmission(phases[0] + 0.1 * phases[1])).epsilon(1e-12));
  CHECK(row[1] == Approx(ring.transmission(phases[1] + 0.1 * (phases[0] + phases[2]))));
  CHECK(row[2] == Approx(ring.transmission(phases[2] + 0.1 * phases[1])).epsilon(1e-12));
}

TEST_CASE("Modulators let between 1 / ratio and all light pass", "[photonics]") {
  Engine engine(8);
  TestMatrix w(6, 50), made(6, 50);
  w.fill_uniform(engine);
  w(0, 0) = 1.0f;
  w(0, 1) = -1.0f;
  REQUIRE(transmission_weights(w, IntensityModulator{.extinction_ratio = 10.0}, kChip, made));
  CHECK(largest_difference(made, w) < 1e-6);
  // One device a weight: 0.1 is the darkest, of negative weights too.
  REQUIRE(transmission_weights(w, IntensityModulator{.extinction_ratio = 10.0}, kChip, made,
                               Transmissions::single));
  for (std::size_t k = 0; k < 50; ++k) CHECK(made(0, k) == std::max(w(0, k), 0.1f));
  // Levels from end to end, and deviations within these ends.
  REQUIRE(transmission_weights(w, IntensityModulator{.extinction_ratio = 4.0, .bits = 2}, kChip,
                               made, Transmissions::single));
  for (std::size_t k = 0; k < 50; ++k) {
    const float target = std::max(w(0, k), 0.25f);
    CHECK(made(0, k) == 0.25f + 0.25f * std::nearbyint((target - 0.25f) / 0.25f));
  }
  REQUIRE(transmission_weights(w, IntensityModulator{.extinction_ratio = 4.0, .deviation = 0.5},
                               kChip, made, Transmissions::single));
  bool ends = false;
  for (std::size_t k = 0; k < 50; ++k) {
    CHECK(made(0, k) >= 0.25f);
    CHECK(made(0, k) <= 1.0f);
    ends = ends || made(0, k) == 1.0f;
  }
  CHECK(ends);
}

TEST_CASE("Channels of a bus mix, and buses do not", "[photonics]") {
  const Matrix<float> x = lorentzian_crosstalk(3, 0.5);  // 1/(1 + d²)
  CHECK(x(1, 1) == 1.0f);
  CHECK(x(0, 1) == 0.5f);
  CHECK(x(2, 0) == 0.2f);
  TestMatrix w(2, 5), mixed(2, 5);
  w.fill([i = 0.0f]() mutable { return i += 1.0f; });  // 1 2 3 | 4 5
  REQUIRE(mix_channels(w, x, mixed));
  const double exact[] = {1 + 0.5 * 2 + double{x(0, 2)} * 3, 0.5 + 2 + 1.5,
                          double{x(2, 0)} + 0.5 * 2 + 3, 4 + 2.5, 2 + 5};
  for (std::size_t k = 0; k < 5; ++k) CHECK(mixed(0, k) == static_cast<float>(exact[k]));
  Matrix<float> identity(2, 2);
  identity(0, 0) = identity(1, 1) = 1.0f;
  REQUIRE(mix_channels(w, identity, mixed));
  CHECK(difference(mixed, w) == "");
}

TEST_CASE("Detectors see intensities or magnitudes", "[photonics]") {
  TestMatrix amplitudes(3, 4, 5), y(3, 2, 3);
  amplitudes.fill([] { return 0.0f; });
  amplitudes(1, 0) = 3.0f;
  amplitudes(1, 1) = -4.0f;
  amplitudes(2, 3) = 2.0f;
  REQUIRE(detect(amplitudes, y));
  CHECK(y(1, 0) == 25.0f);
  CHECK(y(2, 1) == 4.0f);
  CHECK(y(0, 0) == 0.0f);
  REQUIRE(detect(amplitudes, y, Detection::magnitude));
  CHECK(y(1, 0) == 5.0f);
  CHECK(y.gaps_untouched());
  REQUIRE(detect(amplitudes, {amplitudes.view().data(), 3, 2, 5}));  // in place
  CHECK(amplitudes(1, 0) == 25.0f);
  CHECK(amplitudes(2, 1) == 4.0f);
}

TEST_CASE("What is wrong with photonic weights is said, and nothing written", "[photonics]") {
  Engine engine(9);
  TestMatrix w(3, 4), made(3, 4), other(4, 3), square(2, 2);
  w.fill_uniform(engine);
  square.fill_uniform(engine);
  expect_error([&] { mzi_weights(w, {}, kChip, other); },
               {"mzi_weights: w is [3, 4]", "result is [4, 3]", "must be [3, 4]"});
  expect_error([&] { complex_mzi_weights(w, {}, kChip, made); }, {"complex", "must be [3, 8]"});
  expect_error([&] { mzi_weights(w, {.modes = 0}, kChip, made); }, {"one mode"});
  expect_error([&] { mzi_weights(w, {.shifters = {.bits = 25}}, kChip, made); }, {"0..24"});
  expect_error([&] { mzi_weights(w, {.shifters = {.deviation = -0.1}}, kChip, made); },
               {"deviation"});
  expect_error([&] { mzi_weights(w, {}, kChip, w); }, {"overlap"});
  expect_error([&] { transmission_weights(w, MicroRing{.amplitude = 1.0}, kChip, made); },
               {"MicroRing"});
  expect_error(
      [&] { transmission_weights(w, IntensityModulator{.extinction_ratio = 1.0}, kChip, made); },
      {"extinction ratio"});
  expect_error([&] { transmission_weights(w, MicroRing{}, kChip, other); },
               {"transmission_weights", "[4, 3]"});
  expect_error([&] { mix_channels(w, other.constant(), made); }, {"mix_channels", "[4, 3]"});
  expect_error([&] { mix_channels(w, square.constant(), other); }, {"mix_channels", "[3, 4]"});
  expect_error([&] { detect(w, made); }, {"detect", "[3, 4]", "two columns"});
  w(2, 1) = kNaN;
  expect_error([&] { mzi_weights(w, {}, kChip, made); }, {"w(2, 1)"});
  expect_error([&] { transmission_weights(w, MicroRing{}, kChip, made); }, {"w(2, 1)"});
  expect_error([&] { mix_channels(w, square.constant(), made); }, {"w(2, 1)"});
  CHECK(made.untouched());
  CHECK(other.untouched());

  Matrix<Amplitude> tall(3, 2), scaled(2, 2);
  scaled(0, 0) = scaled(1, 1) = {1.001, 0.0};
  expect_error([&] { UnitaryMesh{tall}; }, {"UnitaryMesh: u is [3, 2]", "square"});
  expect_error([&] { UnitaryMesh{scaled}; }, {"not unitary"});
}
