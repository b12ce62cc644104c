#include <lumina/independent.hpp>

#include <cmath>
#include <cstddef>

#include <lumina/analog_gemm.hpp>
#include <lumina/backward.hpp>
#include <lumina/fused_gemm.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>
#include <lumina/reference_array_stages.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// A noise of one's own that wants facts.
struct FromFacts {
  float strength;
  static constexpr std::size_t normals_per_element = 1;
  static constexpr unsigned sums = Sums::squares;
  static constexpr bool row_facts = true;

  template <class Floats>
  Floats variance(const Floats&, const Coordinates&, const ActiveLanes&,
                  const Facts<Floats>& facts) const {
    return product(Floats(strength * strength), facts.squares);
  }
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const std::array<Floats, 1>& normals, const Facts<Floats>& facts) const {
    return fused_multiply_add(square_root(variance(values, at, active, facts)), normals[0], values);
  }
};

struct OfRow : GaussianNoise {
  static constexpr bool normals_of_row = true;
};

}  // namespace

TEST_CASE("Merged noises: one normal, variances added, as the oracle", "[independent]") {
  Engine engine(1);
  TestMatrix x(7, 9), w(150, 9), y(7, 150), expected(7, 150);
  x.fill_uniform(engine, -2.0f, 2.0f);
  w.fill_uniform(engine);
  const NoiseKey key{2, 3, 4};
  const auto same = [&](const auto& stages) {
    fused_gemm(x.view(), pack_weights(w), y.view(), stages, key);
    reference::fused_gemm(x.constant(), w.constant(), expected.view(), stages, key);
    CHECK(difference(y, expected) == "");
  };
  const GaussianNoise gaussian{0.3f}, other{0.4f};
  const ShotNoise shot{0.2f};
  STATIC_REQUIRE(decltype(independent(gaussian, shot))::normals_per_element == 1);
  same(epilogue(independent(gaussian, shot)));
  same(epilogue(independent(shot, gaussian, other), Relu{}, GaussianNoise{0.1f}));
  same(epilogue(independent(independent(gaussian, other), shot)));

  // One alone is itself; two are one of the root of the sum of squares.
  same(epilogue(independent(gaussian)));
  fused_gemm(x.view(), pack_weights(w), expected.view(), epilogue(gaussian), key);
  CHECK(difference(y, expected) == "");
  same(epilogue(independent(gaussian, other)));
  fused_gemm(x.view(), pack_weights(w), expected.view(), epilogue(GaussianNoise{0.5f}), key);
  double farthest = 0.0;
  for (std::size_t row = 0; row < 7; ++row) {
    for (std::size_t col = 0; col < 150; ++col) {
      farthest = std::fmax(farthest, std::fabs(y(row, col) - expected(row, col)));
    }
  }
  CHECK(farthest < 1e-6);
}

TEST_CASE("Merged noises have the law of separate ones", "[independent]") {
  // y = 0 and y = 4, 10⁵ keys (streams) each as rows: the variance against the sum, χ² to 4 σ.
  constexpr std::size_t kRows = 4000, kColumns = 32;
  TestMatrix x(kRows, 1), w(kColumns, 1), y(kRows, kColumns);
  x.fill([] { return 1.0f; });
  for (std::size_t i = 0; i < kColumns; ++i) w(i, 0) = i % 2 == 0 ? 0.0f : 4.0f;
  const auto check = [&](const auto& stages) {
    fused_gemm(x.view(), pack_weights(w), y.view(), stages, {5});
    double square[2] = {}, mean[2] = {};
    const double count = kRows * kColumns / 2;
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t col = 0; col < kColumns; ++col) {
        const double noise = y(row, col) - w(col, 0);
        square[col % 2] += noise * noise / count;
        mean[col % 2] += noise / count;
      }
    }
    const double variances[2] = {0.09, 0.09 + 0.04 * 4.0};
    for (int i = 0; i < 2; ++i) {
      CAPTURE(i, square[i], mean[i]);
      CHECK(std::fabs(square[i] / variances[i] - 1.0) < 4.0 * std::sqrt(2.0 / count));
      CHECK(std::fabs(mean[i]) < 4.0 * std::sqrt(variances[i] / count));
    }
  };
  check(epilogue(independent(GaussianNoise{0.3f}, ShotNoise{0.2f})));
  check(epilogue(ShotNoise{0.2f}, GaussianNoise{0.3f}));
}

TEST_CASE("Merged noises ask for what each of them asks for", "[independent]") {
  using Merged = decltype(independent(GaussianNoise{1.0f}, FromFacts{1.0f}));
  STATIC_REQUIRE(Merged::sums == Sums::squares);
  STATIC_REQUIRE(Merged::row_facts);
  STATIC_REQUIRE(Stage<Merged>);
  STATIC_REQUIRE(!detail::wants_facts<decltype(independent(GaussianNoise{1.0f}))>);
  STATIC_REQUIRE(detail::HasVariance<FromFacts>);
  STATIC_REQUIRE(!detail::HasVariance<OfRow>);
  STATIC_REQUIRE(!detail::HasVariance<Relu>);

  using Floats = detail::PortableBatch<float>;
  Facts<Floats> facts;
  facts.squares = Floats(4.0f);
  const auto merged = independent(GaussianNoise{3.0f}, FromFacts{2.0f});
  const auto value = merged.apply(Floats(1.0f), {0, 0, 0}, {1}, {Floats(2.0f)}, facts);
  CHECK(value.get(0) == 1.0f + 2.0f * 5.0f);  // √(9 + 4·4)
  Facts<float> plain;
  plain.squares = 4.0f;
  const float normal = 2.0f;
  CHECK(reference::apply(merged, {1.0f, 0, 0, 0, &normal}, plain) == 11.0f);
}

TEST_CASE("Noises of arrays merge, with the sums that they ask for", "[independent]") {
  Engine engine(7);
  TestMatrix x(5, 70), w(40, 70), y(5, 40), expected(5, 40);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const auto weights = encode_tiles<8>(w, Mapping{.tile = {32, 512}});
  const SymmetricQuantizer<8> dac(1.0f);
  const auto stages =
      array(independent(ReadNoise{0.0175f}, ProportionalReadNoise{0.1f}, ConstantReadNoise{0.01f},
                        BalancedShotNoise{0.2f}, GaussianNoise{0.04f}),
            SymmetricQuantizer<8>(4.0f));
  REQUIRE(analog_gemm(x, dac, weights, stages, digital(), y, {8}));
  reference::analog_gemm(x.constant(), dac, weights, stages, digital(), expected.view(), {8});
  CHECK(difference(y, expected) == "");
}

TEST_CASE("Merged noises are straight through, and refuse what each refuses", "[independent]") {
  Engine engine(6);
  TestMatrix x(3, 2), w(5, 2), y(3, 5), grad_y(3, 5), by_x(3, 2), straight(3, 2);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto gradient = [&](const auto& stages, TestMatrix& to) {
    const auto pass = forward_pass(x, packed, stages, {1});
    REQUIRE(forward(pass, y, record));
    backward(pass, grad_y, record, {to, {}, {}}, workspace);
  };
  gradient(epilogue(), straight);
  gradient(epilogue(independent(GaussianNoise{0.1f}, ShotNoise{0.1f})), by_x);
  CHECK(difference(by_x, straight) == "");
  expect_error(
      [&] {
        fused_gemm(x.view(), packed, y.view(),
                   epilogue(independent(GaussianNoise{0.1f}, ShotNoise{kNaN})));
      },
      {"lumina::ShotNoise: strength"});
}
