#include <lumina/converters.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <lumina/analog_gemm.hpp>
#include <lumina/backward.hpp>
#include <lumina/fused_gemm.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>
#include <lumina/reference_backward.hpp>
#include <lumina/reference_converters.hpp>
#include <lumina/stage_list.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kChip{1, 2}, kKey{3, 4, 5};

/// A stage without noise on values, a vector after the other.
template <class Stage>
std::vector<float> through(const Stage& stage, std::span<const float> values) {
  using Floats = detail::Native::Batch<float>;
  std::vector<float> result(values.size());
  for (std::size_t i = 0; i < values.size(); i += Floats::size) {
    const std::size_t count = std::min(Floats::size, values.size() - i);
    const auto in = detail::load_first<Floats>(values.data() + i, count);
    const auto out = stage.apply(in, {0, 0, 0}, {count}, std::array<Floats, 0>{});
    detail::store_first(Floats(out), result.data() + i, count);
  }
  return result;
}

/// Around each threshold, at the ends of the floats, and everywhere.
std::vector<float> telling_values(std::span<const float> thresholds) {
  std::vector<float> values = {0.0f, -0.0f, kInf, -kInf, kNaN, kLargest, -kLargest, kDenormal};
  for (const float t : thresholds) {
    values.insert(values.end(), {t, std::nextafter(t, -kInf), std::nextafter(t, kInf)});
  }
  Engine engine(7);
  for (int i = 0; i < 1000; ++i) values.push_back(any_float(engine));
  return values;
}

/// Ideal converters yield the quantizer's bits.
void check_ideal(const RuntimeQuantizer& ideal) {
  CAPTURE(ideal.bits(), ideal.is_symmetric(), ideal.lo());
  std::vector<float> thresholds(ideal.max_code());
  REQUIRE(ramp_thresholds(ideal, thresholds));
  const std::vector<float> values = telling_values(thresholds);
  std::vector<float> expected = values;
  ideal.apply(expected);
  const RampAdc ramp(ideal, thresholds);
  CHECK(ramp.valid_for(1, 1));
  CHECK(ramp.bits() == ideal.bits());
  CHECK(difference(std::span<const float>(through(ramp, values)), expected) == "");
  CHECK(difference(std::span<const float>(through(SarAdc(ideal), values)), expected) == "");
}

/// A layer on three arrays.
struct Layer {
  std::size_t batch = 5, in = 70, out = 150;
  TestMatrix x{batch, in}, y{batch, out}, expected{batch, out};
  TiledWeights<8> weights;
  ManagedDac dac{8, 0.7f, NoiseManagement::none, 2};

  Layer() {
    Engine engine(1);
    TestMatrix w(out, in);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    encode_tiles(w, Mapping{.tile = {32, 512}}, weights);
  }
  /// Epilogues and lists, against the oracle.
  template <class... Stages>
  void check(const Stages&... stages) {
    REQUIRE(analog_gemm(x, dac, weights, array(stages...), digital(), y, kKey));
    reference::analog_gemm(x.constant(), dac, weights, array(stages...), digital(), expected.view(),
                           kKey);
    CHECK(difference(y, expected) == "");
    y.fill([] { return 0.0f; });
    const StageList list(stages...);
    REQUIRE(analog_gemm(x, dac, weights, array<Sums::squared_inputs>(list), digital(), y, kKey,
                        Backwards{}));
    CHECK(difference(y, expected) == "");
  }
};

}  // namespace

TEST_CASE("An ideal ramp and an ideal successive approximation are the quantizer",
          "[converters_adc]") {
  for (int bits = 1; bits <= 12; ++bits) {
    check_ideal(RuntimeQuantizer(bits, -1.0f, 2.0f));
    check_ideal(RuntimeQuantizer(bits, 0.0f, static_cast<float>((1 << bits) - 1)));
    if (bits >= 2) check_ideal(RuntimeQuantizer::symmetric(bits, 10.0f));
    if (bits >= 2) {
      check_ideal(RuntimeQuantizer::symmetric(bits, static_cast<float>((1 << (bits - 1)) - 1)));
    }
  }
  check_ideal(RuntimeQuantizer(16, -3.0f, 0.5f));
  check_ideal(RuntimeQuantizer::symmetric(16, 1e-30f));
  check_ideal(RuntimeQuantizer(8, -1e38f, 1e38f));
  check_ideal(RuntimeQuantizer(8, 1e8f, 1.0001e8f));  // fewer floats than codes
}

TEST_CASE("Converters in epilogues, arrays and lists equal the oracle", "[converters_adc]") {
  const SymmetricQuantizer<8> adc(3.0f);
  const Quantizer<5> coarse(-2.0f, 3.0f);
  const Mismatch of_unit{0.05f, kChip, 3};
  Engine engine(3);
  std::vector<float> thresholds(254);
  REQUIRE(ramp_thresholds(adc, thresholds));
  for (float& t : thresholds) t += uniform(engine, -0.01f, 0.01f);
  std::sort(thresholds.begin(), thresholds.end());
  Matrix<float> drawn(3 * 8, 150), of_all(5, 150);
  REQUIRE(draw_bit_weights(of_unit, 8, drawn));
  REQUIRE(draw_bit_weights(of_unit, 5, of_all));
  CHECK(drawn(2 * 8 + 3, 149) ==
        std::fma(0.05f * std::sqrt(8.0f), standard_normal_at(kChip, 2, 149, 3 + 3), 8.0f));

  Layer layer;
  REQUIRE(layer.weights.tiles() == 3);
  layer.check(StochasticQuantizer(adc));
  layer.check(GaussianNoise{0.1f}, StochasticQuantizer(coarse), GaussianNoise{0.01f});
  layer.check(ReadNoise(0.05f), ColumnOffset{Mismatch{0.1f, kChip}}, RampAdc(adc, thresholds));
  layer.check(GaussianNoise{0.1f}, SarAdc(adc));
  layer.check(SarAdc(coarse, ColumnVectors{of_all}));
  layer.check(SarAdc(adc, of_unit));
  TestMatrix from_key(5, 150);
  REQUIRE(analog_gemm(layer.x, layer.dac, layer.weights, array(SarAdc(adc, of_unit)), digital(),
                      from_key, kKey));
  layer.check(SarAdc(adc, ColumnVectors{drawn}));
  CHECK(difference(layer.y, from_key) == "");

  // All kinds of floats, in rows and columns of all lengths.
  for (int i = 0; i < 20; ++i) {
    const std::size_t rows = integer(engine, 0, 5), cols = integer(engine, 0, 200);
    TestMatrix x(rows, 1), w(cols, 1), y(rows, cols, cols + 3), expected(rows, cols);
    x.fill([&] { return i % 2 == 0 ? any_float(engine) : uniform(engine, -4.0f, 4.0f); });
    w.fill([] { return 1.0f; });
    const auto same = [&](const auto& stages) {
      REQUIRE(fused_gemm(x.view(), w.view(), y.view(), stages, kKey));
      reference::fused_gemm(x.constant(), w.constant(), expected.view(), stages, kKey);
      CHECK(difference(y.constant(), expected) == "");
      CHECK(y.gaps_untouched());
    };
    same(epilogue(StochasticQuantizer(coarse)));
    same(epilogue(StochasticQuantizer(adc), GaussianNoise{0.1f}));
    same(epilogue(RampAdc(adc, thresholds)));
    same(epilogue(SarAdc(coarse, Mismatch{0.1f, kChip})));
  }
}

TEST_CASE("Rounding at random has no mean, the variance f(1 - f), and leaves levels alone",
          "[converters_adc]") {
  // Positions among the codes, one in each column; 10⁵ keys as rows.
  constexpr std::size_t kRows = 100000;
  const std::vector<float> positions = {0.0f,   0.001f, 0.25f,   0.5f,  1.75f, -0.001f,
                                        -0.25f, -1.5f,  -2.999f, 15.0f, -7.0f, 31.5f};
  TestMatrix x(kRows, 1), w(positions.size(), 1), y(kRows, positions.size());
  x.fill([] { return 1.0f; });
  for (std::size_t i = 0; i < positions.size(); ++i) w(i, 0) = positions[i];
  const SymmetricQuantizer<6> adc(31.0f);  // steps of 1
  REQUIRE(
      fused_gemm(x.view(), w.view(), y.view(), epilogue(StochasticQuantizer(adc)), NoiseKey{11}));
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const double position = std::min(positions[i], 31.0f);
    const double f = position - std::floor(position), count = kRows;
    double mean = 0.0, square = 0.0;
    for (std::size_t row = 0; row < kRows; ++row) {
      const double error = static_cast<double>(y(row, i)) - position;
      mean += error / count;
      square += error * error / count;
    }
    CAPTURE(position, mean, square);
    const double variance = f * (1.0 - f);
    if (variance == 0.0) CHECK(square == 0.0);
    CHECK(std::fabs(mean) <= 4.0 * std::sqrt(variance / count));
    // Of squares that are f² with probability 1 − f and (1 − f)² with f.
    const double spread = std::sqrt(variance) * std::fabs(1.0 - 2.0 * f);
    CHECK(std::fabs(square - variance) <= 4.0 * spread / std::sqrt(count) + 1e-5 * variance);
  }
}

TEST_CASE("Wrong bit weights and wrong ramps err by exact differences", "[converters_adc]") {
  // Three bits that weigh 1, 2.25 and 3.5 steps. A code begins where the last bit that is tried
  // lies in the middle: at 0.5, 2.25 − 0.5, 2.25 + 1 − 0.5, 3.5 − 0.5, …
  const Quantizer<3> ideal(0.0f, 7.0f);
  const std::vector<float> begins = {0.5f, 1.75f, 2.75f, 3.0f, 4.0f, 5.25f, 6.25f};
  const std::vector<float> differential = {0.25f, 0.0f, -0.75f, 0.0f, 0.25f, 0.0f};
  const std::vector<float> weights = {1.0f, 2.25f, 3.5f};
  Matrix<float> table(3, 32);
  for (std::size_t bit = 0; bit < 3; ++bit) {
    std::fill_n(table.view().row(bit), 32, weights[bit]);
  }
  const SarAdc sar(ideal, ColumnVectors{table});
  const auto codes_at = [&](const auto& adc, std::vector<float> offsets) {
    std::vector<float> all;
    for (const float begin : begins) {
      for (const float offset : offsets) all.push_back(begin + offset);
    }
    return through(adc, all);
  };
  for (std::size_t code = 1; code < 8; ++code) {
    const std::vector<float> around = codes_at(sar, {-0x1p-10f, 0x1p-10f});
    CHECK(around[2 * code - 2] == static_cast<float>(code - 1));
    CHECK(around[2 * code - 1] == static_cast<float>(code));
    if (code < 7) CHECK(begins[code] - begins[code - 1] - 1.0f == differential[code - 1]);
  }
  // A highest bit of 3 is kept from 2.5 on: code 3 would begin at 2.75, and is missing.
  std::fill_n(table.view().row(2), 32, 3.0f);
  CHECK(through(sar, std::vector<float>{2.0f, 2.45f, 2.55f, 2.8f, 3.2f}) ==
        std::vector<float>{2.0f, 2.0f, 4.0f, 4.0f, 4.0f});

  // The ramp: what its table says, equal thresholds being a missing code.
  const std::vector<float> thresholds = {0.25f, 1.0f, 1.0f, 3.0f, 4.5f, 4.75f, 100.0f};
  const RampAdc ramp(ideal, thresholds);
  CHECK(through(ramp, std::vector<float>{-5.0f, 0.2f, 0.25f, 0.99f, 1.0f, 2.9f, 3.0f, 4.6f, 50.0f,
                                         100.0f, kInf}) ==
        std::vector<float>{0.0f, 0.0f, 1.0f, 1.0f, 3.0f, 3.0f, 4.0f, 5.0f, 6.0f, 7.0f, 7.0f});
  // An ideal one has no differences: ties go to even codes.
  std::vector<float> of_ideal(7);
  REQUIRE(ramp_thresholds(ideal, of_ideal));
  for (std::size_t i = 0; i < 7; ++i) {
    const float middle = static_cast<float>(i) + 0.5f;
    CHECK(of_ideal[i] == (i % 2 == 1 ? middle : std::nextafter(middle, kInf)));
  }
}

TEST_CASE("Units of a bit deviate independently", "[converters_adc]") {
  Matrix<float> weights(4, 100000);
  REQUIRE(draw_bit_weights({0.1f, kChip}, 4, weights));
  for (std::size_t bit = 0; bit < 4; ++bit) {
    double mean = 0.0, square = 0.0;
    const double ideal = 1 << bit, variance = 0.01 * ideal, count = 100000.0;
    for (std::size_t i = 0; i < 100000; ++i) {
      const double deviation = static_cast<double>(weights(bit, i)) - ideal;
      mean += deviation / count;
      square += deviation * deviation / count;
    }
    CHECK(std::fabs(mean) < 4.0 * std::sqrt(variance / count));
    CHECK(std::fabs(square / variance - 1.0) < 4.0 * std::sqrt(2.0 / count));
  }
}

TEST_CASE("Backward, converters are what the ideal one is", "[converters_adc]") {
  Engine engine(2);
  TestMatrix x(4, 3), w(40, 3), y(4, 40), grad_y(4, 40), by_x(4, 3), expected(4, 3);
  x.fill_uniform(engine, -3.0f, 3.0f);
  w.fill_uniform(engine);
  grad_y.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto gradient = [&](const auto& stages, TestMatrix& to) {
    const auto pass = forward_pass(x, packed, stages, kKey);
    REQUIRE(forward(pass, y, record));
    backward(pass, grad_y, record, {to, {}, {}}, workspace);
  };
  const Quantizer<4> adc(-1.0f, 1.5f);
  std::vector<float> thresholds(15);
  REQUIRE(ramp_thresholds(adc, thresholds));
  gradient(epilogue(adc), expected);
  gradient(epilogue(StochasticQuantizer(adc)), by_x);
  CHECK(difference(by_x, expected) == "");
  gradient(epilogue(RampAdc(adc, thresholds)), by_x);
  CHECK(difference(by_x, expected) == "");
  gradient(epilogue(SarAdc(adc, Mismatch{0.1f, kChip})), by_x);
  CHECK(difference(by_x, expected) == "");

  // Where a derivative needs values they are made again, from the same numbers.
  const auto stages =
      epilogue(IntensityNoise{0.5f}, StochasticQuantizer(adc), ShotNoiseWithDerivative{0.3f});
  gradient(stages, by_x);
  gradient(StageList(IntensityNoise{0.5f}, StochasticQuantizer(adc), ShotNoiseWithDerivative{0.3f}),
           expected);
  CHECK(difference(by_x, expected) == "");
  TestMatrix by_sums(4, 40);
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t column = 0; column < 40; ++column) {
      const float value = reference::dot(&x(row, 0), &w(column, 0), 3);
      by_sums(row, column) =
          reference::walk(stages, value, grad_y(row, column), row, column, kKey).gradient;
    }
    for (std::size_t k = 0; k < 3; ++k) {
      float sum = 0.0f;
      for (std::size_t o = 0; o < 40; ++o) {
        sum = detail::chain_multiply_add(by_sums(row, o), w(o, k), sum);
      }
      expected(row, k) = sum;
    }
  }
  CHECK(difference(by_x, expected) == "");
}

TEST_CASE("Converters that are refused", "[converters_adc][errors]") {
  Layer layer;
  const Quantizer<3> ideal(0.0f, 7.0f);
  const auto refused = [&](const auto& stage, std::initializer_list<std::string_view> parts) {
    expect_error(
        [&] {
          analog_gemm(layer.x, layer.dac, layer.weights, array(stage), digital(), layer.y, kKey);
        },
        parts);
    CHECK(layer.y.untouched());
  };
  std::vector<float> thresholds = {0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f};
  refused(RampAdc(ideal, thresholds), {"lumina::RampAdc", "6 thresholds", "3 bits has 7"});
  thresholds.push_back(4.0f);
  refused(RampAdc(ideal, thresholds), {"lumina::RampAdc: threshold 6 is 4", "ascend"});
  thresholds[6] = kNaN;
  refused(RampAdc(ideal, thresholds), {"lumina::RampAdc: threshold 6 is NaN"});
  thresholds[6] = 6.5f;
  thresholds[0] = kNaN;
  refused(RampAdc(ideal, thresholds), {"lumina::RampAdc: threshold 0 is NaN"});
  expect_error([&] { ramp_thresholds(ideal, std::span(thresholds).first(3)); },
               {"lumina::ramp_thresholds", "room for 3", "3 bits has 7"});

  refused(SarAdc(ideal, Mismatch{-0.1f, kChip}), {"lumina::Mismatch: stddev"});
  Matrix<float> weights(3, 150), narrow(3, 149), uneven(4, 150);
  for (float& v : weights.elements()) v = 1.0f;
  refused(SarAdc(ideal, ColumnVectors{narrow}), {"lumina::SarAdc", "[3, 149]", "[5, 150]"});
  refused(SarAdc(ideal, ColumnVectors{uneven}), {"lumina::SarAdc", "[4, 150]", "3 bits"});
  weights(1, 2) = 0.0f;
  refused(SarAdc(ideal, ColumnVectors{weights}), {"lumina::SarAdc", "row 1, column 2 is 0"});
  weights(1, 2) = kNaN;
  refused(SarAdc(ideal, ColumnVectors{weights}), {"lumina::SarAdc", "is NaN"});
  expect_error([&] { draw_bit_weights({0.1f, kChip}, 17, weights); }, {"draw_bit_weights", "17"});
  expect_error([&] { draw_bit_weights({0.1f, kChip}, 0, weights); }, {"draw_bit_weights", "0"});
  expect_error(
      [&] {
        draw_bit_weights({0.1f, kChip}, 2, weights);
      },
      {"draw_bit_weights", "[3, 150]", "bits are 2"});
  expect_error([&] { draw_bit_weights({kInf, kChip}, 3, weights); }, {"lumina::Mismatch: stddev"});
  CHECK(weights(2, 149) == 1.0f);

  // What wants currents stands in front of them.
  STATIC_REQUIRE(detail::Converts<RampAdc>);
  STATIC_REQUIRE(!detail::currents_before_adc<SarAdc<>, ReadNoise>());
  STATIC_REQUIRE(detail::currents_before_adc<ReadNoise, StochasticQuantizer>());
}
