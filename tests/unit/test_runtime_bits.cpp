// Bits that are known at run time only, wherever a type may have them: the same results.
#include <lumina/lumina.hpp>

#include <cstddef>
#include <string>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/every_bits.hpp"
#include "support/executors.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kBatch = 4, kIn = 30, kOut = 45;
const NoiseKey kKey{5, 6, 7};

struct Operands {
  TestMatrix x{kBatch, kIn}, w{kOut, kIn};

  Operands() {
    Engine engine(1);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
  }
};

/// A type of a user's.
struct NamedAdc : Quantizer<6> {
  using Quantizer<6>::Quantizer;
  std::string name = "front end";
};

template <class Adc>
void check_float_engine(const Adc& adc) {
  Operands o;
  TestMatrix y(kBatch, kOut), expected(kBatch, kOut);
  for (const float noise : {0.0f, 0.3f}) {
    reference::fused_gemm_noise_quant(o.x.constant(), o.w.constant(), expected, noise, adc, kKey);
    fused_gemm_noise_quant(o.x, pack_weights(o.w), y, noise, adc, kKey);
    CHECK(difference(y, expected) == "");
    y.fill([] { return 0.0f; });
    fused_gemm_noise_quant(o.x, o.w.constant(), y, noise, adc, kKey, ShuffledThreads{2});
    CHECK(difference(y, expected) == "");
  }
}

}  // namespace

TEST_CASE("fused_gemm_noise_quant in floats takes any ADC", "[runtime_bits]") {
  for_every_bits<16>([](auto bits) {
    check_float_engine(RuntimeQuantizer(bits, -4.0f, 4.0f));
    check_float_engine(RuntimeQuantizer::symmetric(bits, 4.0f));
  });
  check_float_engine(Quantizer<7>(-4.0f, 4.0f));
  check_float_engine(SymmetricQuantizer<7>(4.0f));
  check_float_engine(NamedAdc(-4.0f, 4.0f));
}

TEST_CASE("fused_gemm_noise_quant with its bits written out", "[runtime_bits]") {
  Operands o;
  TestMatrix y(kBatch, kOut), expected(kBatch, kOut);
  const Quantizer<8> adc(-4.0f, 4.0f);
  reference::fused_gemm_noise_quant(o.x.constant(), o.w.constant(), expected, 0.1f, adc, kKey);
  fused_gemm_noise_quant<8>(o.x, pack_weights(o.w), y, 0.1f, adc, kKey);
  CHECK(difference(y, expected) == "");
  fused_gemm_noise_quant<8>(o.x, o.w.constant(), y, 0.1f, {-4.0f, 4.0f}, kKey);
  CHECK(difference(y, expected) == "");
  fused_gemm_noise_quant<8, ShuffledThreads>(o.x, o.w.constant(), y, 0.1f, adc, kKey,
                                             ShuffledThreads{2});
  CHECK(difference(y, expected) == "");
}

TEST_CASE("Weights of bits known at run time, with noise and with scales", "[runtime_bits]") {
  Operands o;
  const MultiplicativeWeightNoise noise{0.1f};
  Matrix<float> scales(1, kOut);
  for (float& scale : scales.elements()) scale = 0.03f;
  CodedWeights<8> coded;
  for_every_bits([&](auto bits) {
    const auto same = [&](const auto& fixed) {
      const Matrix<float> values = coded.decode(), expected = fixed.decode();
      CHECK(difference(values.view(), expected.view()) == "");
    };
    encode_weights(o.w, coded, bits, scales.elements());
    same(encode_weights<bits>(o.w, scales.elements()));

    // Noisy weights are held in 8 bits, whatever their levels have.
    encode_weights(o.w, coded, bits, noise, kKey);
    same(encode_weights<bits>(o.w, noise, kKey));
    if (bits == 8) {
      CodedWeights<8> fixed;
      encode_weights(o.w, coded, bits, noise, kKey, scales.elements());
      encode_weights(o.w, fixed, noise, kKey, scales.elements());
      same(fixed);
    }

    // The gate of caller's scales knows how large codes become.
    const auto gate_of = [&](const auto& gate) {
      TestMatrix gradient(kOut, kIn), zeros(kOut, kBatch), x(kIn, kBatch);
      fused_gemm(zeros.fill([] { return 1.0f; }).view(), x.fill([] { return 1.0f; }).constant(),
                 gradient.view(), epilogue(gate));
      return gradient;
    };
    TestMatrix by_fixed = gate_of(WeightGate<bits>{o.w, scales.elements()});
    TestMatrix by_runtime = gate_of(WeightGate<8>{o.w, scales.elements(), bits});
    CHECK(difference(by_runtime, by_fixed) == "");
  });
  for_every_bits<16>([&](auto bits) {
    PackedWeights packed, fixed;
    pack_quantized_weights(o.w, packed, bits, noise, kKey);
    pack_quantized_weights<bits>(o.w, fixed, noise, kKey);
    TestMatrix y(kBatch, kOut), expected(kBatch, kOut);
    fused_gemm(o.x.constant(), packed, y.view(), epilogue());
    fused_gemm(o.x.constant(), fixed, expected.view(), epilogue());
    CHECK(difference(y, expected) == "");
  });
  const auto refused = [&](int bits) {
    expect_error([&] { encode_weights(o.w, coded, bits, noise, kKey); }, {"[45, 30]", "2..8"});
    expect_error([&] { encode_weights(o.w, coded, bits, scales.elements()); }, {"2..8"});
    expect_error([&] { encode_weights(o.w, coded, bits, noise, kKey, scales.elements()); },
                 {"2..8"});
    PackedWeights packed;
    expect_error([&] { pack_quantized_weights(o.w, packed, 2 * bits, noise, kKey); }, {"2..16"});
  };
  refused(0);
  refused(9);
}
