// The oracle itself, against numbers worked out by hand: kernels are tested against it, so it must
// not be wrong in the same way as they.
#include <lumina/reference.hpp>

#include <array>
#include <cmath>
#include <span>
#include <vector>

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
