// Random layers behind a DAC: the engine against the reference, bit for bit.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <lumina/fused_gemm.hpp>
#include <lumina/reference.hpp>

#include "catch.hpp"
#include "random_matrix.hpp"
#include "same_bits.hpp"
#include "shared_kernels.hpp"

namespace test {

/// Beyond the DAC's range on both sides, or any codes of its.
template <class Dac>
float draw_input(Engine& engine, const Dac& dac, float) {
  const float beyond = 0.2f * (dac.hi() - dac.lo());
  return uniform(engine, dac.lo() - beyond, dac.hi() + beyond);
}
template <class Dac>
std::uint8_t draw_input(Engine& engine, const Dac& dac, std::uint8_t) {
  return static_cast<std::uint8_t>(integer(engine, 0, lumina::RuntimeQuantizer(dac).max_code()));
}

inline lumina::RuntimeQuantizer draw_dac(Engine& engine, int bits) {
  if (bits > 1 && integer(engine, 0, 2) == 0) {
    return lumina::RuntimeQuantizer::symmetric(bits, uniform(engine, 0.1f, 3.0f));
  }
  const float lo = uniform(engine, -2.0f, 2.0f);
  return {bits, lo, lo + uniform(engine, 0.1f, 3.0f)};
}

struct CodedShape {
  std::size_t batch, in, out;
  std::size_t gap = 0;  ///< between the rows of x; those of y get another one
};

/// Each bit of the sums counts: floats are not quantized behind the noise. Codes are those of an
/// ADC of as many bits as they hold, or fewer.
template <int Bits, class X, class Y>
void check_coded(Engine& engine, const CodedShape& shape, const lumina::RuntimeQuantizer& dac) {
  const auto [batch, in, out, gap] = shape;
  TestMatrix w(out, in);
  TestMatrixOf<X> x(batch, in, in + gap);
  TestMatrixOf<Y> y(batch, out, out + 3 * gap), expected(batch, out);
  w.fill_uniform(engine);
  x.fill([&] { return draw_input(engine, dac, X{}); });
  const lumina::CodedWeights<Bits> coded = lumina::encode_weights<Bits>(w);
  const lumina::NoiseKey key{engine(), engine(), engine()};
  CAPTURE(Bits, sizeof(X), sizeof(Y), lumina::detail::bits_of(dac), batch, in, out, gap);
  const auto check = [&](const auto& stages) {
    lumina::fused_gemm(x, dac, coded, y, stages, key);
    lumina::reference::fused_gemm(x.constant(), dac, coded, expected.view(), stages, key);
    REQUIRE(difference(y, expected) == "");
    REQUIRE(y.gaps_untouched());
    REQUIRE(x.gaps_untouched());
  };
  if constexpr (std::is_same_v<Y, float>) {
    check(lumina::epilogue(lumina::GaussianNoise{0.5f}));
  } else {
    const float limit = 1.0f + std::sqrt(static_cast<float>(in));
    const auto bits = static_cast<int>(integer(engine, 1, 8 * sizeof(Y)));
    check(lumina::epilogue(lumina::GaussianNoise{0.5f},
                           lumina::RuntimeQuantizer(bits, -limit, 1.5f * limit)));
  }
}

/// One of the forms that weights, inputs and outputs can have: number 0 … kForms − 1.
inline constexpr std::size_t kForms = 7;
inline void check_form(std::size_t form, Engine& engine, const CodedShape& shape) {
  const lumina::RuntimeQuantizer dac = draw_dac(engine, static_cast<int>(integer(engine, 1, 8)));
  switch (form) {
    case 0:
      return check_coded<8, float, float>(engine, shape, dac);
    case 1:
      return check_coded<4, float, float>(engine, shape, dac);
    case 2:
      return check_coded<2, float, float>(engine, shape, dac);
    case 3:
      return check_coded<8, std::uint8_t, float>(engine, shape, dac);
    case 4:
      return check_coded<3, float, std::uint8_t>(engine, shape, dac);
    case 5:
      return check_coded<2, std::uint8_t, std::uint16_t>(engine, shape, dac);
    default:
      return check_coded<6, std::uint8_t, std::uint8_t>(engine, shape, dac);
  }
}

}  // namespace test
