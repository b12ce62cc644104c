// Symmetric converters across the border: codes with signs, zeros that stay zeros.
#include <lumina/dispatch.hpp>
#include <lumina/lumina.hpp>
#include <lumina/reference.hpp>

#include <cstdint>
#include <string_view>
#include <vector>

#include "support/catch.hpp"
#include "support/dispatch_views.hpp"
#include "support/same_bits.hpp"

namespace ld = lumina::dispatch;
using lumina::Matrix;
using lumina::MatrixView;
using test::difference;
using test::on_every_isa;
using test::random_matrix;
using test::view;

TEST_CASE("symmetric converters: the reference's bits, and zeros stay zeros") {
  Matrix<float> made_x = random_matrix(5, 40, 1), made_ones(5, 70);
  for (std::size_t k = 0; k < made_x.cols(); ++k) made_x(2, k) = 0.0f;
  for (float& g : made_ones.elements()) g = 1.0f;
  const Matrix<float> x = made_x, ones = made_ones, w = random_matrix(70, 40, 2);
  lumina::CodedWeights<8> coded;
  lumina::encode_weights(w, coded, 6);
  Matrix<float> expected(5, 70);
  lumina::reference::fused_gemm(MatrixView<const float>(x), lumina::SymmetricQuantizer<5>(1.0f),
                                coded, expected.view(),
                                lumina::epilogue(lumina::SymmetricQuantizer<8>(4.0f)), {});
  on_every_isa([&](std::string_view) {
    const ld::Weights weights = ld::encode_weights(view(w), 6);
    Matrix<float> y(5, 70);
    ld::Call call{.x = view(x), .weights = &weights, .y = view(y)};
    call.dac = {5, -1.0f, 1.0f, true};
    call.adc = {8, -4.0f, 4.0f, true};
    ld::run(call);
    CHECK(difference(y.view(), expected.view()) == "");
    for (std::size_t out = 0; out < y.cols(); ++out) REQUIRE(y(2, out) == 0.0f);

    ld::Record record;
    ld::Workspace workspace;
    Matrix<float> by_weights(70, 40);
    call.record = &record;
    ld::run(call);
    ld::backward(call, view(ones), record, {.weights = view(by_weights)}, workspace);
    for (std::size_t k = 0; k < x.cols(); ++k) {
      float sum = 0.0f;
      for (std::size_t row = 0; row < x.rows(); ++row) {
        sum += lumina::SymmetricQuantizer<5>(1.0f)(x(row, k));
      }
      REQUIRE(by_weights(3, k) == Approx(sum).margin(1e-5));
    }
  });
}

TEST_CASE("symmetric converters: codes have signs") {
  const lumina::SymmetricQuantizer<4> rule(1.0f);
  const ld::Converter converter{4, -1.0f, 1.0f, true};
  const std::vector<float> values{-2.0f, -1.0f, -0.2f, 0.0f, 0.07f, 0.08f, 1.0f};
  on_every_isa([&](std::string_view) {
    std::vector<std::uint32_t> codes(values.size());
    ld::encode(converter, values.data(), values.size(), codes.data());
    std::vector<float> decoded(values.size()), quantized = values;
    ld::decode(converter, codes.data(), codes.size(), decoded.data());
    ld::quantize(converter, quantized.data(), quantized.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      CHECK(static_cast<std::int32_t>(codes[i]) == rule.encode(values[i]));
      CHECK(decoded[i] == rule(values[i]));
      CHECK(quantized[i] == rule(values[i]));
    }
    CHECK(ld::step(converter) == rule.step());
  });
}

TEST_CASE("symmetric converters: what they are not") {
  float value = 1.0f;
  on_every_isa([&](std::string_view) {
    using Catch::Matchers::ContainsSubstring;
    CHECK_THROWS_WITH(ld::quantize({8, -1.0f, 2.0f, true}, &value, 1),
                      ContainsSubstring("[-hi, hi]"));
    CHECK_THROWS_WITH(ld::quantize({1, -1.0f, 1.0f, true}, &value, 1), ContainsSubstring("2..16"));
    CHECK_THROWS_AS(ld::quantize({8, 1.0f, -1.0f, true}, &value, 1), std::invalid_argument);
  });
  CHECK(value == 1.0f);
}
