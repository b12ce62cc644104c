#include <lumina/fused_gemm.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include <lumina/reference.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

struct Shape {
  std::size_t batch, in, out;
};

/// The engine against the reference, bit for bit, with gaps between the rows of all matrices. The
/// noise is not quantized: each bit of the dot products counts.
void check_shape(Engine& engine, const Shape& shape, std::size_t gap = 0) {
  const auto [batch, in, out] = shape;
  TestMatrix x(batch, in, in + gap), w(out, in, in + 2 * gap), y(batch, out, out + 3 * gap);
  TestMatrix expected(batch, out);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const NoiseKey key{engine(), engine(), engine()};
  const auto stages = epilogue(GaussianNoise{0.5f});
  fused_gemm(x.view(), pack_weights(w), y, stages, key);
  reference::fused_gemm(x, w, expected, stages, key);
  CAPTURE(batch, in, out, gap);
  REQUIRE(difference(y, expected) == "");
  REQUIRE(y.gaps_untouched());
  REQUIRE(x.gaps_untouched());
  REQUIRE(w.gaps_untouched());
}

/// A stage of a user's: a gain for each column.
struct OwnColumnGain {
  std::span<const float> gains;
  template <class Floats, class Normals>
  Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
               const Normals&) const {
    return product(values, load_columns<Floats>(gains, at, active));
  }
};

}  // namespace

TEST_CASE("fused_gemm equals the reference: random shapes and strides", "[fused_gemm]") {
  Engine engine(1);
  for (int i = 0; i < 150; ++i) {
    check_shape(engine, {integer(engine, 1, 150), integer(engine, 0, 150), integer(engine, 1, 150)},
                i % 2 == 0 ? 0 : integer(engine, 1, 20));
  }
}

TEST_CASE("fused_gemm equals the reference: every number of rows", "[fused_gemm]") {
  Engine engine(2);
  for (std::size_t batch = 1; batch <= 150; ++batch) check_shape(engine, {batch, 5, 40});
  for (std::size_t batch = 1; batch <= 30; ++batch) check_shape(engine, {batch, 7, 128}, 3);
}

TEST_CASE("fused_gemm equals the reference: every tail of columns", "[fused_gemm]") {
  Engine engine(3);
  for (std::size_t out = 1; out <= 170; ++out) check_shape(engine, {3, 6, out});
  for (const std::size_t edge : {16u, 32u, 64u, 96u, 128u, 160u, 192u, 256u, 384u}) {
    for (const std::size_t batch : {1u, 2u, 5u, 13u}) {
      for (const std::size_t out : {edge - 1, edge, edge + 1})
        check_shape(engine, {batch, 9, out}, 1);
    }
  }
}

TEST_CASE("fused_gemm equals the reference: every depth", "[fused_gemm]") {
  Engine engine(4);
  for (std::size_t in = 0; in <= 40; ++in) check_shape(engine, {4, in, 33});
  for (const std::size_t in : {0u, 1u, 2u, 3u, 4u, 5u}) check_shape(engine, {1, in, 1});
}

TEST_CASE("fused_gemm equals the reference: tall, wide and deep", "[fused_gemm]") {
  Engine engine(5);
  check_shape(engine, {1, 1, 1});
  check_shape(engine, {1000, 3, 5});
  check_shape(engine, {2, 3, 1000});
  check_shape(engine, {1, 4096, 3});
  check_shape(engine, {3, 4096, 40});
  check_shape(engine, {1, 784, 512});
  check_shape(engine, {145, 100, 260}, 7);
}

TEST_CASE("A dot product is one chain over ascending k", "[fused_gemm]") {
  // Independent of the reference, and the same numbers on every machine with an FMA.
  Engine engine(6);
  TestMatrix x(7, 300), w(45, 300), y(7, 45), expected(7, 45);
  x.fill_uniform(engine, -1.0f, 2.0f);
  w.fill_uniform(engine);
  for (std::size_t row = 0; row < 7; ++row) {
    for (std::size_t col = 0; col < 45; ++col) {
      float sum = 0.0f;
      for (std::size_t k = 0; k < 300; ++k) {
        const volatile float rounded = x(row, k) * w(col, k);
        sum = detail::kHasFma ? std::fma(x(row, k), w(col, k), sum) : sum + rounded;
      }
      expected(row, col) = sum;
    }
  }
  fused_gemm(x.view(), pack_weights(w), y, epilogue(), {});
  CHECK(difference(y, expected) == "");
}

TEST_CASE("fused_gemm carries infinities, NaN and denormals to their outputs only",
          "[fused_gemm]") {
  Engine engine(7);
  for (const Shape& shape : {Shape{13, 9, 37}, Shape{40, 3, 130}, Shape{1, 17, 200}}) {
    const auto [batch, in, out] = shape;
    TestMatrix x(batch, in), w(out, in), y(batch, out), expected(batch, out);
    const auto draw = [&] {
      return integer(engine, 0, 9) == 0 ? any_float(engine) : uniform(engine, -1.0f, 1.0f);
    };
    x.fill(draw);
    w.fill(draw);
    fused_gemm(x.view(), pack_weights(w), y, epilogue(), {});
    reference::fused_gemm(x, w, expected, epilogue(), {});
    CHECK(difference(y, expected) == "");

    // Denormal products and sums are not flushed to zero.
    x.fill([&] { return uniform(engine, -1.0f, 1.0f) * 0x1p-70f; });
    w.fill([&] { return uniform(engine, -1.0f, 1.0f) * 0x1p-70f; });
    fused_gemm(x.view(), pack_weights(w), y, epilogue(), {});
    reference::fused_gemm(x, w, expected, epilogue(), {});
    CHECK(difference(y, expected) == "");
    CHECK(expected(0, 0) != 0.0f);

    // Huge ones overflow where they must.
    x.fill([&] { return uniform(engine, -3e38f, 3e38f); });
    w.fill([&] { return uniform(engine, -2.0f, 2.0f); });
    fused_gemm(x.view(), pack_weights(w), y, epilogue(), {});
    reference::fused_gemm(x, w, expected, epilogue(), {});
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("A weight or an input that is infinite stays in its row and column", "[fused_gemm]") {
  // The columns that fill up a panel multiply zeros with it: nobody may see that NaN.
  TestMatrix x(5, 4), w(33, 4), y(5, 33);
  x.fill([] { return 1.0f; });
  w.fill([] { return 1.0f; });
  x(2, 1) = kInf;
  w(20, 3) = -kInf;
  fused_gemm(x.view(), pack_weights(w), y, epilogue(), {});
  for (std::size_t row = 0; row < 5; ++row) {
    for (std::size_t col = 0; col < 33; ++col) {
      const float expected = row == 2 ? (col == 20 ? kNaN : kInf) : col == 20 ? -kInf : 4.0f;
      if (!same_bits(y(row, col), expected)) CHECK(y(row, col) == expected);
    }
  }
}

TEST_CASE("fused_gemm_noise_quant equals the reference", "[fused_gemm]") {
  Engine engine(8);
  const auto check = [&](const auto& adc) {
    TestMatrix x(11, 30), w(47, 30), y(11, 47), expected(11, 47);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    const NoiseKey key{engine(), engine(), 0};
    for (const float stddev : {0.0f, -0.0f, 0.3f, 1e-20f, 1e30f}) {
      y.fill([] { return kNaN; });
      fused_gemm_noise_quant(x, pack_weights(w), y, stddev, adc, key);
      reference::fused_gemm_noise_quant(x, w, expected, stddev, adc, key);
      CAPTURE(adc.bits, stddev);
      CHECK(difference(y, expected) == "");
    }
  };
  check(Quantizer<1>(-1.0f, 1.0f));
  check(Quantizer<8>(-6.0f, 6.0f));
  check(Quantizer<16>(-3.0f, 5.0f));
}

TEST_CASE("Every number of bits in the engine", "[fused_gemm]") {
  Engine engine(9);
  TestMatrix x(6, 20), w(50, 20), y(6, 50), expected(6, 50);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const NoiseKey key{1, 2, 3};
  for (int bits = 1; bits <= 16; ++bits) {
    const auto stages = epilogue(GaussianNoise{0.2f}, RuntimeQuantizer(bits, -2.0f, 2.5f));
    fused_gemm(x.view(), pack_weights(w), y, stages, key);
    reference::fused_gemm(x, w, expected, stages, key);
    CAPTURE(bits);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("All kinds of stages in the engine", "[fused_gemm]") {
  Engine engine(10);
  for (const std::size_t out : {7u, 70u, 150u}) {
    // Exactly as many parameters as columns: a sanitizer sees an access behind them.
    TestMatrix bias(1, out);
    bias.fill_uniform(engine);
    const std::span<const float> columns(bias.view().data(), out);
    const auto stages = epilogue(AddBias{columns}, Relu{}, OwnColumnGain{columns}, ShotNoise{0.2f},
                                 epilogue(Attenuation{0.3f}, GaussianNoise{0.1f}),
                                 GaussianNoise{0.01f}, SymmetricQuantizer<8>(2.0f));
    TestMatrix x(9, 13), w(out, 13), y(9, out), expected(9, out);
    x.fill_uniform(engine);
    w.fill_uniform(engine);
    const NoiseKey key{3, 2, 1};
    fused_gemm(x.view(), pack_weights(w), y, stages, key);
    reference::fused_gemm(x, w, expected, stages, key);
    CHECK(difference(y, expected) == "");
  }
}

TEST_CASE("A batch in shards, each with its row offset, equals the whole", "[fused_gemm]") {
  Engine engine(11);
  TestMatrix x(90, 12), w(140, 12), whole(90, 140), shards(90, 140);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  const Quantizer<8> adc(-3.0f, 3.0f);
  const std::uint64_t first = ~std::uint64_t{0} - 40;  // the rows' numbers wrap around in the batch
  fused_gemm_noise_quant(x, packed, whole, 0.5f, adc, {1, 2, first});
  for (std::size_t cut = 0; cut <= 90; cut += 13) {
    shards.fill([] { return kNaN; });
    const auto part = [&](TestMatrix& m, std::size_t row, std::size_t rows) {
      const MatrixView<float> all = m.view();
      return MatrixView<float>(all.data() + row * all.row_stride(), rows, all.cols());
    };
    fused_gemm_noise_quant(part(x, 0, cut), packed, part(shards, 0, cut), 0.5f, adc, {1, 2, first});
    fused_gemm_noise_quant(part(x, cut, 90 - cut), packed, part(shards, cut, 90 - cut), 0.5f, adc,
                           {1, 2, first + cut});
    CAPTURE(cut);
    CHECK(difference(shards, whole) == "");
  }
}

TEST_CASE("Weights that are not packed give the same", "[fused_gemm]") {
  Engine engine(12);
  Matrix<float> x(6, 21), w(35, 21), y(6, 35), expected(6, 35);
  for (std::size_t i = 0; i < 6 * 21; ++i) x.data()[i] = uniform(engine, -1.0f, 1.0f);
  for (std::size_t i = 0; i < 35 * 21; ++i) w.data()[i] = uniform(engine, -1.0f, 1.0f);
  const Quantizer<8> adc(-3.0f, 3.0f);
  const NoiseKey key{1, 1, 1};
  for (const float stddev : {0.0f, 0.5f}) {
    fused_gemm_noise_quant(x, pack_weights(w), expected, stddev, adc, key);
    y = Matrix<float>(6, 35);
    fused_gemm_noise_quant(x, w, y, stddev, adc, key);
    CHECK(difference(y, expected) == "");
    y = Matrix<float>(6, 35);
    fused_gemm_noise_quant(x, w.view(), y, stddev, adc, key);
    CHECK(difference(y, expected) == "");
  }
  const auto stages = epilogue(GaussianNoise{0.5f}, adc);
  const Matrix<float>& constant = w;
  const MatrixView<const float> view = w;
  y = Matrix<float>(6, 35);
  fused_gemm(x, constant, y, stages, key);
  CHECK(difference(y, expected) == "");
  y = Matrix<float>(6, 35);
  fused_gemm(x, view, y, stages, key);
  CHECK(difference(y, expected) == "");
}

TEST_CASE("Nothing to compute", "[fused_gemm]") {
  Engine engine(13);
  TestMatrix w(5, 3);
  w.fill_uniform(engine);
  const PackedWeights packed = pack_weights(w);
  const auto stages = epilogue(GaussianNoise{0.5f});

  SECTION("no rows") {
    fused_gemm(MatrixView<const float>(nullptr, 0, 3), packed, MatrixView<float>(nullptr, 0, 5),
               stages, {});
  }
  SECTION("no columns") {
    TestMatrix x(4, 3), none(0, 3);
    fused_gemm(x.fill_uniform(engine).view(), pack_weights(none), MatrixView<float>(nullptr, 4, 0),
               stages, {});
  }
  SECTION("no inputs: the epilogue of zeros") {
    TestMatrix no_inputs(40, 0), y(3, 40), expected(3, 40);
    const MatrixView<const float> x(nullptr, 3, 0);
    fused_gemm(x, pack_weights(no_inputs), y, stages, {1, 2, 3});
    reference::fused_gemm(x, no_inputs, expected, stages, {1, 2, 3});
    CHECK(difference(y, expected) == "");
    y.fill([] { return kNaN; });
    fused_gemm(x, no_inputs.view(), y, epilogue(), {});
    CHECK(y(2, 39) == 0.0f);
  }
}

TEST_CASE("The example of the design", "[fused_gemm]") {
  // 2 × 3 times 3 × 2 by hand, through an ADC of 4 bits over [0, 15].
  Matrix<float> x(2, 3), w(2, 3), y(2, 2);
  for (std::size_t i = 0; i < 6; ++i) x.data()[i] = static_cast<float>(i);  // 0 1 2 / 3 4 5
  w(0, 0) = w(0, 1) = w(0, 2) = 1.0f;
  w(1, 0) = 0.5f;
  w(1, 2) = -1.0f;
  fused_gemm_noise_quant(x, pack_weights(w), y, 0.0f, Quantizer<4>(0.0f, 15.0f), NoiseKey{});
  CHECK(y(0, 0) == 3.0f);
  CHECK(y(0, 1) == 0.0f);  // −2, below the range
  CHECK(y(1, 0) == 12.0f);
  CHECK(y(1, 1) == 0.0f);  // −3.5
}
