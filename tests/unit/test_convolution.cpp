// Convolutions against the oracle, bit for bit: random shapes of one to three dimensions, strides,
// paddings, dilations, groups, both layouts, codes and floats, arrays, threads, workspaces, errors.
#include <lumina/fused_convolution.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <lumina/analog_slices.hpp>
#include <lumina/fused_gemm.hpp>
#include <lumina/noisy_dac.hpp>
#include <lumina/read_noise.hpp>
#include <lumina/reference_analog.hpp>
#include <lumina/reference_converters.hpp>
#include <lumina/reference_convolution.hpp>
#include <lumina/reference_slices.hpp>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/images.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

const NoiseKey kKey{5, 6, 7};

/// Codes as the oracle takes them, made of a product's weights without the zeros of other groups.
template <class Weights>
auto plain_code(const std::vector<Weights>& weights, const Convolution& shape) {
  return [&weights, shape](std::size_t output, std::size_t k) {
    const std::size_t index = shape.groups == 1 ? 0 : output / 128;
    const Convolution::Product own = shape.product(index);
    const std::size_t in_group = shape.channels / shape.groups;
    const std::size_t first =
        output / (shape.outputs / shape.groups) * in_group - own.first_channel;
    return weights[index].code(output - own.first_output,
                               k / in_group * own.channels + first + k % in_group);
  };
}
template <class Weights>
auto plain_scale(const std::vector<Weights>& weights, const Convolution& shape) {
  return [&weights, shape](std::size_t output) {
    const std::size_t index = shape.groups == 1 ? 0 : output / 128;
    return weights[index].scales()[output - shape.product(index).first_output];
  };
}

template <int Bits, class X, class Y, class Dac, class Stages>
void check_codes(Engine& engine, const Problem& problem, const Dac& dac, const Stages& stages) {
  INFO(problem.text());
  const Images<X> x(engine, problem.batch, problem.shape.channels, problem.size, problem.x_layout);
  TestMatrix filters = problem.filters(engine);
  const auto weights = convolution_weights(
      filters.constant(), problem.shape,
      [](MatrixView<const float> w, std::size_t) { return encode_weights<Bits>(w); });
  Images<Y> y(problem, problem.y_layout), expected(problem, problem.y_layout);
  REQUIRE(fused_convolution(x.view(), dac, weights, y.view(), problem.shape, stages, kKey,
                            Backwards()));
  reference::fused_convolution<X>(x.view(), dac, plain_code(weights, problem.shape),
                                  plain_scale(weights, problem.shape), expected.view(),
                                  problem.shape, stages, kKey);
  CHECK(difference(y.row(), expected.row()) == "");
}

}  // namespace

TEST_CASE("Codes are the oracle's, whatever the shape", "[convolution]") {
  Engine engine(1);
  for (int i = 0; i < 60; ++i) {
    const Problem problem(engine);
    std::vector<float> bias(problem.shape.outputs);
    for (float& b : bias) b = uniform(engine, -1.0f, 1.0f);
    const auto stages = epilogue(AddBias{bias}, GaussianNoise{0.3f}, Quantizer<8>(-3.0f, 3.0f));
    check_codes<8, float, float>(engine, problem, Quantizer<8>(-0.7f, 1.0f), stages);
    check_codes<4, std::uint8_t, std::uint8_t>(engine, problem, SymmetricQuantizer<8>(1.0f),
                                               stages);
  }
}

TEST_CASE("Floats are the oracle's, with a DAC and without", "[convolution]") {
  Engine engine(2);
  for (int i = 0; i < 40; ++i) {
    const Problem problem(engine);
    INFO(problem.text());
    const Images<float> x(engine, problem.batch, problem.shape.channels, problem.size,
                          problem.x_layout);
    TestMatrix filters = problem.filters(engine);
    const auto weights =
        convolution_weights(filters.constant(), problem.shape,
                            [](MatrixView<const float> w, std::size_t) { return pack_weights(w); });
    Images<float> y(problem, problem.y_layout), expected(problem, problem.y_layout);
    const auto stages = epilogue(ShotNoise{0.1f}, Relu{});
    REQUIRE(fused_convolution(x.view(), weights, y.view(), problem.shape, stages, kKey));
    reference::fused_convolution(x.view(), NoDac(), filters.constant(), expected.view(),
                                 problem.shape, stages, kKey);
    CHECK(difference(y.row(), expected.row()) == "");

    const Quantizer<12> dac(-0.5f, 0.9f);
    REQUIRE(fused_convolution(x.view(), dac, weights, y.view(), problem.shape, stages, kKey));
    reference::fused_convolution(x.view(), dac, filters.constant(), expected.view(), problem.shape,
                                 stages, kKey);
    CHECK(difference(y.row(), expected.row()) == "");
  }
}

TEST_CASE("On arrays each output is analog_gemm's of its patch", "[convolution]") {
  Engine engine(3);
  for (int i = 0; i < 20; ++i) {
    Problem problem(engine);
    problem.x_layout = problem.y_layout = ImageLayout::channels_last;
    INFO(problem.text());
    const Images<float> x(engine, problem.batch, problem.shape.channels, problem.size,
                          problem.x_layout);
    TestMatrix filters = problem.filters(engine);
    const Mapping mapping{.tile = {integer(engine, 1, 60), 512}};
    const auto in_array = array(ReadNoise(0.1f), GaussianNoise{0.04f}, SymmetricQuantizer<8>(3.0f));
    const auto behind = digital(GaussianNoise{0.1f});
    const ManagedDac managed{
        .bits = 8, .noise_management = NoiseManagement::abs_max, .bound_iterations = 2};
    const SymmetricQuantizer<8> fixed(0.8f);
    const auto check = [&](const auto& weights, const auto& dac, const auto& stages) {
      Images<float> y(problem, problem.y_layout);
      REQUIRE(
          fused_convolution(x.view(), dac, weights, y.view(), problem.shape, stages, behind, kKey));
      // The first product: its columns are its outputs.
      const Convolution::Product own = problem.shape.product(0);
      const Matrix<float> patches = reference::unfold<float>(x.view(), problem.shape);
      Matrix<float> expected(patches.rows(), own.outputs);
      reference::analog_gemm<float>(patches, dac, weights[0], stages, behind,
                                    MatrixView<float>(expected), kKey);
      const MatrixView<const float> outputs(y.view().data, patches.rows(), own.outputs,
                                            problem.shape.outputs);
      CHECK(difference(outputs, expected) == "");
    };
    const auto tiled = convolution_weights(
        filters.constant(), problem.shape,
        [&](MatrixView<const float> w, std::size_t) { return encode_tiles<8>(w, mapping); });
    check(tiled, managed, in_array);
    check(tiled, fixed, in_array);
    // What inputs draw is each patch's own.
    check(tiled, NoisyDac(fixed, 0.1f), in_array);
    const auto sliced = convolution_weights(
        filters.constant(), problem.shape, [&](MatrixView<const float> w, std::size_t) {
          return encode_slices<5>(w, mapping, {.cell_bits = 2, .input_bits = 3});
        });
    check(sliced, fixed, array(GaussianNoise{0.4f}, SymmetricQuantizer<8>(40.0f)));
    const auto floats = convolution_weights(filters.constant(), problem.shape,
                                            [&](MatrixView<const float> w, std::size_t) {
                                              TiledFloats tiles;
                                              pack_tiles(w, mapping, tiles, 12);
                                              return tiles;
                                            });
    check(floats, fixed, array(GaussianNoise{0.04f}, SymmetricQuantizer<8>(3.0f)));
  }
}

TEST_CASE("Padding is 0 to codes behind any DAC", "[convolution]") {
  Engine engine(8);
  const Convolution shape{3, 5, {1, 3, 3}, {1, 1, 1}, {0, 1, 1}};
  const Images<std::uint8_t> x(engine, 2, 3, {1, 4, 5}, ImageLayout::channels_last);
  TestMatrix filters(5, 27);
  filters.fill_uniform(engine);
  const auto weights = encode_tiles<8>(filter_matrix(filters, shape), {{10, 512}});
  const SymmetricQuantizer<8> dac(0.8f);
  const auto stages = array(GaussianNoise{0.04f}, SymmetricQuantizer<8>(3.0f));
  const Matrix<std::uint8_t> patches =
      reference::unfold<std::uint8_t>(x.view(), shape, 127);  // counted from code −127
  const auto check = [&](const auto& any) {
    Images<float> y(2, 5, {1, 4, 5}, ImageLayout::channels_last);
    REQUIRE(fused_convolution(x.view(), any, weights, y.view(), shape, stages, digital(), kKey));
    Matrix<float> expected(40, 5);
    reference::analog_gemm<std::uint8_t>(patches, any, weights, stages, digital(),
                                         MatrixView<float>(expected), kKey);
    CHECK(difference(MatrixView<const float>(y.view().data, 40, 5), expected) == "");
  };
  check(dac);
  check(NoisyDac(dac, 0.1f));
}

TEST_CASE("The layout, threads and a split of the batch change no bit", "[convolution]") {
  Engine engine(4);
  const Convolution shape{20, 140, {1, 3, 3}, {1, 2, 1}, {0, 1, 1}, {1, 1, 1}, 1};
  const Size3 size{1, 21, 40};
  const Images<float> first(engine, 3, 20, size, ImageLayout::channels_first);
  Images<float> last(3, 20, size, ImageLayout::channels_last);
  last.copy(first);
  TestMatrix filters(140, 180);
  filters.fill_uniform(engine);
  const auto weights = encode_weights<8>(filter_matrix(filters, shape));
  const Quantizer<8> dac(-1.0f, 1.0f);
  const auto stages = epilogue(GaussianNoise{0.1f}, SymmetricQuantizer<8>(4.0f));
  const Size3 out = shape.output_size(size);
  Images<float> expected(3, 140, out, ImageLayout::channels_last);
  REQUIRE(fused_convolution(last.view(), dac, weights, expected.view(), shape, stages, kKey));

  SECTION("layouts") {
    for (const ImageLayout x_layout : {ImageLayout::channels_first, ImageLayout::channels_last}) {
      for (const ImageLayout y_layout : {ImageLayout::channels_first, ImageLayout::channels_last}) {
        Images<float> y(3, 140, out, y_layout), same(3, 140, out, ImageLayout::channels_last);
        const auto& x = x_layout == ImageLayout::channels_first ? first : last;
        REQUIRE(fused_convolution(x.view(), dac, weights, y.view(), shape, stages, kKey));
        same.copy(y);
        CHECK(difference(same.row(), expected.row()) == "");
      }
    }
  }
  SECTION("threads") {
    for (const unsigned threads : {2u, 7u}) {
      Images<float> y(3, 140, out, ImageLayout::channels_last);
      REQUIRE(fused_convolution(last.view(), dac, weights, y.view(), shape, stages, kKey,
                                ShuffledThreads{threads}));
      CHECK(difference(y.row(), expected.row()) == "");
    }
  }
  SECTION("image by image") {
    Images<float> y(3, 140, out, ImageLayout::channels_last);
    const std::size_t rows = out[1] * out[2];
    for (std::size_t n = 0; n < 3; ++n) {
      const ImageView<const float> x_part{last.view().data + n * 20 * size[1] * size[2], 1, 20,
                                          size, ImageLayout::channels_last};
      const ImageView<float> y_part{y.view().data + n * 140 * rows, 1, 140, out,
                                    ImageLayout::channels_last};
      REQUIRE(fused_convolution(x_part, dac, weights, y_part, shape, stages,
                                NoiseKey{kKey.seed, kKey.stream, kKey.row_offset + n * rows}));
    }
    CHECK(difference(y.row(), expected.row()) == "");
  }
  SECTION("a caller's workspace, of just the size that is needed") {
    Images<float> y(3, 140, out, ImageLayout::channels_first),
        same(3, 140, out, ImageLayout::channels_last);
    const std::size_t bytes = convolution_workspace_bytes(last.view(), y.view(), shape);
    detail::AlignedBuffer<std::byte> memory(bytes);
    REQUIRE(fused_convolution(last.view(), dac, weights, y.view(), shape, stages, kKey,
                              SerialIn(std::span<std::byte>(memory.data(), bytes))));
    same.copy(y);
    CHECK(difference(same.row(), expected.row()) == "");
    Images<float> untouched(3, 140, out, ImageLayout::channels_first);
    expect_error(
        [&] {
          fused_convolution(last.view(), dac, weights, untouched.view(), shape, stages, kKey,
                            SerialIn(std::span<std::byte>(memory.data(), bytes - 1)));
        },
        {"the workspace has"});
    CHECK(untouched.untouched());
  }
}

TEST_CASE("A convolution of one pixel is a product", "[convolution]") {
  Engine engine(5);
  const Convolution shape{33, 50, {1, 1, 1}};
  const Images<float> x(engine, 2, 33, {1, 5, 7}, ImageLayout::channels_last);
  TestMatrix filters(50, 33);
  filters.fill_uniform(engine);
  const auto weights = encode_weights<8>(filters.constant());
  const Quantizer<8> dac(0.0f, 1.0f);
  const auto stages = epilogue(GaussianNoise{0.1f}, Quantizer<8>(-2.0f, 2.0f));
  Images<float> y(2, 50, {1, 5, 7}, ImageLayout::channels_last);
  REQUIRE(fused_convolution(x.view(), dac, weights, y.view(), shape, stages, kKey));
  TestMatrix expected(70, 50);
  fused_gemm(MatrixView<const float>(x.view().data, 70, 33), dac, weights, expected.view(), stages,
             kKey);
  CHECK(difference(MatrixView<const float>(y.view().data, 70, 50), expected.constant()) == "");
}

TEST_CASE("What is wrong is said with its numbers, and nothing is written", "[convolution]") {
  Engine engine(6);
  const Convolution good{4, 6, {1, 3, 3}};
  const Images<float> x(engine, 1, 4, {1, 5, 5}, ImageLayout::channels_first);
  TestMatrix filters(6, 36);
  filters.fill_uniform(engine);
  const auto weights = encode_weights<8>(filter_matrix(filters, good));
  const Quantizer<8> dac(0.0f, 1.0f);
  const auto stages = epilogue();
  Images<float> y(1, 6, {1, 3, 3}, ImageLayout::channels_first);
  const auto refused = [&](const Convolution& shape, std::initializer_list<std::string_view> parts,
                           Size3 out = {1, 3, 3}) {
    const ImageView<float> to{y.view().data, 1, 6, out, ImageLayout::channels_first};
    expect_error([&] { fused_convolution(x.view(), dac, weights, to, shape, stages); }, parts);
    CHECK(y.untouched());
  };
  Convolution shape = good;
  shape.groups = 4;
  refused(shape, {"4 groups", "4 channels", "6 outputs"});
  shape = good;
  shape.groups = 0;
  refused(shape, {"0 groups"});
  shape = good;
  shape.kernel = {1, 6, 3};
  refused(shape, {"1 x 6 x 3", "larger than the image"});
  shape = good;
  shape.dilation = {1, 1, 3};
  refused(shape, {"1 x 1 x 3", "larger than the image"});
  shape = good;
  shape.stride = {1, 0, 1};
  refused(shape, {"at least 1"});
  shape = good;
  shape.channels = 5;
  refused(shape, {"4 channels", "has 5 channels"});
  refused(good, {"it needs 1 of 6, 1 x 3 x 3"}, {1, 3, 2});
  shape = good;
  shape.padding = {0, std::size_t{1} << 40, 0};
  refused(shape, {"at most"});
  shape = good;
  shape.kernel = {1, 3, 2};
  refused(shape, {"the weights are [6, 36]", "it needs [6, 24]"}, {1, 3, 4});
  expect_error(
      [&] {
        filter_matrix(filters, Convolution{4, 6, {1, 3, 2}});
      },
      {"filters are [6, 36]"});
  // More outputs than there are addresses, of images that nobody has.
  const std::size_t many = std::size_t{1} << 61;
  const ImageView<const float> huge{x.view().data, many, 4, {1, 5, 5}};
  const ImageView<float> outputs{y.view().data, many, 6, {1, 3, 3}};
  expect_error([&] { fused_convolution(huge, dac, weights, outputs, good, stages); },
               {"more bytes than memory has addresses", "1 x 3 x 3"});
  CHECK(y.untouched());
  expect_error(
      [&] {
        fused_convolution(x.view(), Quantizer<12>(0.0f, 1.0f), weights, y.view(), good, stages);
      },
      {"the DAC has 12 bits"});
  const std::array<float, 3> bias{};
  expect_error(
      [&] { fused_convolution(x.view(), dac, weights, y.view(), good, epilogue(AddBias{bias})); },
      {"bias"});
  expect_error(
      [&] {
        const ImageView<const float> same{y.view().data, 1, 4, {1, 5, 5}};
        fused_convolution(same, dac, weights, y.view(), good, stages);
      },
      {"overlap"});
  CHECK(y.untouched());
}

TEST_CASE("Patches have zeros behind their ends", "[convolution]") {
  using namespace detail;
  const Convolution shape{5, 8, {1, 3, 2}};
  const Size3 size{1, 6, 7};
  Engine engine(7);
  const Images<std::uint8_t> x(engine, 1, 5, size, ImageLayout::channels_last);
  const ConvolutionPlan plan(shape, size, 1, 100, 10000, 1);
  const OutputBox box = plan.box(0);
  const BandBox band_box = plan.band(box);
  std::vector<std::uint8_t> turned(kTurnedPixels * 5), band(plan.band_elements() + kBehindRuns),
      patches(box.rows() * 64 + kBehindRuns, 0xee);
  read_band(x.view(), 0, band_box, CopiedPixels<std::uint8_t>{9}, turned.data(), band.data());
  gather_patches(shape, shape.product(0), box, band_box, {0, box.rows()},
                 static_cast<const std::uint8_t*>(band.data()), patches.data(), 64);
  const Matrix<std::uint8_t> expected = reference::unfold<std::uint8_t>(x.view(), shape);
  REQUIRE(expected.rows() == box.rows());
  for (std::size_t row = 0; row < expected.rows(); ++row) {
    for (std::size_t k = 0; k < 64; ++k) {
      REQUIRE(patches[row * 64 + k] == (k < 30 ? expected(row, k) : 0));
    }
  }
}

TEST_CASE("Empty images and batches are no work", "[convolution]") {
  const Convolution shape{2, 3, {1, 1, 1}};
  TestMatrix filters(3, 2);
  filters.fill([] { return 1.0f; });
  const auto weights = encode_weights<8>(filters.constant());
  const ImageView<const float> x{nullptr, 0, 2, {1, 4, 4}};
  const ImageView<float> y{nullptr, 0, 3, {1, 4, 4}};
  CHECK(fused_convolution(x, Quantizer<8>(0.0f, 1.0f), weights, y, shape, epilogue()));
}
