// Gradients of layers on arrays against plain sums in double: gates for each array, whose ADC
// clipped with the noise of the forward pass.
#include <lumina/analog_pass.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <lumina/reference_analog.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kBatch = 21, kIn = 100, kOut = 50;
const NoiseKey key{5, 6, 7};
const SymmetricQuantizer<8> kAdc(3.0f);  // clips one in three, or so

auto in_array() { return array(GaussianNoise{0.1f}, kAdc); }

struct Training {
  TestMatrix x{kBatch, kIn, kIn + 3}, w{kOut, kIn}, y{kBatch, kOut}, grad_y{kBatch, kOut};
  TestMatrix input{kBatch, kIn, kIn + 2}, weights{kOut, kIn, kIn + 1};
  std::vector<float> bias, grad_bias;
  ForwardRecord record;
  BackwardWorkspace workspace;

  explicit Training(Engine& engine) : bias(kOut), grad_bias(kOut, kNaN) {
    x.fill_uniform(engine, -2.5f, 2.5f);
    w.fill_uniform(engine);
    grad_y.fill_uniform(engine);
    for (float& b : bias) b = uniform(engine, -0.5f, 0.5f);
  }
  Gradients gradients() {
    Gradients result;
    result.input = input.view();
    result.weights = weights.view();
    result.bias = grad_bias;
    return result;
  }
};

float held(const TiledFloats& w, std::size_t row, std::size_t col) { return w.value(row, col); }
template <int Bits>
float held(const TiledWeights<Bits>& w, std::size_t row, std::size_t col) {
  return static_cast<float>(w.code(row, col)) * w.code_value() * w.scales(w.tile_of(col))[row];
}

/// Largest differences from the gradients by the book.
template <class Weights, class Dac>
void check(Training& t, const Weights& weights, const Dac& dac) {
  const auto behind = digital(AddBias{t.bias}, Relu{});
  const auto pass = analog_pass(t.x.view(), dac, weights, in_array(), behind, key);
  REQUIRE(forward(pass, t.y.view(), t.record));
  REQUIRE(backward(pass, t.grad_y.constant(), t.record, t.gradients(), t.workspace));

  const MatrixView<const float> x = t.x.constant();
  std::vector<double> input(kBatch * kIn), weight(kOut * kIn), bias(kOut);
  std::size_t clipped = 0, all = 0;
  for (std::size_t row = 0; row < kBatch; ++row) {
    for (std::size_t column = 0; column < kOut; ++column) {
      const double behind_relu =
          t.y(row, column) > 0.0f ? static_cast<double>(t.grad_y(row, column)) : 0.0;
      bias[column] += behind_relu;
      for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
        const auto own = reference::row_dac(x, row, weights.first_input(tile),
                                            weights.input_count(tile), dac, 0);
        const auto output = reference::array_output(x, weights, row, column, tile, own);
        const bool passed = !reference::through_array(output.value, row, column, tile, tile,
                                                      in_array().stages, output.facts, key)
                                 .clipped;
        clipped += passed ? 0 : 1;
        ++all;
        if (!passed) continue;
        for (std::size_t i = 0; i < weights.input_count(tile); ++i) {
          const std::size_t k = weights.first_input(tile) + i;
          if (std::fabs(x(row, k)) <= own.range) {
            input[row * kIn + k] += behind_relu * static_cast<double>(held(weights, column, k));
          }
          weight[column * kIn + k] += behind_relu * static_cast<double>(own.dac(x(row, k)));
        }
      }
    }
  }
  CHECK(clipped * 20 > all);
  CHECK(clipped * 20 < 19 * all);
  double input_error = 0.0, weight_error = 0.0, bias_error = 0.0;
  for (std::size_t row = 0; row < kBatch; ++row) {
    for (std::size_t k = 0; k < kIn; ++k) {
      input_error = std::fmax(
          input_error, std::fabs(static_cast<double>(t.input(row, k)) - input[row * kIn + k]));
    }
  }
  for (std::size_t column = 0; column < kOut; ++column) {
    for (std::size_t k = 0; k < kIn; ++k) {
      weight_error = std::fmax(weight_error, std::fabs(static_cast<double>(t.weights(column, k)) -
                                                       weight[column * kIn + k]));
    }
    bias_error =
        std::fmax(bias_error, std::fabs(static_cast<double>(t.grad_bias[column]) - bias[column]));
  }
  CHECK(input_error < 1e-5);
  CHECK(weight_error < 1e-5);
  CHECK(bias_error < 1e-5);
  CHECK(t.input.gaps_untouched());
  CHECK(t.weights.gaps_untouched());
}

}  // namespace

TEST_CASE("Gradients of a layer on arrays pass where each array's ADC let them", "[analog_pass]") {
  Engine engine(1);
  Training t(engine);
  for (const Mapping& mapping : {Mapping{{33, 16}}, Mapping{{512, 512}},
                                 Mapping{{40, 30}, TileScale::per_tile, TileSplit::equal}}) {
    check(t, encode_tiles<8>(t.w, mapping), RuntimeQuantizer::symmetric(8, 2.0f));
    check(t, encode_tiles<8>(t.w, mapping), ManagedDac{8, 2.0f, NoiseManagement::abs_max});
  }
  check(t, encode_tiles<4>(t.w, {{33, 16}}), RuntimeQuantizer::symmetric(8, 2.0f));
  check(t, pack_tiles(t.w, {{33, 16}}, 12), RuntimeQuantizer::symmetric(12, 2.0f));
}

TEST_CASE("Gradients of a layer on arrays are the same on any threads", "[analog_pass]") {
  Engine engine(2);
  Training t(engine), other(engine);
  const auto weights = encode_tiles<8>(t.w, {{33, 16}});
  const auto pass = analog_pass(t.x.view(), RuntimeQuantizer::symmetric(8, 2.0f), weights,
                                in_array(), digital(AddBias{t.bias}, Relu{}), key);
  REQUIRE(forward(pass, t.y.view(), t.record));
  REQUIRE(backward(pass, t.grad_y.constant(), t.record, t.gradients(), t.workspace));
  const ShuffledThreads threads{4};
  REQUIRE(forward(pass, other.y.view(), other.record, threads));
  REQUIRE(backward(pass, t.grad_y.constant(), other.record, other.gradients(), other.workspace,
                   threads));
  CHECK(difference(other.y, t.y) == "");
  CHECK(difference(other.input, t.input) == "");
  CHECK(difference(other.weights, t.weights) == "");
  CHECK(difference(other.grad_bias, t.grad_bias) == "");
}

TEST_CASE("A record of other arrays, or of none, is refused", "[analog_pass]") {
  Engine engine(3);
  Training t(engine);
  const auto weights = encode_tiles<8>(t.w, {{33, 16}}), wider = encode_tiles<8>(t.w, {{50, 16}});
  const auto behind = digital(AddBias{t.bias}, Relu{});
  const auto dac = RuntimeQuantizer::symmetric(8, 2.0f);
  const auto pass = analog_pass(t.x.view(), dac, weights, in_array(), behind, key);
  const auto other = analog_pass(t.x.view(), dac, wider, in_array(), behind, key);
  const auto run = [&] {
    static_cast<void>(backward(pass, t.grad_y.constant(), t.record, t.gradients(), t.workspace));
  };
  expect_error(run, {"[21, 100]", "[50, 100]", "the record is empty"});
  REQUIRE(forward(other, t.y.view(), t.record));
  expect_error(run, {"with 3 gates"});
  CHECK(is_poison(t.input(0, 0)));
  CHECK(is_poison(t.weights(0, 0)));
}
