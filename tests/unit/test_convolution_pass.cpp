// Training through convolutions: gradients against the oracle, bit for bit, and against finite
// differences; gates of arrays; errors.
#include <lumina/convolution_pass.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

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

TEST_CASE("Gradients are the oracle's, of codes, floats and arrays", "[convolution]") {
  Engine engine(1);
  for (int i = 0; i < 30; ++i) {
    const Problem problem(engine);
    INFO(problem.text());
    const Images<float> x(engine, problem.batch, problem.shape.channels, problem.size,
                          problem.x_layout);
    const Images<std::uint8_t> x_codes(engine, problem.batch, problem.shape.channels, problem.size,
                                       problem.x_layout);
    TestMatrix filters = problem.filters(engine);
    std::vector<float> bias(problem.shape.outputs);
    for (float& b : bias) b = uniform(engine, -1.0f, 1.0f);
    const auto stages =
        epilogue(AddBias{bias}, ShotNoiseWithDerivative{0.1f}, Relu{}, Quantizer<8>(-0.5f, 1.0f));
    const Quantizer<8> dac(-0.7f, 0.8f);
    const auto coded = convolution_weights(
        filters.constant(), problem.shape,
        [](MatrixView<const float> w, std::size_t) { return encode_weights<4>(w); });
    const auto packed =
        convolution_weights(filters.constant(), problem.shape,
                            [](MatrixView<const float> w, std::size_t) { return pack_weights(w); });
    const Mapping mapping{.tile = {integer(engine, 3, 60), 512}};
    const auto tiled = convolution_weights(
        filters.constant(), problem.shape,
        [&](MatrixView<const float> w, std::size_t) { return encode_tiles<8>(w, mapping); });
    check_gradients(convolution_pass(x.view(), dac, coded, problem.shape, stages, kKey), problem,
                    engine, "codes");
    check_gradients(convolution_pass(x_codes.view(), dac, coded, problem.shape, stages, kKey),
                    problem, engine, "codes of codes");
    check_gradients(convolution_pass(x.view(), dac, packed, problem.shape, stages, kKey), problem,
                    engine, "floats behind a DAC");
    check_gradients(convolution_pass(x.view(), NoDac(), packed, problem.shape, stages, kKey),
                    problem, engine, "floats");
    const auto in_array = array(GaussianNoise{0.1f}, SymmetricQuantizer<8>(0.4f));
    const auto behind = digital(AddBias{bias}, Relu{});
    check_gradients(convolution_pass(x.view(), dac, tiled, problem.shape, in_array, behind, kKey),
                    problem, engine, "arrays");
  }
}

TEST_CASE("Gradients are those of finite differences", "[convolution]") {
  Engine engine(2);
  for (int i = 0; i < 6; ++i) {
    Problem problem(engine);
    problem.batch = 1;
    INFO(problem.text());
    Images<float> x(engine, 1, problem.shape.channels, problem.size, problem.x_layout);
    TestMatrix filters = problem.filters(engine);
    const auto stages = epilogue(Attenuation{0.5f});
    // The sum of all outputs, weighted.
    const Images<float> weights_of_y(engine, 1, problem.shape.outputs,
                                     problem.shape.output_size(problem.size), problem.y_layout);
    const auto loss = [&] {
      const auto packed = convolution_weights(
          filters.constant(), problem.shape,
          [](MatrixView<const float> w, std::size_t) { return pack_weights(w); });
      Images<float> y(problem, problem.y_layout);
      ForwardRecord record;
      REQUIRE(forward(convolution_pass(x.view(), NoDac(), packed, problem.shape, stages), y.view(),
                      record));
      double sum = 0.0;
      for (std::size_t k = 0; k < y.row().cols(); ++k) {
        sum +=
            static_cast<double>(y.row()(0, k)) * static_cast<double>(weights_of_y.view().data[k]);
      }
      return sum;
    };
    const auto packed =
        convolution_weights(filters.constant(), problem.shape,
                            [](MatrixView<const float> w, std::size_t) { return pack_weights(w); });
    const auto pass = convolution_pass(x.view(), NoDac(), packed, problem.shape, stages);
    Images<float> y(problem, problem.y_layout);
    ForwardRecord record;
    REQUIRE(forward(pass, y.view(), record));
    Images<float> by_input(1, problem.shape.channels, problem.size, problem.x_layout);
    TestMatrix by_filters(problem.shape.outputs, problem.shape.filter_size());
    ConvolutionBackwardWorkspace workspace;
    REQUIRE(backward(pass, weights_of_y.view(), record, {by_input.view(), by_filters.view(), {}},
                     workspace));
    const auto compare = [&](float& parameter, float gradient) {
      const float before = parameter;
      constexpr float kStep = 0.0625f;  // the loss is linear in each
      parameter = before + kStep;
      const double above = loss();
      parameter = before - kStep;
      const double below = loss();
      parameter = before;
      const double expected = (above - below) / (2.0 * static_cast<double>(kStep));
      CHECK(std::fabs(static_cast<double>(gradient) - expected) <=
            1e-4 + 1e-3 * std::fabs(expected));
    };
    for (int k = 0; k < 12; ++k) {
      const std::size_t at = integer(engine, 0, x.row().cols() - 1);
      compare(x.view().data[at], by_input.row()(0, at));
      const std::size_t row = integer(engine, 0, problem.shape.outputs - 1);
      const std::size_t col = integer(engine, 0, problem.shape.filter_size() - 1);
      compare(filters(row, col), by_filters(row, col));
    }
  }
}

TEST_CASE("Threads change no bit of gradients, and pieces are many", "[convolution]") {
  Engine engine(3);
  // 2^18 inputs of patches are 97 rows: several pieces an image.
  const Convolution shape{64, 40, {1, 7, 6}, {1, 1, 1}, {0, 3, 2}};
  const Size3 size{1, 40, 33};
  const Images<float> x(engine, 2, 64, size, ImageLayout::channels_last);
  TestMatrix filters(40, shape.filter_size());
  filters.fill_uniform(engine);
  const auto weights = encode_weights<8>(filter_matrix(filters, shape));
  const Quantizer<8> dac(-1.0f, 1.0f);
  const auto pass =
      convolution_pass(x.view(), dac, weights, shape, epilogue(Quantizer<8>(-9.0f, 9.0f)), kKey);
  const Size3 out = shape.output_size(size);
  const Images<float> grad_y(engine, 2, 40, out, ImageLayout::channels_first);
  Images<float> y(2, 40, out, ImageLayout::channels_first);
  ForwardRecord record;
  ConvolutionBackwardWorkspace workspace;
  const auto gradients = [&](const auto& executor) {
    Images<float> input(2, 64, size, ImageLayout::channels_first);
    TestMatrix by_filters(40, shape.filter_size());
    REQUIRE(forward(pass, y.view(), record, executor));
    REQUIRE(backward(pass, grad_y.view(), record, {input.view(), by_filters.view(), {}}, workspace,
                     executor));
    return std::pair(std::move(input), std::move(by_filters));
  };
  auto [input, by_filters] = gradients(Serial());
  auto [threads_input, threads_filters] = gradients(ShuffledThreads{3});
  CHECK(difference(input.row(), threads_input.row()) == "");
  CHECK(difference(by_filters.constant(), threads_filters.constant()) == "");
}

TEST_CASE("What is wrong with a backward pass is said, and nothing is written", "[convolution]") {
  Engine engine(4);
  Problem problem(engine);
  problem.shape = {2, 3, {1, 2, 2}};
  problem.size = {1, 4, 4};
  problem.batch = 1;
  const Images<float> x(engine, 1, 2, problem.size, problem.x_layout);
  TestMatrix filters = problem.filters(engine);
  const auto weights = encode_weights<8>(filter_matrix(filters, problem.shape));
  const Quantizer<8> dac(0.0f, 1.0f);
  const auto pass = convolution_pass(x.view(), dac, weights, problem.shape, epilogue(Relu{}), kKey);
  const Images<float> grad_y(engine, 1, 3, {1, 3, 3}, problem.y_layout);
  Results results(problem);
  ForwardRecord record;
  ConvolutionBackwardWorkspace workspace;
  const auto refused = [&](const ImageGradients& gradients,
                           std::initializer_list<std::string_view> parts) {
    expect_error([&] { backward(pass, grad_y.view(), record, gradients, workspace); }, parts);
    CHECK(results.input.untouched());
    CHECK(results.filters.untouched());
  };
  refused({results.input.view(), results.filters.view(), {}}, {"no forward pass", "empty"});
  Images<float> y(problem, problem.y_layout);
  REQUIRE(forward(pass, y.view(), record));
  refused(results.gradients(), {"no AddBias"});
  ImageView<float> input = results.input.view();
  input.size = {1, 4, 3};
  refused({input, {}, {}}, {"1 x 4 x 3"});
  refused({{}, MatrixView<float>(results.filters.view().data(), 3, 7), {}}, {"[3, 7]", "[3, 8]"});
  expect_error(
      [&] {
        const Images<float> other(engine, 1, 3, {1, 3, 2}, problem.y_layout);
        backward(pass, other.view(), record, {results.input.view(), {}, {}}, workspace);
      },
      {"it needs 1 of 3, 1 x 3 x 3"});
  CHECK(results.input.untouched());
}
