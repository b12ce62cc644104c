#include <lumina/array_stages.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include <lumina/analog_gemm.hpp>
#include <lumina/backward.hpp>
#include <lumina/fused_gemm.hpp>
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

constexpr std::size_t kBatch = 5, kIn = 70, kOut = 150;
const NoiseKey kChip{1, 2}, kKey{3, 4, 5};

/// A layer on three arrays.
struct Layer {
  TestMatrix x{kBatch, kIn}, y{kBatch, kOut}, expected{kBatch, kOut};
  TiledWeights<8> weights;
  SymmetricQuantizer<8> dac{1.0f};

  Layer() {
    Engine engine(1);
    TestMatrix w(kOut, kIn);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    encode_tiles(w, Mapping{.tile = {32, 512}}, weights);
  }

  template <class... Stages>
  void check(const Stages&... stages) {
    REQUIRE(analog_gemm(x, dac, weights, array(stages...), digital(), y, kKey));
    reference::analog_gemm(x.constant(), dac, weights, array(stages...), digital(), expected.view(),
                           kKey);
    CHECK(difference(y, expected) == "");
  }
};

}  // namespace

TEST_CASE("Each column's stages equal the oracle, from vectors and from the chip's key",
          "[array_stages]") {
  Layer layer;
  REQUIRE(layer.weights.tiles() == 3);
  const Mismatch mismatch{0.1f, kChip}, other{0.05f, kChip, 1};
  layer.check(ColumnGain{mismatch});
  layer.check(ColumnOffset{mismatch});
  layer.check(ColumnAsymmetry{mismatch});
  layer.check(OutputNonlinearity{mismatch, 0.02f});
  layer.check(OutputNonlinearity{mismatch, 0.02f}, ColumnAsymmetry{other}, GaussianNoise{0.04f},
              SymmetricQuantizer<8>(8.0f));

  // What the key draws, as vectors: the same bits.
  Matrix<float> gains(3, kOut), offsets(3, kOut), bends(3, kOut), changes(3, kOut);
  REQUIRE(draw_columns(mismatch, 1.0f, gains));
  REQUIRE(draw_columns(other, 0.0f, offsets));
  REQUIRE(draw_columns(mismatch, 0.02f, bends));
  REQUIRE(draw_columns(other, 0.0f, changes));
  CHECK(gains(2, 149) == std::fma(0.1f, standard_normal_at(kChip, 2, 149), 1.0f));
  CHECK(offsets(1, 33) == 0.05f * standard_normal_at(kChip, 1, 33, 1));
  const auto run = [&](const auto&... stages) {
    TestMatrix y(kBatch, kOut);
    REQUIRE(analog_gemm(layer.x, layer.dac, layer.weights, array(stages...), digital(), y, kKey));
    return y;
  };
  TestMatrix drawn = run(ColumnGain{mismatch}, ColumnOffset{other});
  TestMatrix stored = run(ColumnGain{ColumnVectors{gains}}, ColumnOffset{ColumnVectors{offsets}});
  CHECK(difference(drawn, stored) == "");
  const std::vector<float> factors = {1.0f, 1.25f, 0.5f};
  drawn = run(OutputNonlinearity{mismatch, 0.02f, factors}, ColumnAsymmetry{other});
  stored = run(OutputNonlinearity{ColumnVectors{bends}, 0.0f, factors},
               ColumnAsymmetry{ColumnVectors{changes}});
  CHECK(difference(drawn, stored) == "");
  layer.check(OutputNonlinearity{ColumnVectors{bends}, 0.0f, factors},
              ColumnAsymmetry{ColumnVectors{changes}});

  // One row of values for all arrays.
  const MatrixView<const float> first(gains.data(), 1, kOut);
  layer.check(ColumnGain{ColumnVectors{first}});
}

TEST_CASE("A chip stays the same in every row, call and part of the batch", "[array_stages]") {
  Layer layer;
  const auto stages = array(ColumnGain{Mismatch{0.1f, kChip}});
  REQUIRE(analog_gemm(layer.x, layer.dac, layer.weights, stages, digital(), layer.y, kKey));
  const MatrixView<const float> part(&layer.x(3, 0), 2, kIn);
  TestMatrix y(2, kOut);
  REQUIRE(analog_gemm(part, layer.dac, layer.weights, stages, digital(), y, {9, 9, 9}));
  CHECK(difference(y, MatrixView<const float>(&layer.y(3, 0), 2, kOut)) == "");
  const auto of_another = array(ColumnGain{Mismatch{0.1f, {1, 3}}});
  REQUIRE(analog_gemm(part, layer.dac, layer.weights, of_another, digital(), y, kKey));
  CHECK(difference(y, MatrixView<const float>(&layer.y(3, 0), 2, kOut)) != "");
}

TEST_CASE("The nonlinearity bends as its formula, and the factor makes up for it",
          "[array_stages]") {
  TestMatrix x(1, 1), w(1, 1), y(1, 1);
  w(0, 0) = 1.0f;
  const float bound = 10.0f, n = 0.3f, slope = 0.5f;
  OutputNonlinearity stage{Mismatch{0.0f, kChip}, n / bound};
  const auto at = [&](float value) {
    x(0, 0) = value;
    fused_gemm(x.view(), pack_weights(w), y.view(), epilogue(stage), kKey);
    return y(0, 0);
  };
  CHECK(at(5.0f) == Approx(5.0 / (1.0 + 0.03 * 5.0)));
  CHECK(at(-5.0f) == -at(5.0f));
  const std::vector<float> factor{stage.slope_factor(0, 40, slope, bound)};
  CHECK(factor[0] == Approx(std::pow(1.0 + 0.03 * slope * bound, 2)));
  stage.factors = factor;
  // The slope at slope·bound is 1 again: f / (1 + n·y)².
  const double rise = (at(5.01f) - at(4.99f)) / 0.02;
  CHECK(rise == Approx(1.0).epsilon(0.01));
  // With a spread the mean is that of the columns' own.
  const OutputNonlinearity spread{Mismatch{0.5f, kChip}, 0.0f};
  double mean = 0.0;
  for (std::size_t column = 0; column < 40; ++column) {
    mean += std::fabs(0.5 * standard_normal_at(kChip, 2, column)) / 40.0;
  }
  CHECK(spread.slope_factor(2, 40, slope, bound) ==
        Approx(std::pow(1.0 + mean * slope * bound, 2)));
}

TEST_CASE("Asymmetry changes negative currents only", "[array_stages]") {
  TestMatrix x(2, 1), w(2, 1), y(2, 2);
  w(0, 0) = w(1, 0) = 1.0f;
  x(0, 0) = 3.0f;
  x(1, 0) = -3.0f;
  const std::vector<float> change{0.5f, -0.25f};
  const MatrixView<const float> row(change.data(), 1, 2);
  fused_gemm(x.view(), pack_weights(w), y.view(), epilogue(ColumnAsymmetry{ColumnVectors{row}}),
             kKey);
  CHECK(y(0, 0) == 3.0f);
  CHECK(y(0, 1) == 3.0f);
  CHECK(y(1, 0) == -4.5f);
  CHECK(y(1, 1) == -2.25f);
}

TEST_CASE("The columns' stages are straight through backward", "[array_stages]") {
  Engine engine(2);
  TestMatrix x(4, 3), w(40, 3), y(4, 40), grad_y(4, 40), by_x(4, 3), straight(4, 3);
  x.fill_uniform(engine);
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
  const Mismatch mismatch{0.1f, kChip};
  gradient(epilogue(), straight);
  gradient(epilogue(ColumnGain{mismatch}, ColumnOffset{mismatch}, ColumnAsymmetry{mismatch},
                    OutputNonlinearity{mismatch, 0.1f}),
           by_x);
  CHECK(difference(by_x, straight) == "");
}

TEST_CASE("Columns that are refused", "[array_stages][errors]") {
  Layer layer;
  Matrix<float> values(1, kOut - 1), none(0, kOut);
  const auto refused = [&](const auto& stage, std::initializer_list<std::string_view> parts) {
    expect_error(
        [&] {
          analog_gemm(layer.x, layer.dac, layer.weights, array(stage), digital(), layer.y, kKey);
        },
        parts);
    CHECK(layer.y.untouched());
  };
  refused(ColumnGain{ColumnVectors{values}}, {"lumina::ColumnGain", "[1, 149]", "[5, 150]"});
  refused(ColumnOffset{ColumnVectors{none}}, {"lumina::ColumnOffset", "[0, 150]"});
  refused(ColumnAsymmetry{ColumnVectors{{nullptr, 1, kOut}}}, {"ColumnAsymmetry", "missing"});
  refused(ColumnGain{Mismatch{-0.1f, kChip}}, {"lumina::Mismatch: stddev"});
  refused(OutputNonlinearity{Mismatch{0.1f, kChip}, kNaN}, {"OutputNonlinearity: mean"});
  expect_error([&] { draw_columns({kInf, kChip}, 0.0f, values); }, {"lumina::Mismatch: stddev"});
}
