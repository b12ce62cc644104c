// The engine of floats equals the reference where shapes, strides and threads make it go other ways
// than usual.
#include <lumina/fused_gemm.hpp>

#include <array>
#include <cstddef>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

constexpr std::size_t kTileRows = detail::Native::blocks.max_tile_rows();

/// So many threads, whose tasks the calling one runs.
struct Threads {
  std::size_t threads;

  template <class Body>
  void operator()(std::size_t tasks, const Body& body) const {
    Serial()(tasks, body);
  }
};

}  // namespace

TEST_CASE("Float shapes: chunks of different heights behind a DAC, cut along their depth",
          "[float_shapes]") {
  Engine engine(1);
  constexpr std::size_t kRows = 2 * kTileRows - 1;
  // 12 rows and 11: the blocks of fewer rows are longer, and so may be what they take.
  const Quantizer<12> dac(-0.9f, 0.8f);
  const auto stages = epilogue(GaussianNoise{0.5f});
  const std::size_t most = detail::Native::row_scratch_bytes / sizeof(float) / (kTileRows - 1);
  for (const std::size_t in : {most - 70, most, most + 30, 2 * most + 77}) {
    TestMatrix x(kRows, in), w(40, in), y(kRows, 40), expected(kRows, 40);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    fused_gemm(x.view(), dac, pack_weights(w), y, stages, {1, 2, 3});
    for (std::size_t row = 0; row < kRows; ++row) dac.apply({&x(row, 0), in});
    reference::fused_gemm(x, w, expected, stages, {1, 2, 3});
    CAPTURE(in);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("Float shapes: rows whose distance is a multiple of 4 KiB", "[float_shapes]") {
  Engine engine(2);
  const auto stages = epilogue(GaussianNoise{0.5f});
  for (const std::size_t rows : {1u, 7u, 8u, 9u, 12u, 13u, 25u, 47u, 50u, 101u}) {
    for (const std::size_t out : {20u, 32u, 64u, 96u, 128u, 200u, 256u}) {
      // The last one's panels are too large for wide tiles of few rows.
      const std::size_t in = rows == 13 ? 3000 : integer(engine, 1, 150);
      const std::size_t stride = in > 2048 ? 4096 : 1024 * integer(engine, 1, 3);
      TestMatrix x(rows, in, stride), w(out, in), y(rows, out, 1024), expected(rows, out);
      x.fill_uniform(engine);
      w.fill_uniform(engine);
      const NoiseKey key{engine(), engine(), engine()};
      CAPTURE(rows, in, out, stride);
      fused_gemm(x.view(), pack_weights(w), y, stages, key);
      reference::fused_gemm(x, w, expected, stages, key);
      CHECK(difference(y, expected) == "");
      fused_gemm(x.view(), w.view(), y, stages, key);
      CHECK(difference(y, expected) == "");
      CHECK(y.gaps_untouched());
    }
  }
}

TEST_CASE("Float shapes: few outputs, alone or behind whole panels", "[float_shapes]") {
  Engine engine(4);
  const auto stages = epilogue(GaussianNoise{0.5f});
  const Quantizer<12> dac(-0.9f, 0.8f);
  const auto check = [&](std::size_t rows, std::size_t in, std::size_t out, std::size_t stride) {
    TestMatrix x(rows, in, stride), w(out, in), y(rows, out, out + 3), expected(rows, out);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    const PackedWeights packed = pack_weights(w);
    const NoiseKey key{engine(), engine(), engine()};
    CAPTURE(rows, in, out, stride);
    reference::fused_gemm(x, w, expected, stages, key);
    fused_gemm(x.view(), packed, y, stages, key);
    REQUIRE(difference(y, expected) == "");
    fused_gemm(x.view(), w.view(), y, stages, key);
    REQUIRE(difference(y, expected) == "");
    fused_gemm(x.view(), dac, packed, y, stages, key);
    for (std::size_t row = 0; row < rows; ++row) dac.apply({&x(row, 0), in});
    reference::fused_gemm(x, w, expected, stages, key);
    REQUIRE(difference(y, expected) == "");
    REQUIRE(y.gaps_untouched());
  };
  for (std::size_t rows = 1; rows <= 61; ++rows) {
    for (const std::size_t out : {1u, 4u, 8u, 9u, 16u, 17u, 40u, 129u}) {
      check(rows, 13, out, rows % 2 == 0 ? 13 : 1024);
    }
  }
  // So deep that rows behind a DAC are cut, and sums go on.
  for (const std::size_t rows : {8u, 12u, 13u, 24u}) {
    for (const std::size_t out : {1u, 10u}) check(rows, 6000, out, 6000);
  }
}

TEST_CASE("Float shapes: the same bits however many threads share few rows and columns",
          "[float_shapes]") {
  Engine engine(3);
  const auto stages = epilogue(GaussianNoise{0.5f});
  const Quantizer<12> dac(-0.9f, 0.8f);
  for (const auto& [batch, in, out] : {std::array{32u, 400u, 128u}, std::array{31u, 200u, 200u},
                                       std::array{100u, 150u, 300u}, std::array{513u, 300u, 10u}}) {
    TestMatrix x(batch, in), w(out, in), y(batch, out), expected(batch, out), quantized(batch, out);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    const PackedWeights packed = pack_weights(w);
    const NoiseKey key{engine(), engine(), engine()};
    reference::fused_gemm(x, w, expected, stages, key);
    fused_gemm(x.view(), dac, packed, quantized, stages, key);
    for (const std::size_t threads : {1u, 2u, 3u, 5u, 8u, 16u, 33u, 64u}) {
      CAPTURE(batch, in, out, threads);
      fused_gemm(x.view(), packed, y, stages, key, Threads{threads});
      CHECK(difference(y, expected) == "");
      fused_gemm(x.view(), w.view(), y, stages, key, Threads{threads});
      CHECK(difference(y, expected) == "");
      fused_gemm(x.view(), dac, packed, y, stages, key, Threads{threads});
      CHECK(difference(y, quantized) == "");
    }
  }
}
