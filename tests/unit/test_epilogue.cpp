#include <lumina/epilogue.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <type_traits>
#include <vector>

#include <lumina/detail/epilogue/stage_traits.hpp>
#include <lumina/noise.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// What stages do to a matrix whose columns are all `column`: vector by vector, as the engine
/// applies them (test_fused_gemm.cpp goes through the engine itself).
template <class Stages>
TestMatrix run(std::span<const float> column, std::size_t cols, const Stages& stages,
               const NoiseKey& key = {}) {
  using Floats = detail::Native::Batch<float>;
  constexpr std::size_t kDraws = detail::normals_of<Stages>;
  TestMatrix y(column.size(), cols);
  for (std::size_t row = 0; row < column.size(); ++row) {
    for (std::size_t col = 0; col < cols; col += Floats::size) {
      const ActiveLanes active{std::min(Floats::size, cols - col)};
      std::array<Floats, kDraws> normals;
      for (std::size_t draw = 0; draw < kDraws; ++draw) {
        std::array<float, Floats::size> lanes;
        for (std::size_t i = 0; i < lanes.size(); ++i) {
          lanes[i] = standard_normal_at(key, row, col + i, draw);
        }
        normals[draw] = Floats::load_unaligned(lanes.data());
      }
      const Coordinates at{row, col, key.row_offset + row};
      detail::store_first<Floats>(stages.apply(Floats(column[row]), at, active, normals),
                                  &y(row, col), active.count);
    }
  }
  return y;
}

/// expected(value, row, col) at every place, for output widths that have every tail.
template <class Stages, class Expected>
void check_stages(const Stages& stages, Expected expected, const NoiseKey& key = {}) {
  Engine engine(1);
  std::vector<float> column = {0.0f,  -0.0f, 1.0f,      -2.5f, kInf,
                               -kInf, kNaN,  kDenormal, 1e38f, -1e-38f};
  for (int i = 0; i < 8; ++i) column.push_back(uniform(engine, -3.0f, 3.0f));
  for (const std::size_t cols : {1u, 7u, 16u, 31u, 32u, 33u, 130u}) {
    TestMatrix y = run(column, cols, stages, key);
    for (std::size_t row = 0; row < column.size(); ++row) {
      for (std::size_t col = 0; col < cols; ++col) {
        const float value = column[row];
        if (!same_bits(y(row, col), expected(value, row, col))) {
          CAPTURE(row, col, cols, value, y(row, col));
          REQUIRE(y(row, col) == expected(value, row, col));
        }
      }
    }
  }
}

/// Arithmetic that no compiler contracts to an FMA.
float times(float a, float b) {
  const volatile float result = a * b;
  return result;
}
float plus(float a, float b) {
  const volatile float result = a + b;
  return result;
}

std::vector<float> ramp(std::size_t count) {
  std::vector<float> values(count);
  for (std::size_t i = 0; i < count; ++i) values[i] = 0.37f * static_cast<float>(i) - 5.1f;
  return values;
}

// Stages as users write them.

/// Each column has a gain; exactly as many as there are columns.
struct OwnColumnGain {
  std::span<const float> gains;
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const Normals&) const {
    return product(values, load_columns<Floats>(gains, at, active));
  }
};

/// Writes its coordinates instead of the values.
struct ShowRow {
  bool global;
  template <class Floats, class Normals>
  Floats apply(const Floats&, const Coordinates& at, const ActiveLanes&, const Normals&) const {
    return Floats(static_cast<float>(global ? at.global_row : at.row));
  }
};

/// A stage with two normals, of which the order matters.
struct TwoNormals {
  static constexpr std::size_t normals_per_element = 2;
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
               const std::array<Floats, 2>& normals) const {
    return values + product(normals[0], Floats(100.0f)) + normals[1];
  }
};

/// Everything that a vector offers to a stage.
struct Operators {
  template <class Floats, class Normals>
  Floats apply(const Floats& v, const Coordinates&, const ActiveLanes&, const Normals&) const {
    const Floats one(1.0f);
    const Floats clipped = min(max(v, Floats(-2.0f)), Floats(2.0f));
    return select(v > one, (clipped - one) / Floats(4.0f), abs(clipped) * Floats(2.0f));
  }
};

struct NoStage {};
struct WrongResult {
  template <class Floats>
  void apply(const Floats&, const Coordinates&, const ActiveLanes&,
             const std::array<Floats, 0>&) const {}
};

static_assert(Stage<AddBias> && Stage<Relu> && Stage<Attenuation>);
static_assert(Stage<GaussianNoise> && Stage<ShotNoise>);
static_assert(Stage<Quantizer<8>> && Stage<RuntimeQuantizer> && Stage<SymmetricQuantizer<4>>);
static_assert(Stage<OwnColumnGain> && Stage<TwoNormals> && Stage<Operators>);
static_assert(Stage<Epilogue<Relu, GaussianNoise>>);
static_assert(!Stage<NoStage> && !Stage<WrongResult> && !Stage<float>);
static_assert(Epilogue<>::normals_per_element == 0);
static_assert(Epilogue<Relu, GaussianNoise, ShotNoise, TwoNormals>::normals_per_element == 4);
static_assert(std::is_copy_constructible_v<Epilogue<Relu, GaussianNoise>>);
static_assert(
    std::is_same_v<decltype(epilogue(Relu{}, Attenuation{0.5f})), Epilogue<Relu, Attenuation>>);

}  // namespace

TEST_CASE("An empty epilogue changes nothing", "[epilogue]") {
  check_stages(epilogue(), [](float v, std::size_t, std::size_t) { return v; });
}

TEST_CASE("AddBias adds each column's own bias, and reads no other", "[epilogue]") {
  for (const std::size_t cols : {1u, 5u, 16u, 17u, 33u, 100u, 128u, 150u}) {
    // Exactly so many floats: a sanitizer sees an access behind them.
    const std::unique_ptr<float[]> bias(new float[cols]);
    for (std::size_t i = 0; i < cols; ++i) bias[i] = ramp(cols)[i];
    const std::vector<float> column = {0.3f, -1.7f, 1e10f};
    TestMatrix y = run(column, cols, epilogue(AddBias{{bias.get(), cols}}));
    bool right = true;
    for (std::size_t row = 0; row < column.size(); ++row) {
      for (std::size_t col = 0; col < cols; ++col) {
        right &= same_bits(y(row, col), plus(column[row], bias[col]));
      }
    }
    CAPTURE(cols);
    CHECK(right);
  }
}

TEST_CASE("Relu keeps what is positive, and NaN", "[epilogue]") {
  check_stages(epilogue(Relu{}),
               [](float v, std::size_t, std::size_t) { return v < 0 ? 0.0f : v; });
}

TEST_CASE("Attenuation multiplies", "[epilogue]") {
  check_stages(epilogue(Attenuation{0.85f}),
               [](float v, std::size_t, std::size_t) { return times(v, 0.85f); });
}

TEST_CASE("Attenuation::from_decibel", "[epilogue]") {
  CHECK(Attenuation::from_decibel(0.0f).factor == 1.0f);
  CHECK(Attenuation::from_decibel(10.0f).factor == 0.1f);
  CHECK(Attenuation::from_decibel(20.0f).factor == 0.01f);
  CHECK(Attenuation::from_decibel(-10.0f).factor == 10.0f);
  CHECK(Attenuation::from_decibel(3.0f).factor == Approx(0.501187));
}

TEST_CASE("GaussianNoise adds stddev times the element's normal", "[epilogue]") {
  const NoiseKey key{5, 6, 700};
  check_stages(
      epilogue(GaussianNoise{0.3f}),
      [&](float v, std::size_t row, std::size_t col) {
        return std::fma(0.3f, standard_normal_at(key, row, col), v);
      },
      key);
}

TEST_CASE("ShotNoise grows with the root of the signal", "[epilogue]") {
  const NoiseKey key{5, 7, 0};
  check_stages(
      epilogue(ShotNoise{0.1f}),
      [&](float v, std::size_t row, std::size_t col) {
        return std::fma(times(0.1f, std::sqrt(std::fabs(v))), standard_normal_at(key, row, col), v);
      },
      key);
}

TEST_CASE("Quantizers as stages", "[epilogue]") {
  const Quantizer<5> q(-1.0f, 2.0f);
  check_stages(epilogue(q), [&](float v, std::size_t, std::size_t) { return q(v); });
  const RuntimeQuantizer r(7, -1.0f, 2.0f);
  check_stages(epilogue(r), [&](float v, std::size_t, std::size_t) { return r(v); });
  const SymmetricQuantizer<6> s(1.5f);
  check_stages(epilogue(s), [&](float v, std::size_t, std::size_t) { return s(v); });
}

TEST_CASE("Stages work first to last", "[epilogue]") {
  const std::vector<float> bias(130, 1.0f);
  for (const std::size_t cols : {7u, 130u}) {
    const AddBias add{std::span(bias).first(cols)};
    const std::vector<float> column = {2.0f, -3.0f};
    TestMatrix first_bias = run(column, cols, epilogue(add, Attenuation{0.5f}));
    TestMatrix first_loss = run(column, cols, epilogue(Attenuation{0.5f}, add));
    TestMatrix relu_between = run(column, cols, epilogue(add, Relu{}, Attenuation{-2.0f}));
    CHECK(first_bias(0, cols - 1) == 1.5f);
    CHECK(first_bias(1, 0) == -1.0f);
    CHECK(first_loss(0, cols - 1) == 2.0f);
    CHECK(first_loss(1, 0) == -0.5f);
    CHECK(relu_between(0, 0) == -6.0f);
    CHECK(relu_between(1, cols - 1) == 0.0f);
  }
}

TEST_CASE("A product and the sum behind it are rounded one by one", "[epilogue]") {
  // Contracted to an FMA, the result would depend on the compiler.
  Engine engine(2);
  std::vector<float> column(500), bias(48);
  for (float& v : column) v = uniform(engine, -2.0f, 2.0f);
  for (float& v : bias) v = uniform(engine, -2.0f, 2.0f);
  TestMatrix y = run(column, bias.size(), epilogue(Attenuation{0.85f}, AddBias{bias}));
  bool same = true;
  bool could_differ = false;
  for (std::size_t row = 0; row < column.size(); ++row) {
    for (std::size_t col = 0; col < bias.size(); ++col) {
      const float expected = plus(times(column[row], 0.85f), bias[col]);
      same &= same_bits(y(row, col), expected);
      could_differ |= std::fma(column[row], 0.85f, bias[col]) != expected;
    }
  }
  CHECK(same);
  CHECK(could_differ);
}

TEST_CASE("Noise stages of one epilogue draw independent normals", "[epilogue]") {
  const NoiseKey key{1, 2, 3};
  check_stages(
      epilogue(GaussianNoise{0.5f}, Relu{}, GaussianNoise{0.25f}, ShotNoise{0.1f}),
      [&](float v, std::size_t row, std::size_t col) {
        v = std::fma(0.5f, standard_normal_at(key, row, col, 0), v);
        v = v < 0 ? 0.0f : v;
        v = std::fma(0.25f, standard_normal_at(key, row, col, 1), v);
        return std::fma(times(0.1f, std::sqrt(std::fabs(v))), standard_normal_at(key, row, col, 2),
                        v);
      },
      key);

  // Two equal stages are not one of twice the strength: their variances add.
  const std::vector<float> zeros(200);
  TestMatrix y = run(zeros, 200, epilogue(GaussianNoise{1.0f}, GaussianNoise{1.0f}));
  double squares = 0;
  for (std::size_t row = 0; row < 200; ++row) {
    for (std::size_t col = 0; col < 200; ++col) {
      squares += static_cast<double>(y(row, col)) * static_cast<double>(y(row, col));
    }
  }
  CHECK(std::fabs(squares / 40000 - 2) < 0.1);
}

TEST_CASE("A user's stage: per-column parameters, tails included", "[epilogue]") {
  for (const std::size_t cols : {1u, 3u, 15u, 16u, 31u, 33u, 129u}) {
    const std::unique_ptr<float[]> gains(new float[cols]);
    for (std::size_t i = 0; i < cols; ++i) gains[i] = ramp(cols)[i];
    const std::vector<float> column = {1.5f, -0.3f};
    TestMatrix y = run(column, cols, epilogue(OwnColumnGain{{gains.get(), cols}}, Attenuation{2.0f}));
    bool right = true;
    for (std::size_t row = 0; row < column.size(); ++row) {
      for (std::size_t col = 0; col < cols; ++col) {
        right &= same_bits(y(row, col), times(times(column[row], gains[col]), 2.0f));
      }
    }
    CAPTURE(cols);
    CHECK(right);
  }
}

TEST_CASE("A user's stage knows its row", "[epilogue]") {
  const NoiseKey key{0, 0, 1000};
  check_stages(
      epilogue(ShowRow{false}),
      [](float, std::size_t row, std::size_t) { return static_cast<float>(row); }, key);
  check_stages(
      epilogue(ShowRow{true}),
      [](float, std::size_t row, std::size_t) { return static_cast<float>(1000 + row); }, key);
}

TEST_CASE("A user's stage with two normals gets its own, in order", "[epilogue]") {
  const NoiseKey key{8, 9, 10};
  check_stages(
      epilogue(GaussianNoise{0.5f}, TwoNormals{}),
      [&](float v, std::size_t row, std::size_t col) {
        v = std::fma(0.5f, standard_normal_at(key, row, col, 0), v);
        v = plus(v, times(standard_normal_at(key, row, col, 1), 100.0f));
        return plus(v, standard_normal_at(key, row, col, 2));
      },
      key);
}

TEST_CASE("A user's stage: the operators of vectors", "[epilogue]") {
  const std::vector<float> column = {0.0f, 0.5f, -0.5f, 1.0f, 1.5f, 3.0f, -3.0f, kInf, -kInf};
  const std::vector<float> expected = {0.0f, 1.0f, 1.0f, 2.0f, 0.125f, 0.25f, 4.0f, 0.25f, 4.0f};
  TestMatrix y = run(column, 19, epilogue(Operators{}));
  for (std::size_t row = 0; row < column.size(); ++row) {
    CHECK(y(row, 0) == expected[row]);
    CHECK(y(row, 18) == expected[row]);
  }
}

TEST_CASE("An epilogue is a stage", "[epilogue]") {
  const NoiseKey key{4, 4, 4};
  const std::vector<float> bias = ramp(130);
  const auto nested = [&](std::size_t cols) {
    return epilogue(epilogue(AddBias{std::span(bias).first(cols)}, GaussianNoise{0.5f}), epilogue(),
                    epilogue(ShotNoise{0.25f}, Quantizer<6>(-4.0f, 4.0f)));
  };
  const auto flat = [&](std::size_t cols) {
    return epilogue(AddBias{std::span(bias).first(cols)}, GaussianNoise{0.5f}, ShotNoise{0.25f},
                    Quantizer<6>(-4.0f, 4.0f));
  };
  const std::vector<float> column = {0.1f, -2.0f, 3.0f};
  for (const std::size_t cols : {5u, 32u, 130u}) {
    CHECK(difference(run(column, cols, nested(cols), key), run(column, cols, flat(cols), key)) ==
          "");
  }
}

TEST_CASE("Epilogues may be constants", "[epilogue]") {
  static constexpr auto e = epilogue(Relu{}, Attenuation{0.5f}, Quantizer<4>(0.0f, 15.0f));
  const std::vector<float> column = {-4.0f, 7.0f};
  TestMatrix y = run(column, 3, e);
  CHECK(y(0, 2) == 0.0f);
  CHECK(y(1, 0) == 4.0f);  // 3.5 is a tie
}

namespace {

using NativeFloats = detail::Native::Batch<float>;

/// The gradient by `value`, which enters a stage, in every lane.
template <class Stage>
float backward_of(const Stage& stage, float gradient, float value, float normal = 0.0f) {
  const NativeFloats gradients(gradient), values(value);
  std::array<NativeFloats, detail::normals_of<Stage>> normals;
  for (NativeFloats& vector : normals) vector = NativeFloats(normal);
  NativeFloats result(kNaN);
  if constexpr (detail::is_gate<Stage>) {
    result = select(stage.passes(values), gradients, NativeFloats(0.0f));
  } else if constexpr (detail::is_straight<Stage>) {
    result = stage.backward(gradients);
  } else {
    const ActiveLanes active{NativeFloats::size};
    result = stage.backward(gradients, values, Coordinates{0, 0, 0}, active, normals);
  }
  std::array<float, NativeFloats::size> lanes;
  result.store_unaligned(lanes.data());
  for (const float lane : lanes) REQUIRE(same_bits(lane, lanes[0]));
  return lanes[0];
}

}  // namespace

TEST_CASE("Straight-through derivatives", "[epilogue]") {
  const std::vector<float> bias = {1.0f};
  for (const float g : {1.0f, -0.0f, -2.5f, kDenormal, kInf, kNaN}) {
    for (const float v : {0.0f, -0.0f, 3.0f, -3.0f, kInf, kNaN}) {
      CAPTURE(g, v);
      CHECK(same_bits(backward_of(AddBias{bias}, g, v), g));
      CHECK(same_bits(backward_of(GaussianNoise{0.5f}, g, v), g));
      CHECK(same_bits(backward_of(ShotNoise{0.5f}, g, v), g));
      CHECK(same_bits(backward_of(Attenuation{0.3f}, g, v), times(g, 0.3f)));
      CHECK(same_bits(backward_of(Relu{}, g, v), v > 0.0f ? g : 0.0f));
    }
  }
  CHECK(backward_of(Relu{}, 2.0f, kDenormal) == 2.0f);
}

TEST_CASE("ShotNoiseWithDerivative is ShotNoise, and has the derivative", "[epilogue]") {
  const NoiseKey key{5, 7, 0};
  Engine engine(2);
  std::vector<float> column = {0.0f, -0.0f, kInf, -kInf, kNaN, kDenormal};
  for (int i = 0; i < 20; ++i) column.push_back(uniform(engine, -3.0f, 3.0f));
  TestMatrix with = run(column, 37, epilogue(ShotNoiseWithDerivative{0.1f}), key);
  TestMatrix without = run(column, 37, epilogue(ShotNoise{0.1f}), key);
  CHECK(difference(with, without) == "");

  const ShotNoiseWithDerivative stage{0.4f};
  // 1 + 0.4·n·sign(v) / (2·√|v|)
  CHECK(backward_of(stage, 2.0f, 4.0f, 1.5f) == Approx(2.0 * (1 + 0.4 * 1.5 / 4)));
  CHECK(backward_of(stage, 2.0f, -4.0f, 1.5f) == Approx(2.0 * (1 - 0.4 * 1.5 / 4)));
  CHECK(backward_of(stage, -2.0f, 0.25f, -3.0f) == Approx(-2.0 * (1 - 0.4 * 3)));
  for (const float normal : {0.0f, 6.6f, -6.6f}) {
    for (const float straight : {0.0f, -0.0f, kInf, -kInf, kNaN}) {
      CHECK(backward_of(stage, 2.0f, straight, normal) == 2.0f);
    }
    CHECK(std::isfinite(backward_of(stage, 2.0f, kDenormal, normal)));
  }
  for (int i = 0; i < 1000; ++i) {
    const float v = uniform(engine, -3.0f, 3.0f), n = uniform(engine, -4.0f, 4.0f);
    const float g = uniform(engine, -1.0f, 1.0f);
    const float slope = times(0.2f, n) / std::sqrt(std::fabs(v));
    REQUIRE(same_bits(backward_of(stage, g, v, n), std::fma(g, v > 0.0f ? slope : -slope, g)));
  }
}

TEST_CASE("Stages are known by the derivatives that they have", "[epilogue]") {
  CHECK(detail::is_gate<Relu>);
  CHECK(detail::is_gate<Quantizer<8>>);
  CHECK(detail::is_straight<AddBias>);
  CHECK(!detail::is_gate<AddBias>);
  CHECK(detail::needs_values<ShotNoiseWithDerivative>);
  CHECK(!detail::is_straight<ShotNoiseWithDerivative>);
  CHECK(!detail::is_differentiable<OwnColumnGain>);
}
