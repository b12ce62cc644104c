// The real matrix unit: only where there is one (cpu_check.cpp). The loops around it are tested in
// test_matrix_unit.cpp too, on an emulated one.
#include <lumina/fused_gemm.hpp>

#include <cstdint>
#include <cstring>
#include <string>

#include <lumina/detail/rows/scaled.hpp>
#include <lumina/detail/training/bf16_split.hpp>
#include <lumina/isa.hpp>
#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// The sums that tiles of `x_rows` rows make of random bytes, added to what was there.
template <class Unit>
void dot_of_tiles(std::size_t x_rows, const std::uint8_t (&x)[16][64],
                  const std::int8_t (&w)[16][64], std::int32_t (&sums)[16][16]) {
  Unit::configure(detail::TileConfig(x_rows));
  Unit::fence();
  Unit::template load<0>(sums, sizeof(sums[0]));
  Unit::template load<4>(x, sizeof(x[0]));
  Unit::template load_once<6>(w, sizeof(w[0]));
  Unit::template dot<0, 4, 6>();
  Unit::template store<0>(sums, sizeof(sums[0]));
  Unit::release();
}

/// The same of bf16.
template <class Unit>
void dot_of_bf16_tiles(std::size_t x_rows, const std::uint16_t (&x)[16][32],
                       const std::uint16_t (&w)[16][32], float (&sums)[16][16]) {
  Unit::configure(detail::TileConfig(x_rows));
  Unit::fence();
  Unit::template load<0>(sums, sizeof(sums[0]));
  Unit::template load<4>(x, sizeof(x[0]));
  Unit::template load_once<6>(w, sizeof(w[0]));
  Unit::template dot_bf16<0, 4, 6>();
  Unit::template store<0>(sums, sizeof(sums[0]));
  Unit::release();
}

/// A bf16 of either sign with one of the exponents first … last as they are stored.
std::uint16_t bf16_of(Engine& engine, std::size_t first, std::size_t last) {
  return static_cast<std::uint16_t>(integer(engine, first, last) << 7 | (engine() & 0x807f));
}

}  // namespace

TEST_CASE("The unit's instructions do what the emulation does", "[amx]") {
  REQUIRE(detail::amx_usable());
  Engine engine(1);
  for (std::size_t x_rows = 1; x_rows <= 16; ++x_rows) {
    std::uint8_t x[16][64];
    std::int8_t w[16][64];
    std::int32_t sums[16][16], expected[16][16];
    for (std::size_t row = 0; row < 16; ++row) {
      for (std::size_t i = 0; i < 64; ++i) {
        x[row][i] = static_cast<std::uint8_t>(engine());
        w[row][i] = static_cast<std::int8_t>(engine());
        sums[row][i / 4] = expected[row][i / 4] = static_cast<std::int32_t>(engine() % 1000);
      }
    }
    dot_of_tiles<detail::AmxUnit>(x_rows, x, w, sums);
    dot_of_tiles<EmulatedUnit>(x_rows, x, w, expected);
    CAPTURE(x_rows);
    CHECK(std::memcmp(sums, expected, sizeof(sums)) == 0);
  }
}

TEST_CASE("The unit's instruction for bf16 does what the emulation does", "[amx]") {
  REQUIRE(detail::amx_bf16_usable());
  Engine engine(3);
  const auto check = [&](std::size_t x_rows, std::size_t first, std::size_t last) {
    std::uint16_t x[16][32], w[16][32];
    float sums[16][16], expected[16][16];
    for (std::size_t row = 0; row < 16; ++row) {
      for (std::size_t i = 0; i < 32; ++i) {
        x[row][i] = bf16_of(engine, first, last);
        w[row][i] = bf16_of(engine, 120, 134);
        sums[row][i / 2] = expected[row][i / 2] =
            float_of(static_cast<std::uint32_t>(bf16_of(engine, first, last)) << 16);
      }
    }
    dot_of_bf16_tiles<detail::AmxUnit>(x_rows, x, w, sums);
    dot_of_bf16_tiles<EmulatedUnit>(x_rows, x, w, expected);
    CAPTURE(x_rows, first, last);
    CHECK(std::memcmp(sums, expected, sizeof(sums)) == 0);
  };
  for (std::size_t x_rows = 1; x_rows <= 16; ++x_rows) {
    check(x_rows, 120, 134);
    check(x_rows, 60, 200);
    check(x_rows, 0, 6);  // denormal operands and results
  }
}

TEST_CASE("Split products on AMX equal those of the emulation", "[amx]") {
  REQUIRE(detail::amx_bf16_usable());
  Engine engine(4);
  for (int i = 0; i < 10; ++i) {
    const std::size_t batch = integer(engine, 1, 70), out = integer(engine, 1, 200);
    const std::size_t in = integer(engine, 1, 200);
    TestMatrix w(out, in), g(batch, out), y(batch, in), expected(batch, in);
    const auto weights = encode_weights<8>(w.fill_uniform(engine));
    detail::Bf16Panels panels;
    panels.pack(weights);
    g.fill_uniform(engine);
    const detail::ScaledRows<detail::Native> rows(g.constant(), weights.scales());
    detail::run_bf16_split<detail::Native, detail::AmxUnit>(rows, panels, y.view(), epilogue(),
                                                            NoiseKey{}, Serial{});
    detail::run_bf16_split<detail::Native, EmulatedUnit>(rows, panels, expected.view(), epilogue(),
                                                         NoiseKey{}, Serial{});
    CAPTURE(batch, out, in);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("Coded calls on AMX equal those on AVX-512 VNNI", "[amx]") {
  REQUIRE(detail::amx_usable());
  Engine engine(2);
  const std::string before = isa();
  for (int i = 0; i < 40; ++i) {
    const std::size_t batch = integer(engine, 4, 150), in = integer(engine, 1, 900);
    const std::size_t out = integer(engine, 1, 300);
    TestMatrix x(batch, in), w(out, in), y(batch, out), expected(batch, out);
    const auto weights = encode_weights<8>(w.fill_uniform(engine));
    const Quantizer<8> dac(-1.0f, 1.0f), adc(-20.0f, 20.0f);
    const NoiseKey key{engine(), engine(), engine()};
    REQUIRE(force_isa("amx"));
    fused_gemm_noise_quant(x.fill_uniform(engine), dac, weights, y, 0.3f, adc, key);
    REQUIRE(force_isa("avx512_vnni"));
    fused_gemm_noise_quant(x, dac, weights, expected, 0.3f, adc, key);
    CAPTURE(batch, in, out);
    CHECK(difference(y, expected) == "");
  }
  REQUIRE(force_isa(before));
}
