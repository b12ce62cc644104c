// Gradients of layers on arrays of sliced weights: each conversion has a gate of its own.
#include <lumina/analog_slices.hpp>

#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include <lumina/reference_slices.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey key{11, 22, 33};

struct Layer {
  TestMatrix x, w;
  std::vector<float> bias;
  SlicedWeights<8> weights;

  Layer(Engine& engine, const Mapping& mapping, const Slices& slices)
      : x(13, 60, 63), w(20, 60), bias(20) {
    x.fill_uniform(engine, -2.5f, 2.5f);
    w.fill_uniform(engine);
    for (float& b : bias) b = uniform(engine, -1.0f, 1.0f);
    REQUIRE(encode_slices(w, mapping, slices, weights));
  }
};

/// Gradients of a pass against plain sums in double.
template <class Dac, class InArray>
void check_gradients(Layer& layer, const Dac& dac, const InArray& in_array) {
  const MatrixView<const float> x = layer.x.constant();
  const std::size_t batch = x.rows(), in = x.cols(), out = layer.weights.rows();
  const SlicedWeights<8>& w = layer.weights;
  Engine engine(12);
  TestMatrix y(batch, out), grad_y(batch, out), by_x(batch, in, in + 2), by_w(out, in, in + 1);
  std::vector<float> by_bias(out);
  grad_y.fill_uniform(engine);
  ForwardRecord record;
  BackwardWorkspace workspace;
  const auto pass =
      analog_pass(layer.x.view(), dac, w, in_array, digital(AddBias{layer.bias}, Relu{}), key);
  REQUIRE(forward(pass, y.view(), record));
  Gradients gradients;
  gradients.input = by_x.view();
  gradients.weights = by_w.view();
  gradients.bias = by_bias;
  REQUIRE(backward(pass, grad_y.constant(), record, gradients, workspace));

  std::vector<double> input(batch * in), weight(out * in);
  double open_sum = 0.0, arrays = 0.0;
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t column = 0; column < out; ++column) {
      if (!(y(row, column) > 0.0f)) continue;
      for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
        const auto own =
            reference::row_dac(x, row, w.first_input(tile), w.input_count(tile), dac, 0);
        const double share =
            static_cast<double>(reference::sliced_total(x, w, row, column, tile,
                                                        reference::Digits(w.options(), own.dac),
                                                        own, 0, in_array.stages, key)
                                    .open);
        open_sum += share;
        arrays += 1.0;
        const double gradient = share * static_cast<double>(grad_y(row, column));
        for (std::size_t i = 0; i < w.input_count(tile); ++i) {
          const std::size_t k = w.first_input(tile) + i;
          const double held = static_cast<double>(static_cast<float>(w.whole().code(column, k)) *
                                                  w.whole().code_value()) *
                              static_cast<double>(w.whole().scales(tile)[column]);
          if (std::fabs(x(row, k)) <= own.range) input[row * in + k] += gradient * held;
          weight[column * in + k] += gradient * static_cast<double>(own.dac(x(row, k)));
        }
      }
    }
  }
  CHECK(open_sum > 0.3 * arrays);
  CHECK(open_sum < 0.95 * arrays);
  double error = 0.0;
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t k = 0; k < in; ++k) {
      error = std::fmax(error, std::fabs(static_cast<double>(by_x(row, k)) - input[row * in + k]));
    }
  }
  for (std::size_t column = 0; column < out; ++column) {
    for (std::size_t k = 0; k < in; ++k) {
      error = std::fmax(error,
                        std::fabs(static_cast<double>(by_w(column, k)) - weight[column * in + k]));
    }
  }
  CHECK(error < 2e-5);
  CHECK(by_x.gaps_untouched());
  CHECK(by_w.gaps_untouched());

  // Other threads change nothing; nor does a record that somebody kept.
  TestMatrix other_x(batch, in), other_w(out, in);
  gradients.input = other_x.view();
  gradients.weights = other_w.view();
  ForwardRecord other;
  REQUIRE(forward(pass, y.view(), other, ShuffledThreads{3}));
  REQUIRE(backward(pass, grad_y.constant(), other, gradients, workspace, ShuffledThreads{3}));
  CHECK(difference(other_x, by_x) == "");
  CHECK(difference(other_w, by_w) == "");
}

}  // namespace

TEST_CASE("Gradients go through the conversions that did not clip", "[sliced_training]") {
  Engine engine(11);
  const auto in_array = array(GaussianNoise{0.5f}, SymmetricQuantizer<6>(4.0f));
  Layer layer(engine, {{25, 16}}, {.cell_bits = 3, .input_bits = 2});
  check_gradients(layer, RuntimeQuantizer::symmetric(8, 2.0f), in_array);
  check_gradients(layer, ManagedDac{8, 2.0f, NoiseManagement::abs_max}, in_array);
  Layer passes(engine, {{64, 16}},
               {.cell_bits = 2, .input_bits = 3, .signs = InputSigns::two_passes});
  const std::vector<decltype(array(full_range_adc(5, 1.0f)))> each{
      array(full_range_adc(4, 8.0f)), array(full_range_adc(4, 12.0f)),
      array(full_range_adc(4, 20.0f)), array(full_range_adc(4, 8.0f))};
  check_gradients(passes, RuntimeQuantizer::symmetric(8, 2.0f), array_of_slices(std::span(each)));
}

TEST_CASE("Gradients of slices that nothing clips are those of whole weights, bit for bit",
          "[sliced_training]") {
  Engine engine(13);
  Layer layer(engine, {{25, 16}}, {.cell_bits = 3, .input_bits = 2});
  const auto dac = RuntimeQuantizer::symmetric(8, 2.0f);
  TestMatrix grad_y(13, 20), y(13, 20), by_x(13, 60), by_w(20, 60), whole_x(13, 60),
      whole_w(20, 60);
  grad_y.fill_uniform(engine);
  BackwardWorkspace workspace;
  const auto gradients_of = [&](const auto& weights, const auto& in_array, TestMatrix& of_x,
                                TestMatrix& of_w) {
    ForwardRecord record;
    const auto pass =
        analog_pass(layer.x.view(), dac, weights, in_array, digital(AddBias{layer.bias}), key);
    REQUIRE(forward(pass, y.view(), record));
    Gradients gradients;
    gradients.input = of_x.view();
    gradients.weights = of_w.view();
    REQUIRE(backward(pass, grad_y.constant(), record, gradients, workspace));
  };
  gradients_of(layer.weights.whole(), array(), whole_x, whole_w);
  gradients_of(layer.weights, array(full_range_adc(10, largest_current(layer.weights, dac))), by_x,
               by_w);
  CHECK(difference(by_x, whole_x) == "");
  CHECK(difference(by_w, whole_w) == "");
  gradients_of(layer.weights, array(), by_x, by_w);
  CHECK(difference(by_x, whole_x) == "");
  CHECK(difference(by_w, whole_w) == "");

  ForwardRecord record;
  const auto clipped = array(full_range_adc(5, 3.0f));
  const auto fewer = analog_pass(layer.x.view(), RuntimeQuantizer::symmetric(4, 2.0f),
                                 layer.weights, clipped, digital(), key);
  REQUIRE(forward(fewer, y.view(), record));
  const auto pass = analog_pass(layer.x.view(), dac, layer.weights, clipped, digital(), key);
  TestMatrix untouched(13, 60);
  Gradients gradients;
  gradients.input = untouched.view();
  expect_error(
      [&] { static_cast<void>(backward(pass, grad_y.constant(), record, gradients, workspace)); },
      {"gates"});
  CHECK(is_poison(untouched(0, 0)));
}
