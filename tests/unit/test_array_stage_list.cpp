// Lists of stages in arrays and behind them against the same stages known at compile time.
#include <lumina/analog_pass.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <lumina/array_stages.hpp>
#include <lumina/independent.hpp>
#include <lumina/read_noise.hpp>
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

/// A user's stage that wants the row's range, and to know its array.
struct RangeNoise {
  float strength;
  static constexpr std::size_t normals_per_element = 1;
  static constexpr bool row_facts = true;
  template <class Floats>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes&,
               const std::array<Floats, 1>& normals, const Facts<Floats>& facts) const {
    const Floats deviation(strength * facts.row.range + static_cast<float>(at.tile));
    return fused_multiply_add(deviation, normals[0], values);
  }
  template <class Floats>
  Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

struct Layer {
  std::size_t batch, in, out;
  TestMatrix x, w, bias;
  TiledWeights<8> weights;
  NoiseKey key;

  Layer(Engine& engine, std::size_t rows, std::size_t inputs, std::size_t outputs,
        const Mapping& mapping)
      : batch(rows),
        in(inputs),
        out(outputs),
        x(rows, inputs, inputs + 1),
        w(outputs, inputs),
        bias(1, outputs),
        weights(encode_tiles<8>(w.fill_uniform(engine), mapping)),
        key{engine(), engine(), engine()} {
    x.fill_uniform(engine);
    bias.fill_uniform(engine);
  }
  std::span<const float> columns() { return {bias.view().data(), out}; }
};

}  // namespace

TEST_CASE("array stage list: the bits of stages known at compile time", "[stage_list]") {
  Engine engine(1);
  const SymmetricQuantizer<8> dac(1.0f), adc(6.0f);
  const RuntimeQuantizer codes_of_outputs(8, -3.0f, 4.0f);
  for (const std::size_t tile : {16u, 40u, 200u}) {
    Layer layer(engine, integer(engine, 1, 20), integer(engine, 50, 90), integer(engine, 1, 280),
                {.tile = {tile, 512}});
    CAPTURE(tile, layer.batch, layer.in, layer.out);
    const AddBias bias{layer.columns()};
    TestMatrix y(layer.batch, layer.out, layer.out + 2), expected(layer.batch, layer.out);
    const StageList in_array(GaussianNoise{0.1f}, Attenuation{0.9f}, ShotNoise{0.05f}, adc);
    const StageList behind(bias, GaussianNoise{0.01f}, Relu{}, codes_of_outputs);
    const auto array_stages = array(GaussianNoise{0.1f}, Attenuation{0.9f}, ShotNoise{0.05f}, adc);
    const auto digital_stages = digital(bias, GaussianNoise{0.01f}, Relu{}, codes_of_outputs);
    analog_gemm(layer.x, dac, layer.weights, array_stages, digital_stages, expected, layer.key);
    for_each_executor([&](const auto& executor, const char* name) {
      CAPTURE(name);
      analog_gemm(layer.x, dac, layer.weights, array(in_array), digital(behind), y, layer.key,
                  executor);
      REQUIRE(difference(y, expected) == "");
    });
    CHECK(y.gaps_untouched());

    TestMatrixOf<std::uint8_t> codes(layer.batch, layer.out);
    analog_gemm(layer.x, dac, layer.weights, array(in_array), digital(behind), codes, layer.key);
    for (std::size_t row = 0; row < layer.batch; ++row) {
      for (std::size_t column = 0; column < layer.out; ++column) {
        REQUIRE(codes(row, column) == codes_of_outputs.encode(expected(row, column)));
      }
    }
    analog_gemm(layer.x, dac, layer.weights, array(), digital(), expected, layer.key);
    analog_gemm(layer.x, dac, layer.weights, array(StageList()), digital(StageList()), y,
                layer.key);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("array stage list: facts of rows and bound management", "[stage_list]") {
  Engine engine(2);
  Layer layer(engine, 11, 70, 150, {.tile = {32, 64}, .scale = TileScale::per_tile});
  const ManagedDac dac{.bits = 7,
                       .range = 0.5f,
                       .noise_management = NoiseManagement::abs_max,
                       .bound_iterations = 3};
  const SymmetricQuantizer<6> adc(3.0f);
  TestMatrix y(11, 150), expected(11, 150);
  analog_gemm(layer.x, dac, layer.weights, array(RangeNoise{0.2f}, adc), digital(Relu{}), expected,
              layer.key);
  analog_gemm(layer.x, dac, layer.weights, array<0, true>(StageList(RangeNoise{0.2f}, adc)),
              digital(StageList(Relu{})), y, layer.key);
  CHECK(difference(y, expected) == "");

  TestMatrix untouched(11, 150);
  expect_error(
      [&] {
        analog_gemm(layer.x, dac, layer.weights, array(StageList(Relu{}, RangeNoise{0.2f})),
                    digital(StageList()), untouched, layer.key);
      },
      {"stage 1 wants"});
  expect_error(
      [&] {
        analog_gemm(layer.x, dac, layer.weights, array<0, true>(StageList()),
                    digital(StageList(RangeNoise{0.2f})), untouched, layer.key);
      },
      {"stage 0 wants"});
  CHECK(untouched.untouched());
}

TEST_CASE("array stage list: sums, columns, merged noises; records and gradients", "[stage_list]") {
  Engine engine(3);
  const SymmetricQuantizer<7> dac(1.0f), adc(2.0f);
  constexpr unsigned kAll = Sums::magnitudes | Sums::squared_inputs | Sums::squares;
  for (const std::size_t batch : {5u, 34u}) {
    Layer layer(engine, batch, 60, 150, {.tile = {25, 64}});
    TestMatrix grad_y(batch, 150);
    grad_y.fill_uniform(engine);
    const MatrixView<const float> gains(layer.columns().data(), 1, 150);
    const AddBias bias{layer.columns()};
    const auto merged = independent(ReadNoise(0.1f), GaussianNoise{0.05f});
    const ColumnGain gain{Mismatch{0.1f, layer.key}};
    const OutputNonlinearity nonlinearity{ColumnVectors{gains}, 0.0f};
    const auto train = [&](const auto& pass) {
      std::vector<TestMatrix> results;
      for (const auto& [rows, cols] :
           {std::pair(batch, layer.out), std::pair(batch, layer.in), std::pair(layer.out, layer.in),
            std::pair(std::size_t{1}, layer.out)}) {
        results.emplace_back(rows, cols);
      }
      ForwardRecord record;
      BackwardWorkspace workspace;
      CHECK(forward(pass, results[0], record));
      CHECK(record.gates() == 4);
      CHECK(backward(pass, grad_y, record,
                     {results[1], results[2], {results[3].view().data(), layer.out}}, workspace));
      return results;
    };
    auto expected = train(analog_pass(layer.x, dac, layer.weights,
                                      array(nonlinearity, gain, merged, ProportionalReadNoise(0.1f),
                                            BalancedShotNoise(0.1f), IntensityNoise{0.1f}, adc),
                                      digital(bias, Relu{}), layer.key));
    auto actual = train(analog_pass(
        layer.x, dac, layer.weights,
        array<kAll, true>(StageList(nonlinearity, gain, merged, ProportionalReadNoise(0.1f),
                                    BalancedShotNoise(0.1f), IntensityNoise{0.1f}, adc)),
        digital(StageList(bias, Relu{})), layer.key));
    for (std::size_t i = 0; i < 4; ++i) CHECK(difference(actual[i], expected[i]) == "");
  }

  Layer layer(engine, 3, 20, 30, {});
  TestMatrix y(3, 30);
  ForwardRecord record;
  const auto pass = analog_pass(layer.x, dac, layer.weights,
                                array(StageList(Relu{}, ShotNoiseWithDerivative{0.1f})),
                                digital(StageList()), layer.key);
  expect_error([&] { forward(pass, y, record); }, {"stage 1", "depends on values"});
  CHECK(!record.filled());
  CHECK(y.untouched());
}
