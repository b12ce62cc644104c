#include <lumina/noisy_dac.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/analog_gemm.hpp>
#include <lumina/analog_pass.hpp>
#include <lumina/compensation.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>
#include <lumina/report.hpp>
#include <lumina/tiled_weights_view.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{3, 4, 5};

template <int Bits>
struct Layer {
  std::size_t batch, in, out;
  TestMatrix x, w, y, expected;
  TiledWeights<Bits> weights;

  Layer(std::size_t rows, std::size_t inputs, std::size_t outputs, const Mapping& mapping)
      : batch(rows),
        in(inputs),
        out(outputs),
        x(batch, in, in + 3),
        w(out, in),
        y(batch, out, out + 2),
        expected(batch, out) {
    Engine engine(rows + inputs + outputs);
    x.fill_uniform(engine, -1.2f, 1.2f);
    w.fill_uniform(engine);
    REQUIRE(encode_tiles(w, mapping, weights));
  }

  template <class Dac, class... Stages>
  void check(const Dac& dac, const Stages&... stages) {
    CAPTURE(Bits, batch, in, out);
    reference::analog_gemm(x.constant(), dac, weights, array(stages...), digital(), expected.view(),
                           kKey);
    const auto run = [&](std::size_t first, std::size_t count) {
      if (count == 0) return;
      REQUIRE(analog_gemm(MatrixView<const float>(&x(first, 0), count, in, in + 3), dac, weights,
                          array(stages...), digital(),
                          MatrixView<float>(&y(first, 0), count, out, out + 2),
                          {kKey.seed, kKey.stream, kKey.row_offset + first}, Backwards{}));
    };
    run(0, batch);
    if (out != 0) CHECK(difference(y.constant(), expected) == "");
    // The same in parts of the batch.
    y.fill([] { return 0.0f; });
    run(batch / 2, batch - batch / 2);
    run(0, batch / 2);
    if (out != 0) CHECK(difference(y.constant(), expected) == "");
  }
};

}  // namespace

TEST_CASE("Noisy inputs and those rounded at random equal the oracle", "[noisy_dac]") {
  const RuntimeQuantizer symmetric = RuntimeQuantizer::symmetric(8, 1.0f);
  const RuntimeQuantizer one_sided(6, 0.0f, 1.0f);
  const ManagedDac managed{7, 0.7f, NoiseManagement::abs_max, 2};
  const SymmetricQuantizer<8> adc(1.5f);

  Layer<8> layer(5, 150, 137, {{37, 512}});
  layer.check(NoisyDac(symmetric, 0.05f));
  layer.check(NoisyDac(one_sided, 0.02f));
  layer.check(NoisyDac(RuntimeQuantizer(1, -1.0f, 1.0f), 0.03f));
  layer.check(NoisyDac(RuntimeQuantizer::symmetric(2, 1.0f), 0.03f));
  layer.check(NoisyDac(symmetric, 5.0f));  // saturates
  layer.check(NoisyDac(symmetric, kLargest));
  layer.check(NoisyDac(symmetric, 0.05f), ReadNoise(0.1f));
  layer.check(NoisyDac(managed, 0.05f), ReadNoise(0.1f), ProportionalReadNoise(0.1f),
              BalancedShotNoise(0.1f), ConstantReadNoise(0.05f), adc);
  layer.check(StochasticDac(symmetric), ReadNoise(0.1f), adc);
  layer.check(StochasticDac(one_sided), ReadNoise(0.1f), adc);
  layer.check(NoisyDac(StochasticDac(managed), 0.03f), GaussianNoise{0.1f}, adc);

  // Inputs that are no numbers, or no finite ones.
  layer.x(1, 3) = kNaN;
  layer.x(2, 40) = kInf;
  layer.x(3, 149) = -kInf;
  layer.check(NoisyDac(symmetric, 0.05f));
  layer.check(NoisyDac(StochasticDac(managed), 0.03f), GaussianNoise{0.1f}, adc);

  // Fewer stored bits; rows that fill whole tiles of kernels; few and no elements.
  Layer<4>(40, 133, 100, {{64, 512}}).check(NoisyDac(symmetric, 0.05f), ReadNoise(0.1f));
  Layer<2>(33, 700, 30, {{300, 512}}).check(NoisyDac(symmetric, 0.05f));
  Layer<8>(60, 70, 40, {{512, 512}}).check(NoisyDac(symmetric, 0.05f), ReadNoise(0.1f));
  for (const std::size_t size : {0u, 1u, 31u, 33u, 127u, 129u}) {
    Layer<8>(1, size, 3, {{50, 512}}).check(NoisyDac(symmetric, 0.05f));
    Layer<8>(2, 3, size, {{2, 512}}).check(NoisyDac(symmetric, 0.05f));
  }
  Layer<8>(0, 3, 5, {}).check(NoisyDac(symmetric, 0.05f));

  // Codes that are codes already.
  TestMatrixOf<std::uint8_t> codes(5, 150);
  Engine engine(4);
  codes.fill([&] { return static_cast<std::uint8_t>(integer(engine, 0, 254)); });
  const NoisyDac dac(symmetric, 0.05f);
  REQUIRE(analog_gemm(codes.view(), dac, layer.weights, array(), digital(), layer.y, kKey));
  reference::analog_gemm(codes.constant(), dac, layer.weights, array(), digital(),
                         layer.expected.view(), kKey);
  CHECK(difference(layer.y.constant(), layer.expected) == "");
}

TEST_CASE("Without noise inputs have the bits of their DAC", "[noisy_dac]") {
  Layer<8> layer(6, 150, 137, {{37, 512}});
  const auto run = [&](const auto& dac, TestMatrix& to) {
    REQUIRE(
        analog_gemm(layer.x, dac, layer.weights, array(GaussianNoise{0.1f}), digital(), to, kKey));
  };
  const auto same = [&](const auto& dac) {
    run(dac, layer.expected);
    run(NoisyDac(dac, 0.0f), layer.y);
    CHECK(difference(layer.y.constant(), layer.expected) == "");
  };
  same(RuntimeQuantizer::symmetric(8, 1.0f));
  same(RuntimeQuantizer::symmetric(3, 1.0f));
  same(RuntimeQuantizer(8, -0.5f, 1.0f));
  same(StochasticDac(ManagedDac{5, 0.7f, NoiseManagement::abs_max, 2}));
  // The outputs' noise is another one, and does not move.
  run(RuntimeQuantizer::symmetric(8, 1.0f), layer.expected);
  run(NoisyDac(RuntimeQuantizer::symmetric(8, 1.0f), 1e-4f), layer.y);
  double largest = 0.0;
  for (std::size_t row = 0; row < layer.batch; ++row) {
    for (std::size_t column = 0; column < layer.out; ++column) {
      largest = std::fmax(largest, std::fabs(layer.y(row, column) - layer.expected(row, column)));
    }
  }
  CHECK(largest > 0.0);
  CHECK(largest < 1e-4 * 6.7 * std::sqrt(150.0));
}

TEST_CASE("Noise of inputs does not depend on how weights are cut", "[noisy_dac]") {
  // Weights 1 on the diagonal: each output is its input.
  TestMatrix x(4, 150), w(150, 150), y(4, 150), expected(4, 150);
  Engine engine(1);
  x.fill_uniform(engine);
  for (std::size_t k = 0; k < 150; ++k) {
    for (std::size_t o = 0; o < 150; ++o) w(o, k) = o == k ? 1.0f : 0.0f;
  }
  const RuntimeQuantizer dac = RuntimeQuantizer::symmetric(8, 1.0f);
  const auto run = [&](std::size_t inputs, TestMatrix& to) {
    const auto weights = encode_tiles<8>(w.constant(), {{inputs, 512}, TileScale::per_column});
    REQUIRE(
        analog_gemm(x, NoisyDac(StochasticDac(dac), 0.1f), weights, array(), digital(), to, kKey));
  };
  run(512, expected);
  for (std::size_t row = 0; row < 4; ++row) {
    for (std::size_t k = 0; k < 150; ++k) {
      const float u = standard_uniform_at(input_key(kKey), row, k, 1);
      const double position = x(row, k) * 127.0, below = std::floor(position);
      const double code = u <= position - below ? below + 1.0 : below;
      const double exact = code / 127.0 + 0.1 * standard_normal_at(input_key(kKey), row, k);
      CHECK(std::fabs(expected(row, k) - exact) < 0x1p-14 + 1e-6);
    }
  }
  for (const std::size_t inputs : {150u, 64u, 33u, 1u}) {
    run(inputs, y);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("Input noise has the variance of its sum of squared weights", "[noisy_dac]") {
  constexpr std::size_t kSamples = 100000, kIn = 40, kOut = 6;
  Matrix<float> x(kSamples, kIn), w(kOut, kIn), y(kSamples, kOut);
  Engine engine(1);
  std::vector<float> row(kIn);
  for (float& v : row) v = uniform(engine, -1.0f, 1.0f);
  for (std::size_t i = 0; i < kSamples; ++i) std::copy(row.begin(), row.end(), &x(i, 0));
  for (float& v : w.elements()) v = uniform(engine, -1.0f, 1.0f);
  for (std::size_t k = 0; k < kIn; ++k) {
    w(0, k) = k % 2 == 0 ? 1.0f : -1.0f;
    w(1, k) = k == 7 ? 1.0f : 0.0f;
  }
  const RuntimeQuantizer dac = RuntimeQuantizer::symmetric(6, 2.0f);
  const auto weights = encode_tiles<8>(w, {{16, 512}});
  const auto check = [&](const auto& random, double sigma, bool stochastic) {
    REQUIRE(analog_gemm(x, random, weights, array(), digital(), y, NoiseKey{9}));
    for (std::size_t column = 0; column < kOut; ++column) {
      double expected_mean = 0.0, expected = 0.0;
      for (std::size_t k = 0; k < kIn; ++k) {
        const double worth =
            2.0 * weights.scales(weights.tile_of(k))[column] * (weights.code(column, k) / 127.0);
        const double position = row[k] / 2.0 * 31.0, f = position - std::floor(position);
        const double code = stochastic ? position : std::nearbyint(position);
        expected_mean += worth * code / 31.0;
        expected +=
            worth * worth * (sigma * sigma + (stochastic ? f * (1.0 - f) / (31.0 * 31.0) : 0.0));
      }
      double mean = 0.0, variance = 0.0;
      for (std::size_t i = 0; i < kSamples; ++i) mean += y(i, column) / double{kSamples};
      for (std::size_t i = 0; i < kSamples; ++i) {
        const double deviation = y(i, column) - mean;
        variance += deviation * deviation / double{kSamples};
      }
      CAPTURE(column, mean, expected_mean, variance, expected);
      CHECK(std::fabs(mean - expected_mean) < 4.0 * std::sqrt(expected / kSamples) + 1e-6);
      CHECK(std::fabs(variance / expected - 1.0) < 4.0 * std::sqrt(2.0 / kSamples) + 1e-4);
    }
  };
  check(NoisyDac(dac, 0.05f), 0.05, false);
  check(StochasticDac(dac), 0.0, true);
  check(NoisyDac(StochasticDac(dac), 0.02f), 0.02, true);
}

TEST_CASE("Backward, random DACs are ideal ones", "[noisy_dac]") {
  Layer<8> layer(6, 50, 40, {{20, 512}});
  Engine engine(2);
  TestMatrix grad_y(6, 40), by_x(6, 50), by_w(40, 50), expected_x(6, 50), expected_w(40, 50);
  grad_y.fill_uniform(engine);
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto gradients = [&](const auto& dac, TestMatrix& to_x, TestMatrix& to_w) {
    const auto pass = analog_pass(layer.x.view(), dac, layer.weights, array(), digital(), kKey);
    REQUIRE(forward(pass, layer.y, record));
    REQUIRE(backward(pass, grad_y, record, {to_x, to_w, {}}, workspace));
  };
  const auto same = [&](const auto& dac) {
    gradients(dac, expected_x, expected_w);
    gradients(NoisyDac(StochasticDac(dac), 0.1f), by_x, by_w);
    CHECK(difference(by_x, expected_x) == "");
    CHECK(difference(by_w, expected_w) == "");
  };
  same(SymmetricQuantizer<8>(1.0f));
  same(ManagedDac{6, 0.5f, NoiseManagement::abs_max});

  // Read-outs and reports take them too.
  std::vector<float> means(3), with_noise(3);
  REQUIRE(read_out(layer.weights, SymmetricQuantizer<8>(1.0f), array(), Compensation::per_tile,
                   means, kKey));
  REQUIRE(read_out(layer.weights, NoisyDac(SymmetricQuantizer<8>(1.0f), 0.01f), array(),
                   Compensation::per_tile, with_noise, kKey));
  for (std::size_t tile = 0; tile < 3; ++tile) {
    CHECK(means[tile] != with_noise[tile]);
    CHECK(with_noise[tile] == Approx(means[tile]).epsilon(0.05));
  }
  LayerReport report;
  const NoisyDac noisy(SymmetricQuantizer<8>(1.0f), 0.1f);
  REQUIRE(analog_gemm(layer.x, noisy, layer.weights, array(), digital(), layer.expected, kKey));
  REQUIRE(analog_gemm(layer.x, noisy, layer.weights, array(), digital(), layer.y, report, kKey));
  CHECK(difference(layer.y.constant(), layer.expected) == "");
}

TEST_CASE("Random DACs that are refused", "[noisy_dac][errors]") {
  Layer<8> layer(2, 517, 3, {{517, 512}});
  const RuntimeQuantizer dac = RuntimeQuantizer::symmetric(8, 1.0f);
  const auto refused = [&](const auto& random, std::initializer_list<std::string_view> parts) {
    expect_error(
        [&] { analog_gemm(layer.x, random, layer.weights, array(), digital(), layer.y, kKey); },
        parts);
    CHECK(layer.y.untouched());
  };
  refused(NoisyDac(dac, 0.1f), {"lumina::analog_gemm", "[3, 517]", "517 inputs", "8 bits", "516"});
  REQUIRE(encode_tiles(layer.w, {{512, 512}}, layer.weights));
  refused(NoisyDac(dac, -0.1f), {"lumina::NoisyDac: stddev"});
  refused(NoisyDac(dac, kNaN), {"lumina::NoisyDac: stddev"});
  refused(NoisyDac(StochasticDac(ManagedDac{9}), 0.1f), {"ManagedDac: it has 9 bits"});
  refused(StochasticDac(RuntimeQuantizer(9, 0.0f, 1.0f)), {"the DAC has 9 bits"});

  // The largest sums there are.
  for (const float sign : {1.0f, -1.0f}) {
    Layer<8> extreme(3, 516, 40, {{516, 512}});
    extreme.x.fill([&] { return sign; });
    extreme.w.fill([] { return 1.0f; });
    REQUIRE(encode_tiles(extreme.w, {{516, 512}}, extreme.weights));
    extreme.check(NoisyDac(dac, 1e6f));
    extreme.check(NoisyDac(dac, 0.3f));
  }
}
