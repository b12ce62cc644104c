#include <lumina/fused_gemm.hpp>

#include <cstddef>

#include "support/catch.hpp"
#include "support/executors.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

struct Shape {
  std::size_t batch, in, out;
};

/// The most rows for which w is not packed as a whole.
constexpr std::size_t kMaxRows =
    detail::Thresholds::max_unpacked_chunks * detail::Native::blocks.max_chunk_rows();

/// Weights as they are against packed ones, bit for bit, without and with a DAC.
class Comparison {
 public:
  template <class Fill>
  Comparison(Engine& engine, const Shape& shape, std::size_t gap, Fill fill)
      : x_(shape.batch, shape.in, shape.in + gap),
        w_(shape.out, shape.in, shape.in + 2 * gap),
        y_(shape.batch, shape.out, shape.out + 3 * gap),
        key_{engine(), engine(), engine()} {
    x_.fill(fill);
    w_.fill(fill);
    const PackedWeights packed = pack_weights(w_);
    fused_gemm(x_.view(), packed, noisy_, kStages, key_);
    fused_gemm(x_.view(), packed, bare_, epilogue(), key_);
    fused_gemm(x_.view(), kDac, packed, behind_dac_, kStages, key_);
  }

  template <class Executor = Serial>
  void check(const Executor& executor = {}) {
    CAPTURE(x_.view().rows(), x_.view().cols(), w_.view().rows(), x_.view().row_stride());
    fused_gemm(x_.view(), w_.view(), y_, kStages, key_, executor);
    REQUIRE(difference(y_, noisy_) == "");
    fused_gemm(x_.view(), w_.view(), y_, epilogue(), key_, executor);
    REQUIRE(difference(y_, bare_) == "");
    fused_gemm(x_.view(), kDac, w_.constant(), y_, kStages, key_, executor);
    REQUIRE(difference(y_, behind_dac_) == "");
    REQUIRE(y_.gaps_untouched());
    REQUIRE(w_.gaps_untouched());
  }

 private:
  static constexpr auto kStages = epilogue(GaussianNoise{0.5f});
  static constexpr Quantizer<12> kDac{-0.9f, 0.8f};
  TestMatrix x_, w_, y_;
  NoiseKey key_;
  TestMatrix noisy_{y_.view().rows(), y_.view().cols()};
  TestMatrix bare_{y_.view().rows(), y_.view().cols()};
  TestMatrix behind_dac_{y_.view().rows(), y_.view().cols()};
};

template <class Fill>
void check(Engine& engine, const Shape& shape, std::size_t gap, Fill fill) {
  Comparison(engine, shape, gap, fill).check();
}

void check(Engine& engine, const Shape& shape, std::size_t gap = 0) {
  check(engine, shape, gap, [&] { return uniform(engine, -1.0f, 1.0f); });
}

}  // namespace

TEST_CASE("Weights that nobody packed: random shapes and strides", "[unpacked_weights]") {
  Engine engine(1);
  for (int i = 0; i < 60; ++i) {
    check(engine, {integer(engine, 1, 150), integer(engine, 0, 150), integer(engine, 1, 150)},
          i % 2 == 0 ? 0 : integer(engine, 1, 20));
  }
  for (int i = 0; i < 25; ++i) {
    check(engine, {integer(engine, 1, 8), integer(engine, 100, 700), integer(engine, 1, 300)},
          i % 2 == 0 ? 0 : integer(engine, 1, 20));
  }
}

TEST_CASE("Weights that nobody packed: every tail of inputs and of outputs", "[unpacked_weights]") {
  Engine engine(2);
  for (std::size_t in = 0; in <= 140; ++in) {
    check(engine, {1, in, 128});
    check(engine, {3, in, 32}, 1);
    check(engine, {13, in, 70});
  }
  for (std::size_t out = 1; out <= 170; ++out) {
    check(engine, {1, 37, out});
    check(engine, {5, 35, out}, 1);
  }
}

TEST_CASE("Weights that nobody packed: every number of rows", "[unpacked_weights]") {
  Engine engine(3);
  for (std::size_t batch = 1; batch <= kMaxRows + 5; ++batch) check(engine, {batch, 35, 130});
  for (std::size_t batch = 1; batch <= 14; ++batch) check(engine, {batch, 300, 128}, 3);
}

TEST_CASE("Weights that nobody packed: tall, wide and deep", "[unpacked_weights]") {
  Engine engine(4);
  check(engine, {1, 4096, 40});
  check(engine, {1, 40, 1030});
  check(engine, {2, 784, 512});
  // Deeper than the workspace in which rows wait behind a DAC.
  check(engine, {1, 70000, 33});
  check(engine, {2 * kMaxRows, 1500, 33});
  check(engine, {kMaxRows, 3000, 33});
}

TEST_CASE("Weights that nobody packed: the same bits with every executor", "[unpacked_weights]") {
  Engine engine(5);
  for (const Shape& shape : {Shape{1, 2100, 520}, Shape{kMaxRows, 300, 300},
                             Shape{kMaxRows + 1, 600, 300}, Shape{300, 100, 300}}) {
    Comparison comparison(engine, shape, 1, [&] { return uniform(engine, -1.0f, 1.0f); });
    for_each_executor([&](const auto& executor, const char* name) {
      CAPTURE(name);
      comparison.check(executor);
    });
  }
}

TEST_CASE("Weights that nobody packed: packed some column blocks at a time", "[unpacked_weights]") {
  // Of the panels of three blocks two are more than what is near, so that there are three groups,
  // of which stages and noise see nothing.
  constexpr std::size_t kRows = kMaxRows + 1, kInputs = 1100, kOutputs = 300;
  static_assert(2 * kInputs * detail::kBlockColumns * sizeof(float) >
                detail::Thresholds::near_bytes);
  Engine engine(7);
  TestMatrix x(kRows, kInputs), w(kOutputs, kInputs, kInputs + 3), bias(1, kOutputs);
  TestMatrix y(kRows, kOutputs, kOutputs + 1), expected(kRows, kOutputs);
  x.fill_uniform(engine);
  w.fill_uniform(engine);
  bias.fill_uniform(engine);
  const auto stages =
      epilogue(AddBias{{bias.view().data(), kOutputs}}, ShotNoise{0.2f}, GaussianNoise{0.5f});
  const NoiseKey key{3, 2, 1};
  fused_gemm(x.view(), pack_weights(w), expected, stages, key);
  for_each_executor([&](const auto& executor, const char* name) {
    CAPTURE(name);
    y.fill([] { return kNaN; });
    fused_gemm(x.view(), w.view(), y, stages, key, executor);
    CHECK(difference(y, expected) == "");
    CHECK(y.gaps_untouched());
  });
}

TEST_CASE("Weights that nobody packed: infinities, NaN, denormals and huge numbers",
          "[unpacked_weights]") {
  Engine engine(6);
  for (const Shape& shape : {Shape{1, 50, 130}, Shape{4, 33, 70}, Shape{20, 40, 64}}) {
    check(engine, shape, 0, [&] {
      return integer(engine, 0, 9) == 0 ? any_float(engine) : uniform(engine, -1.0f, 1.0f);
    });
    check(engine, shape, 0, [&] { return uniform(engine, -1.0f, 1.0f) * 0x1p-70f; });
    check(engine, shape, 0, [&] { return uniform(engine, -3e38f, 3e38f); });
    check(engine, shape, 0, [] { return -0.0f; });
  }
}
