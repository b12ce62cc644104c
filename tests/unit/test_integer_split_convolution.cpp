// backward() of convolutions with IntegerSplitProducts against the oracle, bit for bit: codes,
// arrays, DACs with a range for each patch, several pieces; AnalogConv; refusals.
#include <lumina/analog_conv.hpp>
#include <lumina/convolution_pass.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <lumina/analog_linear.hpp>
#include <lumina/reference_convolution_backward.hpp>

#include "support/catch.hpp"
#include "support/convolution_gradients.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/images.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

template <int Parts, class Pass>
void check(const Pass& pass, const Problem& problem, Engine& engine, const char* what) {
  CAPTURE(Parts);
  check_gradients(pass, problem, engine, what, IntegerSplitProducts<Parts>());
}

/// Random convolutions of codes, or of floats behind a DAC, plain and on arrays.
template <int Parts, int Bits>
void check_convolutions(std::uint64_t seed, int count) {
  Engine engine(seed);
  for (int i = 0; i < count; ++i) {
    const Problem problem(engine);
    INFO(problem.text());
    const Images<float> x(engine, problem.batch, problem.shape.channels, problem.size,
                          problem.x_layout);
    const Images<std::uint8_t> x_codes(engine, problem.batch, problem.shape.channels, problem.size,
                                       problem.x_layout);
    TestMatrix filters = problem.filters(engine);
    std::vector<float> bias(problem.shape.outputs);
    for (float& b : bias) b = uniform(engine, -1.0f, 1.0f);
    const auto stages = epilogue(AddBias{bias}, Relu{}, Quantizer<8>(-0.5f, 1.0f));
    const Quantizer<8> dac(-0.7f, 0.8f);
    const auto symmetric = RuntimeQuantizer::symmetric(7, 0.8f);
    const auto coded = convolution_weights(
        filters.constant(), problem.shape,
        [](MatrixView<const float> w, std::size_t) { return encode_weights<Bits>(w); });
    const Mapping mapping{.tile = {integer(engine, 3, 60), 512}};
    const auto tiled = convolution_weights(
        filters.constant(), problem.shape,
        [&](MatrixView<const float> w, std::size_t) { return encode_tiles<Bits>(w, mapping); });
    const auto in_array = array(GaussianNoise{0.1f}, SymmetricQuantizer<8>(0.4f));
    const auto behind = digital(AddBias{bias}, Relu{});
    // Not each number of parts with everything: compilers need their time.
    if constexpr (Parts != 3) {
      const auto plain = convolution_pass(x.view(), dac, coded, problem.shape, stages, kKey);
      check<Parts>(plain.with_weight_stages(epilogue(GaussianNoise{0.1f}), {1, 2, 3}), problem,
                   engine, "codes, with noise of the gradient");
      for (const auto management : {NoiseManagement::abs_max, NoiseManagement::none}) {
        check<Parts>(convolution_pass(x.view(), ManagedDac{8, 0.7f, management}, tiled,
                                      problem.shape, in_array, behind, kKey),
                     problem, engine, "arrays with a range for each patch");
      }
    }
    if constexpr (Parts != 1) {
      check<Parts>(convolution_pass(x_codes.view(), symmetric, coded, problem.shape, stages, kKey),
                   problem, engine, "codes of codes");
      check<Parts>(convolution_pass(x.view(), dac, tiled, problem.shape, in_array, behind, kKey),
                   problem, engine, "arrays");
    }
  }
}

}  // namespace

TEST_CASE("IntegerSplitProducts of convolutions equal the oracle", "[convolution]") {
  check_convolutions<1, 8>(1, 8);
  check_convolutions<2, 4>(2, 12);
  check_convolutions<3, 8>(3, 6);
}

TEST_CASE("IntegerSplitProducts of convolutions: images in several pieces, on threads",
          "[convolution]") {
  Engine engine(4);
  const auto check_problem = [&](const Convolution& shape, const Size3& size, std::size_t batch) {
    Problem problem(engine);
    problem.shape = shape, problem.size = size, problem.batch = batch;
    INFO(problem.text());
    const Images<float> x(engine, batch, shape.channels, size, ImageLayout::channels_first);
    TestMatrix filters = problem.filters(engine);
    const std::vector<float> bias(shape.outputs, 0.25f);
    const auto weights = encode_weights<8>(filter_matrix(filters, shape));
    const auto pass = convolution_pass(x.view(), Quantizer<8>(-1.0f, 1.0f), weights, shape,
                                       epilogue(AddBias{bias}, Quantizer<8>(-9.0f, 9.0f)), kKey);
    check<1>(pass, problem, engine, "one part");
    check<2>(pass, problem, engine, "two parts");

    const Images<float> grad_y(engine, batch, shape.outputs, shape.output_size(size),
                               problem.y_layout);
    Images<float> y(problem, problem.y_layout);
    ForwardRecord record;
    ConvolutionBackwardWorkspace workspace;
    Results serial(problem), threads(problem);
    REQUIRE(forward(pass, y.view(), record));
    REQUIRE(backward(pass, grad_y.view(), record, serial.gradients(), workspace,
                     IntegerSplitProducts<2>()));
    REQUIRE(backward(pass, grad_y.view(), record, threads.gradients(), workspace,
                     IntegerSplitProducts<2>(), ShuffledThreads{3}));
    CHECK(difference(serial.input.row(), threads.input.row()) == "");
    CHECK(difference(serial.filters.constant(), threads.filters.constant()) == "");
  };
  // 2^18 inputs are 97 rows: an image of 120 is cut.
  check_problem({64, 3, {1, 7, 6}, {1, 1, 1}, {0, 3, 2}}, {1, 10, 13}, 3);
  // A piece of 1024 rows has three of these images.
  check_problem({1, 2, {1, 1, 2}}, {1, 30, 11}, 5);
}

namespace {

/// A convolution of one pixel is a layer of its channels.
template <int Parts>
void check_against_linear() {
  constexpr std::size_t kBatch = 40, kIn = 37, kOut = 21;
  Engine engine(5);
  const Images<float> x(engine, kBatch, kIn, {1, 1, 1}, ImageLayout::channels_last);
  const Images<float> grad_y(engine, kBatch, kOut, {1, 1, 1}, ImageLayout::channels_last);
  const MatrixView<const float> x_rows(x.view().data, kBatch, kIn);
  const MatrixView<const float> grad_rows(grad_y.view().data, kBatch, kOut);
  TestMatrix w(kOut, kIn);
  w.fill_uniform(engine);
  const auto& profile = profiles::lumina_micro_v1;
  AnalogConv<4> conv(AnalogConvConfig::of(profile, {kIn, kOut, {1, 1, 1}}));
  AnalogLinear<4> linear(AnalogLinearConfig::of(profile, kIn, kOut), 0);
  REQUIRE(conv.load(w));
  REQUIRE(linear.load(w));
  Images<float> y(kBatch, kOut, {1, 1, 1}, ImageLayout::channels_last);
  Images<float> input(kBatch, kIn, {1, 1, 1}, ImageLayout::channels_last);
  TestMatrix expected_input(kBatch, kIn), filters(kOut, kIn), expected_filters(kOut, kIn);
  REQUIRE(conv.forward(x.view(), y.view(), kKey));
  REQUIRE(linear.forward(x_rows, {y.view().data, kBatch, kOut}, kKey));
  const IntegerSplitProducts<Parts> products;
  REQUIRE(conv.backward(x.view(), grad_y.view(), {input.view(), filters.view(), {}}, products,
                        ShuffledThreads{2}));
  linear.backward(x_rows, grad_rows, {expected_input.view(), expected_filters.view(), {}},
                  products);
  CHECK(difference(MatrixView<const float>(input.view().data, kBatch, kIn),
                   expected_input.constant()) == "");
  CHECK(difference(filters.constant(), expected_filters.constant()) == "");
}

}  // namespace

TEST_CASE("AnalogConv's IntegerSplitProducts are AnalogLinear's", "[analog_conv]") {
  check_against_linear<1>();
  check_against_linear<2>();
}

TEST_CASE("More outputs than sums hold are refused by convolutions", "[convolution][errors]") {
  Engine engine(6);
  Problem problem(engine);
  problem.shape = {1, 32769, {1, 1, 1}}, problem.size = {1, 1, 1}, problem.batch = 1;
  const Images<float> x(engine, 1, 1, problem.size, ImageLayout::channels_last);
  TestMatrix filters = problem.filters(engine);
  const auto weights = encode_weights<2>(filter_matrix(filters, problem.shape));
  const auto pass = convolution_pass(x.view(), Quantizer<8>(-1.0f, 1.0f), weights, problem.shape,
                                     epilogue(), kKey);
  Images<float> y(problem, problem.y_layout);
  const Images<float> grad_y(engine, 1, 32769, {1, 1, 1}, problem.y_layout);
  ForwardRecord record;
  ConvolutionBackwardWorkspace workspace;
  Results results(problem);
  REQUIRE(forward(pass, y.view(), record));
  const ImageView<float> input = results.input.view();
  expect_error(
      [&] {
        backward(pass, grad_y.view(), record, {input, results.filters.view(), {}}, workspace,
                 IntegerSplitProducts<2>());
      },
      {"lumina::backward", "32769 outputs", "IntegerSplitProducts", "at most 32768"});
  CHECK(results.input.untouched());
  CHECK(results.filters.untouched());
  CHECK(backward(pass, grad_y.view(), record, {{}, results.filters.view(), {}}, workspace,
                 IntegerSplitProducts<2>()));
}
