// The oracle itself, against numbers worked out by hand: kernels are tested against it, so it must
// not be wrong in the same way as they.
#include <lumina/reference.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include <lumina/coded_weights.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

TEST_CASE("reference::encode and decode", "[reference]") {
  // 2 bits over [0, 3]: the step is 1.
  CHECK(reference::encode(-1.0f, 0.0f, 3.0f, 2) == 0);
  CHECK(reference::encode(0.5f, 0.0f, 3.0f, 2) == 0);
  CHECK(reference::encode(0.75f, 0.0f, 3.0f, 2) == 1);
  CHECK(reference::encode(1.5f, 0.0f, 3.0f, 2) == 2);
  CHECK(reference::encode(2.5f, 0.0f, 3.0f, 2) == 2);
  CHECK(reference::encode(99.0f, 0.0f, 3.0f, 2) == 3);
  CHECK(reference::encode(kInf, 0.0f, 3.0f, 2) == 3);
  CHECK(reference::encode(-kInf, 0.0f, 3.0f, 2) == 0);
  CHECK(reference::encode(kNaN, 0.0f, 3.0f, 2) == 0);
  CHECK(reference::decode(2, 0.0f, 3.0f, 2) == 2.0f);
  CHECK(reference::decode(0, -1.0f, 1.0f, 1) == -1.0f);
  CHECK(reference::decode(1, -1.0f, 1.0f, 1) == 1.0f);
  CHECK(reference::decode(255, -1.0f, 254.0f, 8) == 254.0f);
}

TEST_CASE("reference::dot adds in ascending order", "[reference]") {
  const std::array<float, 4> x = {1.0f, 2.0f, 3.0f, 4.0f};
  const std::array<float, 4> w = {5.0f, -6.0f, 7.0f, 0.5f};
  CHECK(reference::dot(x.data(), w.data(), 4) == 16.0f);
  CHECK(reference::dot(x.data(), w.data(), 0) == 0.0f);
  // 2^24 + 1 − 2^24: the 1 is lost in this order, and kept in the other.
  const std::array<float, 3> ascending = {0x1p24f, 1.0f, -0x1p24f};
  const std::array<float, 3> descending = {-0x1p24f, 0x1p24f, 1.0f};
  const std::array<float, 3> ones = {1.0f, 1.0f, 1.0f};
  CHECK(reference::dot(ascending.data(), ones.data(), 3) == 0.0f);
  CHECK(reference::dot(descending.data(), ones.data(), 3) == 1.0f);
}

TEST_CASE("reference::apply: each stage", "[reference]") {
  const std::array<float, 2> normals = {0.5f, -2.0f};
  const std::vector<float> bias = {10.0f, 20.0f, 30.0f};
  const reference::Element y{-4.0f, 1, 2, 1001, normals.data()};
  CHECK(reference::apply(AddBias{bias}, y) == 26.0f);
  CHECK(reference::apply(Relu{}, y) == 0.0f);
  CHECK(reference::apply(Attenuation{0.25f}, y) == -1.0f);
  CHECK(reference::apply(GaussianNoise{2.0f}, y) == -3.0f);
  CHECK(reference::apply(ShotNoise{3.0f}, y) == -1.0f);  // −4 + 3·√4·0.5
  CHECK(reference::apply(Quantizer<1>(-8.0f, 8.0f), y) == -8.0f);
  CHECK(reference::apply(RuntimeQuantizer(2, -8.0f, 7.0f), y) == -3.0f);
  CHECK(reference::apply(SymmetricQuantizer<2>(3.0f), y) == -3.0f);
}

TEST_CASE("reference::fused_gemm by hand", "[reference]") {
  Matrix<float> x(2, 3), w(2, 3), y(2, 2);
  for (std::size_t i = 0; i < 6; ++i) x.data()[i] = static_cast<float>(i);  // 0 1 2 / 3 4 5
  w(0, 0) = w(0, 1) = w(0, 2) = 1.0f;
  w(1, 0) = 0.5f;
  w(1, 2) = -1.0f;
  reference::fused_gemm(x, w, y, epilogue(), {});
  CHECK(y(0, 0) == 3.0f);
  CHECK(y(0, 1) == -2.0f);
  CHECK(y(1, 0) == 12.0f);
  CHECK(y(1, 1) == -3.5f);

  // Noise: draw 0 for the first noise stage, draw 1 for the second, rows behind the offset.
  const NoiseKey key{5, 6, 7};
  reference::fused_gemm(x, w, y, epilogue(GaussianNoise{2.0f}, Relu{}, GaussianNoise{1.0f}), key);
  const NoiseKey from_zero{5, 6, 0};
  for (std::size_t row = 0; row < 2; ++row) {
    const float first = std::fma(2.0f, standard_normal_at(from_zero, 7 + row, 0, 0),
                                 3.0f + 9.0f * static_cast<float>(row));
    const float positive = first < 0.0f ? 0.0f : first;
    CHECK(y(row, 0) == positive + standard_normal_at(from_zero, 7 + row, 0, 1));
  }

  reference::fused_gemm_noise_quant(x, w, y, 0.0f, Quantizer<4>(0.0f, 15.0f), {});
  CHECK(y(0, 1) == 0.0f);
  CHECK(y(1, 0) == 12.0f);
  reference::fused_gemm_noise_quant(x, w, y, 2.0f, Quantizer<4>(0.0f, 15.0f), key);
  const Quantizer<4> adc(0.0f, 15.0f);
  CHECK(y(1, 0) == adc(std::fma(2.0f, standard_normal_at(key, 1, 0), 12.0f)));
}

TEST_CASE("reference::encode_symmetric", "[reference]") {
  // 3 bits: −3 … 3, here in steps of a half.
  CHECK(reference::encode_symmetric(0.0f, 0.5f, 3) == 0);
  CHECK(reference::encode_symmetric(1.0f, 0.5f, 3) == 2);
  CHECK(reference::encode_symmetric(-1.0f, 0.5f, 3) == -2);
  CHECK(reference::encode_symmetric(0.25f, 0.5f, 3) == 0);  // ties go to the even code
  CHECK(reference::encode_symmetric(0.75f, 0.5f, 3) == 2);
  CHECK(reference::encode_symmetric(-1.25f, 0.5f, 3) == -2);
  CHECK(reference::encode_symmetric(9.0f, 0.5f, 3) == 3);
  CHECK(reference::encode_symmetric(-9.0f, 0.5f, 3) == -3);
  CHECK(reference::encode_symmetric(kInf, 0.5f, 3) == 3);
  CHECK(reference::encode_symmetric(-kInf, 0.5f, 3) == -3);
  CHECK(reference::encode_symmetric(kNaN, 0.5f, 3) == 0);
  CHECK(reference::encode_symmetric(-1.0f, 1.0f, 2) == -1);
  CHECK(reference::encode_symmetric(-200.0f, 1.0f, 8) == -127);
  // A row of zeros has the scale 0.
  CHECK(reference::encode_symmetric(0.0f, 0.0f, 8) == 0);
}

TEST_CASE("reference::fused_gemm with codes by hand", "[reference]") {
  // w in codes: 3 −2 0 / 1 1 −1, times 0.5 and times 2.
  Matrix<float> w(2, 3);
  w(0, 0) = 1.5f;
  w(0, 1) = -1.0f;
  w(1, 0) = w(1, 1) = 2.0f;
  w(1, 2) = -2.0f;
  const std::vector<float> scales = {0.5f, 2.0f};
  const auto coded = encode_weights<3>(w, scales);
  // x in codes: 0 1 3 / 2 0 3, with a DAC of 2 bits that makes −1 2 8 / 5 −1 8 of them.
  const RuntimeQuantizer dac(2, -1.0f, 8.0f);
  const float inputs[6] = {-7.0f, 2.5f, 9.0f, 4.0f, kNaN, kInf};
  const std::uint8_t input_codes[6] = {0, 1, 3, 2, 0, 3};
  const MatrixView<const float> x(inputs, 2, 3);
  const MatrixView<const std::uint8_t> x_codes(input_codes, 2, 3);

  Matrix<float> y(2, 2);
  const auto check = [&] {
    CHECK(y(0, 0) == -3.5f);   // 0.5·(−3 − 4)
    CHECK(y(0, 1) == -14.0f);  // 2·(−1 + 2 − 8)
    CHECK(y(1, 0) == 8.5f);    // 0.5·(15 + 2)
    CHECK(y(1, 1) == -8.0f);   // 2·(5 − 1 − 8)
    y = Matrix<float>(2, 2);
  };
  reference::fused_gemm(x, dac, coded, y.view(), epilogue(), {});
  check();
  reference::fused_gemm(x_codes, dac, coded, y.view(), epilogue(), {});
  check();

  // Codes of an ADC of 3 bits over [−14, 14], whose step is 4; ties to even: −3.5 is 2.625 steps
  // above −14, 8.5 is 5.625 and −8 is 1.5.
  Matrix<std::uint8_t> codes(2, 2);
  const Quantizer<3> adc(-14.0f, 14.0f);
  reference::fused_gemm(x, dac, coded, codes.view(), epilogue(adc), {});
  CHECK(+codes(0, 0) == 3);
  CHECK(+codes(0, 1) == 0);
  CHECK(+codes(1, 0) == 6);
  CHECK(+codes(1, 1) == 2);
  // Two quantizers: the codes are the last one's, of what the first one makes: −2, −14, 10, −6.
  Matrix<std::uint16_t> wide(2, 2);
  reference::fused_gemm(x, dac, coded, wide.view(), epilogue(adc, Quantizer<16>(-14.0f, 65521.0f)),
                        {});
  CHECK(wide(0, 0) == 12);
  CHECK(wide(0, 1) == 0);
  CHECK(wide(1, 0) == 24);
  CHECK(wide(1, 1) == 8);

  // Noise comes behind the sums, a normal for each draw and place.
  const NoiseKey key{5, 6, 7};
  reference::fused_gemm(x, dac, coded, y.view(), epilogue(GaussianNoise{2.0f}), key);
  CHECK(y(1, 0) == std::fma(2.0f, standard_normal_at(key, 1, 0), 8.5f));
}
