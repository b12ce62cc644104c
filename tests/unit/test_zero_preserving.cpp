// Converters for which 0 is a level: SymmetricQuantizer as DAC and as ADC, with bits known when
// compiling or at run time.
#include <lumina/analog_linear.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/every_bits.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kBatch = 5, kIn = 70, kOut = 150;

/// y of a few rows of which the second and the last one are zeros.
template <class F>
void check_zero_rows(F run) {
  Engine engine(1);
  TestMatrix x(kBatch, kIn), w(kOut, kIn), y(kBatch, kOut);
  x.fill_uniform(engine);
  for (std::size_t k = 0; k < kIn; ++k) x(1, k) = x(4, k) = 0.0f;
  w.fill_uniform(engine);
  run(x, w, y);
  std::size_t zeros = 0, others = 0;
  for (std::size_t out = 0; out < kOut; ++out) {
    zeros += y(1, out) == 0.0f && y(4, out) == 0.0f;
    others += y(0, out) != 0.0f;
  }
  CHECK(zeros == kOut);
  CHECK(others > kOut / 2);
}

}  // namespace

TEST_CASE("A symmetric quantizer of run-time bits is the one of as many bits", "[zero]") {
  Engine engine(2);
  for_every_bits<16>([&](auto bits) {
    const float limit = uniform(engine, 0.01f, 20.0f);
    const SymmetricQuantizer<bits> fixed(limit);
    for (const RuntimeQuantizer& q :
         {RuntimeQuantizer::symmetric(bits, limit), RuntimeQuantizer(fixed)}) {
      REQUIRE(q.is_symmetric());
      REQUIRE(q.bits() == bits);
      REQUIRE(q.max_code() == 2u * static_cast<std::uint32_t>(fixed.max_code));
      REQUIRE(q.lo() == -limit);
      REQUIRE(q.hi() == limit);
      REQUIRE(bits_of(q.step()) == bits_of(fixed.step()));
      std::vector<float> values{0.0f, limit, -limit, kInf, -kInf, kNaN, 0.5f * fixed.step()};
      while (values.size() < 100) values.push_back(uniform(engine, -1.2f * limit, 1.2f * limit));
      std::vector<float> applied = values;
      q.apply(applied);
      for (std::size_t i = 0; i < values.size(); ++i) {
        const float v = values[i];
        CAPTURE(v, bits.value);
        REQUIRE(static_cast<std::int32_t>(q.encode(v)) - fixed.max_code == fixed.encode(v));
        REQUIRE(fixed.encode(v) ==
                reference::encode_symmetric(v, reference::symmetric_step(limit, bits), bits));
        REQUIRE(bits_of(q.decode(q.encode(v))) == bits_of(fixed.decode(fixed.encode(v))));
        REQUIRE(bits_of(applied[i]) == bits_of(fixed(v)));
      }
      REQUIRE(q(0.0f) == 0.0f);
    }
  });
  static_assert(RuntimeQuantizer::symmetric(4, 7.0f)(0.2f) == 0.0f);
  static_assert(RuntimeQuantizer::symmetric(4, 7.0f).encode(-100.0f) == 0);
  expect_error([] { RuntimeQuantizer::symmetric(1, 1.0f); }, {"bits must be in 2..16"});
  expect_error([] { RuntimeQuantizer::symmetric(17, 1.0f); }, {"bits must be in 2..16"});
  expect_error([] { RuntimeQuantizer::symmetric(8, -1.0f); }, {"limit must be positive"});
  expect_error([] { RuntimeQuantizer::symmetric(8, kNaN); }, {"limit must be positive"});
}

TEST_CASE("Rows of zeros stay zeros", "[zero]") {
  const auto in_codes = [](const auto& dac, const auto& adc) {
    check_zero_rows([&](auto& x, auto& w, auto& y) {
      fused_gemm(x, dac, encode_weights<8>(w), y, epilogue(adc));
    });
    check_zero_rows([&](auto& x, auto& w, auto& y) {
      fused_gemm(x, dac, encode_weights<3>(w), y, epilogue(adc));
    });
  };
  const auto in_floats = [](const auto& dac, const auto& adc) {
    check_zero_rows([&](auto& x, auto& w, auto& y) {
      fused_gemm(x.view(), dac, pack_weights(w), y.view(), epilogue(adc));
    });
    check_zero_rows([&](auto& x, auto& w, auto& y) {
      fused_gemm(x.view(), w.constant(), y.view(), epilogue(adc));
    });
  };
  for (const int bits : {2, 4, 7, 8}) {
    CAPTURE(bits);
    const auto dac = RuntimeQuantizer::symmetric(bits, 1.0f);
    in_codes(dac, RuntimeQuantizer::symmetric(8, 10.0f));
    in_codes(RuntimeQuantizer(bits, 0.0f, 1.0f), RuntimeQuantizer::symmetric(8, 10.0f));
    in_floats(dac, RuntimeQuantizer::symmetric(8, 10.0f));
  }
  // Bits known when compiling.
  check_zero_rows([&](auto& x, auto& w, auto& y) {
    fused_gemm(x, SymmetricQuantizer<6>(1.0f), encode_weights<8>(w), y,
               epilogue(SymmetricQuantizer<10>(10.0f)));
  });
  check_zero_rows([&](auto& x, auto& w, auto& y) {
    fused_gemm(x.view(), SymmetricQuantizer<12>(1.0f), pack_weights(w), y.view(),
               epilogue(SymmetricQuantizer<10>(10.0f)));
  });
}

TEST_CASE("Codes of a symmetric DAC count from its lowest one", "[zero]") {
  Engine engine(3);
  TestMatrix w(40, kIn), x(kBatch, kIn), y(kBatch, 40), from_codes(kBatch, 40),
      expected(kBatch, 40);
  x.fill_uniform(engine, -1.5f, 1.5f);
  x(2, 3) = kNaN;
  w.fill_uniform(engine);
  const auto coded = encode_weights<8>(w);
  for (const int bits : {2, 5, 8}) {
    const auto dac = RuntimeQuantizer::symmetric(bits, 1.25f);
    Matrix<std::uint8_t> codes(kBatch, kIn);
    for (std::size_t i = 0; i < codes.elements().size(); ++i) {
      codes.data()[i] = static_cast<std::uint8_t>(dac.encode(x.view().data()[i]));
    }
    fused_gemm(x, dac, coded, y, epilogue());
    fused_gemm(codes, dac, coded, from_codes, epilogue());
    CHECK(difference(from_codes, y) == "");
    reference::fused_gemm(MatrixView<const std::uint8_t>(codes), dac, coded, expected.view(),
                          epilogue(), {});
    CHECK(difference(from_codes, expected) == "");
  }
}

TEST_CASE("The codes of a symmetric ADC are no output", "[zero][errors]") {
  Matrix<float> x(2, 3), w(4, 3);
  Matrix<std::uint8_t> y(2, 4);
  y(0, 0) = 7;
  const auto coded = encode_weights<8>(w);
  expect_error(
      [&] {
        fused_gemm(x, Quantizer<8>(0.0f, 1.0f), coded, y,
                   epilogue(RuntimeQuantizer::symmetric(8, 1.0f)));
      },
      {"[2, 3]", "symmetric ADC", "float"});
  CHECK(y(0, 0) == 7);
  expect_error(
      [&] {
        Matrix<float> floats(2, 4);
        fused_gemm(x, SymmetricQuantizer<9>(1.0f), coded, floats, epilogue());
      },
      {"9 bits", "8 at most"});
}

TEST_CASE("An AnalogLinear whose ADC keeps zeros", "[zero]") {
  AnalogLinearConfig config = AnalogLinearConfig::of(profiles::lumina_nano_v1, kIn, kOut);
  config.zero_preserving_adc = true;
  SECTION("its range tracked") {
    AnalogLinear<4> layer(config, kBatch);
    check_zero_rows([&](auto& x, auto& w, auto& y) {
      layer.load(w);
      layer.forward(x, y, {1});
      layer.infer(x, y);
    });
  }
  SECTION("its range given, and a DAC of the same kind") {
    config.adc_range = AnalogLinearConfig::Range{-6.0f, 6.0f};
    config.dac = RuntimeQuantizer::symmetric(4, 1.0f);
    AnalogLinear<4> layer(config, kBatch);
    check_zero_rows([&](auto& x, auto& w, auto& y) {
      layer.load(w);
      layer.infer(x, y);
    });
  }
  SECTION("no such ADC") {
    config.adc_range = AnalogLinearConfig::Range{-6.0f, 5.0f};
    expect_error([&] { AnalogLinear<4>{config}; }, {"zero-preserving", "lo = -hi"});
  }
}
