// Coded weights in somebody else's memory: the same numbers as with CodedWeights, and what is
// refused.
#include <lumina/coded_weights_view.hpp>
#include <lumina/fused_gemm.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// The arrays of coded weights as a program would hold them: shorter lists, filled up with zeros.
template <int Bits, std::size_t Rows, std::size_t Cols>
struct Image {
  alignas(64) std::int32_t words[coded_word_count<Bits>(Rows, Cols)] = {};
  alignas(64) float scales[padded_outputs(Rows)] = {};
  alignas(64) std::int32_t code_sums[padded_outputs(Rows)] = {};

  explicit Image(const CodedWeightsView<Bits>& weights) {
    std::ranges::copy(weights.words(), words);
    std::ranges::copy(weights.scales(), scales);
    std::ranges::copy(weights.code_sums(), code_sums);
  }
  CodedWeightsView<Bits> view() const { return {Rows, Cols, words, scales, code_sums}; }
};

template <int Bits, std::size_t Batch, std::size_t Rows, std::size_t Cols>
void check_image(Engine& engine) {
  TestMatrix x(Batch, Cols), w(Rows, Cols), y(Batch, Rows), expected(Batch, Rows);
  TestMatrixOf<std::uint8_t> codes(Batch, Rows), expected_codes(Batch, Rows);
  x.fill_uniform(engine);
  const CodedWeights<Bits> coded = encode_weights<Bits>(w.fill_uniform(engine));
  const Image<Bits, Rows, Cols> image(coded);
  const Quantizer<8> dac(-0.9f, 0.8f), adc(-4.0f, 5.0f);
  const NoiseKey key{engine(), engine(), engine()};
  CAPTURE(Bits, Batch, Rows, Cols);

  fused_gemm_noise_quant(x, dac, coded, expected, 0.3f, adc, key);
  fused_gemm_noise_quant(x, dac, image.view(), y, 0.3f, adc, key);
  CHECK(difference(y, expected) == "");
  fused_gemm_noise_quant(x, dac, coded.view(), y, 0.3f, adc, key);
  CHECK(difference(y, expected) == "");
  fused_gemm(x, dac, coded, expected_codes, epilogue(adc));
  fused_gemm(x, dac, image.view(), codes, epilogue(adc));
  CHECK(difference(codes, expected_codes) == "");

  for (std::size_t row = 0; row < Rows; ++row) {
    std::int32_t sum = 0;
    for (std::size_t col = 0; col < Cols; ++col) {
      CHECK(image.view().code(row, col) == coded.code(row, col));
      sum += coded.code(row, col);
    }
    CHECK(coded.view().code_sums()[row] == sum);
  }
}

}  // namespace

TEST_CASE("CodedWeightsView: the numbers of the weights that it views", "[coded_weights_view]") {
  Engine engine(1);
  check_image<2, 1, 3, 5>(engine);
  check_image<3, 2, 33, 70>(engine);
  check_image<4, 7, 12, 144>(engine);
  check_image<8, 5, 140, 65>(engine);
}

TEST_CASE("CodedWeightsView: a constant", "[coded_weights_view]") {
  alignas(64) static constexpr std::int32_t words[coded_word_count<4>(1, 3)] = {0x00050e01};
  alignas(64) static constexpr float scales[padded_outputs(1)] = {0.5f};
  alignas(64) static constexpr std::int32_t code_sums[padded_outputs(1)] = {4};
  static constexpr CodedWeightsView<4> weights(1, 3, words, scales, code_sums);
  STATIC_REQUIRE(weights.code(0, 0) == 1);
  STATIC_REQUIRE(weights.code(0, 1) == -2);
  STATIC_REQUIRE(weights.code(0, 2) == 5);
  STATIC_REQUIRE(weights.scales().size() == 1);
  STATIC_REQUIRE(weights.words().size() == 32);
}

TEST_CASE("CodedWeightsView: of weights that are not there", "[coded_weights_view]") {
  const CodedWeights<4> none;
  CHECK(none.view().rows() == 0);
  CHECK(errors_of([&] { static_cast<void>(none.view()); }).empty());
}

TEST_CASE("CodedWeightsView: arrays that are too short", "[coded_weights_view]") {
  Engine engine(2);
  TestMatrix w(33, 70), x(2, 70), y(2, 33);
  const auto coded = encode_weights<4>(w.fill_uniform(engine));
  const Image<4, 33, 70> image(coded);
  const std::span<const std::int32_t> words(image.words), sums(image.code_sums);
  const std::span<const float> scales(image.scales);
  const auto make = [&](std::size_t fewer_words, std::size_t fewer_scales, std::size_t fewer_sums) {
    return CodedWeightsView<4>(33, 70, words.first(words.size() - fewer_words),
                               scales.first(scales.size() - fewer_scales),
                               sums.first(sums.size() - fewer_sums));
  };
  CHECK(errors_of([&] { make(0, 0, 0); }).empty());
  expect_error([&] { make(1, 0, 0); }, {"CodedWeightsView", "[33, 70]", "words"});
  expect_error([&] { make(0, 1, 0); }, {"[33, 70]", "127 scales", "128"});
  expect_error([&] { make(0, 0, 1); }, {"[33, 70]", "127 code_sums", "128"});
  // Such a view is empty, so calls refuse it too.
  y.fill([] { return 77.0f; });
  const Quantizer<8> q(-1.0f, 1.0f);
  CHECK(errors_of([&] { fused_gemm(x, q, make(1, 0, 0), y, epilogue(q)); }).size() == 2);
  CHECK(y.view()(1, 32) == 77.0f);
}

TEST_CASE("CodedWeightsView: arrays that are not aligned", "[coded_weights_view]") {
  Engine engine(3);
  TestMatrix w(12, 16), x(2, 16), y(2, 12);
  x.fill_uniform(engine);
  const auto coded = encode_weights<4>(w.fill_uniform(engine));
  const Image<4, 12, 16> image(coded);
  // One element more, so that each array can begin one later.
  alignas(64) static std::int32_t words[coded_word_count<4>(12, 16) + 1];
  alignas(64) static std::int32_t code_sums[padded_outputs(12) + 1];
  alignas(64) static float scales[padded_outputs(12) + 1];
  const Quantizer<8> q(-1.0f, 1.0f);
  const auto call = [&](std::size_t words_from, std::size_t scales_from, std::size_t sums_from) {
    std::ranges::copy(image.words, words + words_from);
    std::ranges::copy(image.scales, scales + scales_from);
    std::ranges::copy(image.code_sums, code_sums + sums_from);
    const CodedWeightsView<4> view(12, 16, std::span(words).subspan(words_from),
                                   std::span(scales).subspan(scales_from),
                                   std::span(code_sums).subspan(sums_from));
    fused_gemm(x, q, view, y, epilogue(q));
  };
  CHECK(errors_of([&] { call(0, 0, 0); }).empty());
  y.fill([] { return 77.0f; });
  expect_error([&] { call(1, 0, 0); }, {"fused_gemm", "[12, 16]", "multiples of 64 bytes"});
  expect_error([&] { call(0, 1, 0); }, {"[12, 16]", "multiples of 64 bytes"});
  expect_error([&] { call(0, 0, 1); }, {"[12, 16]", "multiples of 64 bytes"});
  CHECK(y.view()(0, 0) == 77.0f);
}
