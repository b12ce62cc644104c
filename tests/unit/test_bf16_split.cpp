// Products of floats with integers in bf16, on an emulated matrix unit: so they are tested on
// machines without one.
#include <lumina/detail/training/bf16_split.hpp>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include <lumina/coded_weights.hpp>
#include <lumina/detail/engine/scratch.hpp>
#include <lumina/detail/rows/scaled.hpp>
#include <lumina/detail/rows/transposed.hpp>
#include <lumina/quantizer.hpp>

#include "support/catch.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/executors.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using detail::Native;
using Floats = Native::Batch<float>;

std::array<float, 3> split(float g) {
  const std::array<Floats, 3> parts = detail::split_in_bf16(Floats(g));
  std::array<float, 3> first{};
  for (std::size_t i = 0; i < 3; ++i) {
    alignas(64) float lanes[Floats::size];
    parts[i].store_aligned(lanes);
    first[i] = lanes[Floats::size - 1];
  }
  return first;
}

double sum_of(const std::array<float, 3>& parts) {
  return static_cast<double>(parts[0]) + parts[1] + parts[2];
}

/// A float whose exponent is one of lowest … highest, all alike.
float of_exponents(Engine& engine, int lowest, int highest) {
  const auto exponent = static_cast<std::size_t>(highest - lowest);
  const int e = lowest + static_cast<int>(integer(engine, 0, exponent));
  const float mantissa = uniform(engine, 1.0f, 2.0f);
  return std::ldexp(engine() % 2 == 0 ? mantissa : -mantissa, e);
}

/// Sums in double, and the bound of bf16_split.hpp for what the unit makes of them.
class Oracle {
 public:
  void add(float g, double code) {
    sum_ += static_cast<double>(g) * code;
    magnitudes_ += std::fabs(static_cast<double>(g) * code);
    codes_ += std::fabs(code);
    ++depth_;
  }
  double sum() const { return sum_; }
  double magnitudes() const { return magnitudes_; }
  double bound() const {
    const auto depth = static_cast<double>(depth_);
    const double c = 16 + 3.1 * std::ceil(depth / 32);
    return c * 0x1p-24 * magnitudes_ + 0x1p-126 * (codes_ + 4 * depth + 6);
  }

 private:
  double sum_ = 0, magnitudes_ = 0, codes_ = 0;
  std::size_t depth_ = 0;
};

template <class Rows, class EpilogueT = Epilogue<>, class Executor = Serial>
void run(const Rows& rows, const detail::Bf16Panels& panels, TestMatrix& y,
         const EpilogueT& stages = EpilogueT(), const NoiseKey& key = {},
         const Executor& executor = {}) {
  detail::run_bf16_split<Native, EmulatedUnit>(rows, panels, y.view(), stages, key, executor);
}

/// [rows, inner] scaled by the weights' scales, times the codes [inner, columns]. Returns the
/// number of results beyond the bound.
template <int Bits>
std::size_t wrong_products(TestMatrix& g, const CodedWeights<Bits>& weights, TestMatrix& y) {
  detail::Bf16Panels panels;
  panels.pack(weights);
  const MatrixView<const float> view = g;
  run(detail::ScaledRows<Native>(view, weights.scales()), panels, y);
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < view.rows(); ++row) {
    for (std::size_t column = 0; column < weights.cols(); ++column) {
      Oracle oracle;
      for (std::size_t k = 0; k < weights.rows(); ++k) {
        const float scaled = detail::product(view(row, k), weights.scales()[k]);
        oracle.add(scaled, weights.code(k, column));
      }
      wrong += !(std::fabs(y(row, column) - oracle.sum()) <= oracle.bound());
    }
  }
  return wrong;
}

template <int Bits>
void check_input_gradient(Engine& engine, std::size_t batch, std::size_t out, std::size_t in) {
  TestMatrix w(out, in), g(batch, out, out + 3), y(batch, in, in + 5);
  w.fill_uniform(engine);
  const auto weights = encode_weights<Bits>(w);
  CAPTURE(Bits, batch, out, in);
  REQUIRE(wrong_products(g.fill_uniform(engine), weights, y) == 0);
  REQUIRE(y.gaps_untouched());
}

void check_weight_gradient(Engine& engine, std::size_t batch, std::size_t out, std::size_t in) {
  TestMatrix x(batch, in, in + 2), g(batch, out, out + 3), y(out, in, in + 5);
  x.fill_uniform(engine, -1.5f, 1.5f);
  g.fill_uniform(engine);
  const Quantizer<8> dac(-1.0f, 1.2f);
  detail::Bf16Panels panels;
  panels.pack(x.constant(), dac);
  run(detail::TransposedRows(g.constant()), panels, y);
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < out; ++row) {
    for (std::size_t column = 0; column < in; ++column) {
      Oracle oracle;
      for (std::size_t k = 0; k < batch; ++k) oracle.add(g(k, row), dac.encode(x(k, column)));
      wrong += !(std::fabs(y(row, column) - oracle.sum()) <= oracle.bound());
    }
  }
  CAPTURE(batch, out, in);
  REQUIRE(wrong == 0);
  REQUIRE(y.gaps_untouched());
}

float bf16_of_panel(const detail::Bf16Panels& panels, std::size_t row, std::size_t column) {
  const auto word =
      static_cast<std::uint32_t>(panels.panel(column / 32)[row / 2 * 32 + column % 32]);
  return std::bit_cast<float>(row % 2 == 0 ? word << 16 : word & 0xffff0000u);
}

/// The number of places where the panels do not hold value(row, column), and 0 behind the ends.
template <class Value>
std::size_t wrong_places(const detail::Bf16Panels& panels, const Value& value) {
  std::size_t wrong = 0;
  for (std::size_t row = 0; row < (panels.depth() + 31) / 32 * 32; ++row) {
    for (std::size_t column = 0; column < (panels.columns() + 31) / 32 * 32; ++column) {
      const bool inside = row < panels.depth() && column < panels.columns();
      wrong += bf16_of_panel(panels, row, column) != (inside ? value(row, column) : 0.0f);
    }
  }
  return wrong;
}

template <int Bits>
void check_panels(Engine& engine, detail::Bf16Panels& panels, std::size_t out, std::size_t in) {
  TestMatrix w(out, in);
  w.fill_uniform(engine);
  const auto weights = encode_weights<Bits>(w);
  panels.pack(weights);
  CAPTURE(Bits, out, in);
  REQUIRE(wrong_places(panels, [&](std::size_t row, std::size_t column) {
            return static_cast<float>(weights.code(row, column));
          }) == 0);
}

}  // namespace

TEST_CASE("Three bf16 make a float", "[bf16_split]") {
  Engine engine(1);
  std::size_t inexact = 0, longer = 0, far = 0;
  for (int i = 0; i < 100'000; ++i) {
    const float g = of_exponents(engine, -103, 127);
    const auto parts = split(g);
    inexact += sum_of(parts) != static_cast<double>(g);
    for (const float part : parts) longer += (bits_of(part) & 0xffffu) != 0;
    far += std::fabs(g - parts[0]) > 0x1p-8f * std::fabs(g) ||
           std::fabs(parts[2]) > 0x1p-16f * std::fabs(g);
  }
  CHECK(inexact == 0);
  CHECK(longer == 0);
  CHECK(far == 0);

  SECTION("ties to even") {
    CHECK(split(0x1.01p0f)[0] == 0x1.00p0f);
    CHECK(split(0x1.03p0f)[0] == 0x1.04p0f);
    CHECK(split(0x1.010002p0f)[0] == 0x1.02p0f);
  }
  SECTION("the largest") {
    const float largest = std::numeric_limits<float>::max();
    for (const float g : {largest, -largest, 0x1.ffp127f, 0x1.fefffep127f, 0x1.ff0002p127f}) {
      const auto parts = split(g);
      CHECK(sum_of(parts) == static_cast<double>(g));
      for (const float part : parts) CHECK(std::fabs(part) <= largest);
    }
  }
  SECTION("infinities and NaN") {
    const float infinity = std::numeric_limits<float>::infinity();
    CHECK(split(infinity) == std::array<float, 3>{infinity, 0.0f, 0.0f});
    CHECK(split(-infinity) == std::array<float, 3>{-infinity, 0.0f, 0.0f});
    for (const std::uint32_t bits : {0x7fc00000u, 0x7f800001u, 0xffffffffu}) {
      CHECK(std::isnan(split(float_of(bits))[0]));
    }
  }
  SECTION("denormal parts are all that is lost") {
    for (int i = 0; i < 10'000; ++i) {
      const float g = i % 2 == 0 ? of_exponents(engine, -140, -103)
                                 : float_of(static_cast<std::uint32_t>(engine() >> 41));
      double kept = 0;
      for (const float part : split(g)) kept += std::fabs(part) < 0x1p-126f ? 0.0f : part;
      REQUIRE(std::fabs(kept - g) < 0x1p-126);
    }
  }
}

TEST_CASE("Panels of bf16 hold codes", "[bf16_split]") {
  Engine engine(2);
  detail::Bf16Panels panels;  // also used again for other sizes
  for (const std::size_t out : {1u, 31u, 33u, 64u, 70u}) {
    for (const std::size_t in : {1u, 3u, 17u, 32u, 33u, 100u}) {
      check_panels<8>(engine, panels, out, in);
      check_panels<4>(engine, panels, out, in);
      check_panels<2>(engine, panels, out, in);
    }
  }
  const Quantizer<8> dac(-1.0f, 1.2f);
  for (const std::size_t batch : {1u, 2u, 31u, 32u, 65u}) {
    for (const std::size_t in : {1u, 15u, 32u, 75u}) {
      TestMatrix x(batch, in, in + 3);
      x.fill_uniform(engine, -1.5f, 1.5f);
      x(batch - 1, in / 2) = std::numeric_limits<float>::quiet_NaN();
      TestMatrixOf<std::uint8_t> codes(batch, in, in + 3);
      for (std::size_t i = 0; i < batch * in; ++i) {
        codes(i / in, i % in) = static_cast<std::uint8_t>(dac.encode(x(i / in, i % in)));
      }
      const auto value = [&](std::size_t row, std::size_t column) {
        return static_cast<float>(codes(row, column));
      };
      CAPTURE(batch, in);
      panels.pack(x.constant(), dac);
      REQUIRE(wrong_places(panels, value) == 0);
      panels.pack(codes.constant(), dac);
      REQUIRE(wrong_places(panels, value) == 0);
    }
  }
}

TEST_CASE("Split products stay within their bound", "[bf16_split]") {
  Engine engine(3);
  SECTION("every number of rows") {
    for (std::size_t rows = 1; rows <= 35; ++rows) check_input_gradient<8>(engine, rows, 40, 33);
    for (std::size_t rows = 1; rows <= 35; ++rows) check_weight_gradient(engine, 21, rows, 33);
  }
  SECTION("tails of columns") {
    for (const std::size_t in : {1u, 31u, 32u, 65u, 127u, 128u, 129u, 260u}) {
      check_input_gradient<4>(engine, 17, 20, in);
      check_weight_gradient(engine, 5, 18, in);
    }
  }
  SECTION("every depth around the steps") {
    for (const std::size_t depth : {0u, 1u, 2u, 3u, 31u, 32u, 33u, 63u, 64u, 65u, 130u}) {
      check_input_gradient<2>(engine, 18, depth, 40);
      check_weight_gradient(engine, depth, 18, 40);
    }
  }
  SECTION("a depth that the workspace cannot hold") {
    using Rows = detail::Bf16Rows<Native, detail::TransposedRows>;
    using Depth = detail::DepthBlocks<Rows, Native::row_scratch_bytes>;
    const std::size_t depth = Depth::block_inputs(32) + 40;
    check_input_gradient<8>(engine, 32, depth, 35);
    check_weight_gradient(engine, depth, 32, 35);
  }
}

TEST_CASE("Split products of awkward numbers stay within their bound", "[bf16_split]") {
  Engine engine(4);
  constexpr std::size_t kRows = 20, kDepth = 300, kColumns = 40;
  TestMatrix w(kDepth, kColumns), g(kRows, kDepth), y(kRows, kColumns);
  w.fill_uniform(engine);
  const std::vector<float> ones(kDepth, 1.0f / 127);
  SECTION("of all magnitudes") {
    const auto weights = encode_weights<8>(w);
    g.fill([&] { return of_exponents(engine, -60, 60); });
    CHECK(wrong_products(g, weights, y) == 0);
  }
  SECTION("near the denormal ones and below") {
    const auto weights = encode_weights<8>(w, ones);
    g.fill([&] { return of_exponents(engine, -130, -100); });
    CHECK(wrong_products(g, weights, y) == 0);
    g.fill([&] { return of_exponents(engine, -149, -110); });
    CHECK(wrong_products(g, weights, y) == 0);
  }
  SECTION("that cancel") {
    for (std::size_t k = 0; k + 1 < kDepth; k += 2) {
      for (std::size_t column = 0; column < kColumns; ++column) w(k + 1, column) = w(k, column);
    }
    const auto weights = encode_weights<8>(w, ones);
    for (std::size_t row = 0; row < kRows; ++row) {
      for (std::size_t k = 0; k < kDepth; k += 2) {
        g(row, k) = of_exponents(engine, -3, 3);
        g(row, k + 1) = -g(row, k) * (1.0f + uniform(engine, -0x1p-20f, 0x1p-20f));
      }
    }
    CHECK(wrong_products(g, weights, y) == 0);
  }
  SECTION("that are all alike, so that roundings add up") {
    w.fill([] { return 1.0f; });
    const auto weights = encode_weights<8>(w, ones);
    g.fill([] { return 0x1.fffffep0f; });
    CHECK(wrong_products(g, weights, y) == 0);
  }
}

TEST_CASE("Infinite and NaN gradients reach the outputs of their row", "[bf16_split]") {
  Engine engine(5);
  TestMatrix w(40, 10), g(3, 40), y(3, 10);
  const auto weights = encode_weights<8>(w.fill_uniform(engine, 0.5f, 1.0f));
  g.fill_uniform(engine);
  g(0, 7) = std::numeric_limits<float>::infinity();
  g(2, 39) = std::numeric_limits<float>::quiet_NaN();
  detail::Bf16Panels panels;
  panels.pack(weights);
  run(detail::ScaledRows<Native>(g.constant(), weights.scales()), panels, y);
  for (std::size_t column = 0; column < 10; ++column) {
    CHECK(y(0, column) == std::numeric_limits<float>::infinity());
    CHECK(std::isfinite(y(1, column)));
    CHECK(std::isnan(y(2, column)));
  }
}

TEST_CASE("Split products do not depend on threads or batches", "[bf16_split]") {
  Engine engine(6);
  constexpr std::size_t kBatch = 67, kOut = 250, kIn = 140;  // worth several threads
  TestMatrix w(kOut, kIn), g(kBatch, kOut), all(kBatch, kIn);
  const auto weights = encode_weights<8>(w.fill_uniform(engine));
  g.fill_uniform(engine);
  detail::Bf16Panels panels;
  panels.pack(weights);
  const MatrixView<const float> view = g;
  run(detail::ScaledRows<Native>(view, weights.scales()), panels, all);
  SECTION("threads") {
    TestMatrix y(kBatch, kIn);
    run(detail::ScaledRows<Native>(view, weights.scales()), panels, y, epilogue(), {},
        ShuffledThreads{3});
    CHECK(difference(y, all) == "");
  }
  SECTION("batches") {
    for (const std::size_t size : {1u, 5u, 20u}) {
      std::size_t different = 0;
      for (std::size_t first = 0; first < kBatch; first += size) {
        const std::size_t rows = std::min(size, kBatch - first);
        TestMatrix y(rows, kIn);
        run(detail::ScaledRows<Native>({view.row(first), rows, kOut}, weights.scales()), panels, y);
        for (std::size_t i = 0; i < rows * kIn; ++i) {
          different += bits_of(y(i / kIn, i % kIn)) != bits_of(all(first + i / kIn, i % kIn));
        }
      }
      CAPTURE(size);
      CHECK(different == 0);
    }
  }
}

TEST_CASE("Split products go through their epilogue", "[bf16_split]") {
  Engine engine(7);
  constexpr std::size_t kBatch = 45, kOut = 37, kIn = 150;
  TestMatrix x(kBatch, kIn), g(kBatch, kOut), sums(kOut, kIn), y(kOut, kIn);
  x.fill_uniform(engine, -1.2f, 1.2f);
  g.fill_uniform(engine);
  std::vector<float> row_sums(kOut);
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t k = 0; k < kBatch; ++k) row_sums[row] += g(k, row);
  }
  const Quantizer<8> dac(-1.0f, 1.0f);
  detail::Bf16Panels panels;
  panels.pack(x.constant(), dac);
  const detail::TransposedRows rows(g.constant());
  run(rows, panels, sums);
  const detail::ValuesOfCodes values{dac.step(), dac.offset(), row_sums};
  const NoiseKey key{1, 2, 3};
  run(rows, panels, y, detail::with_first_stage(values, epilogue(GaussianNoise{0.5f})), key);
  std::size_t different = 0, far = 0;
  for (std::size_t row = 0; row < kOut; ++row) {
    for (std::size_t column = 0; column < kIn; ++column) {
      const float value = detail::fused_multiply_add(dac.step(), sums(row, column),
                                                     detail::product(dac.offset(), row_sums[row]));
      const float normal = standard_normal_at(key, row, column);
      different +=
          bits_of(y(row, column)) != bits_of(detail::fused_multiply_add(0.5f, normal, value));
      double exact = 0;
      for (std::size_t k = 0; k < kBatch; ++k) {
        exact += static_cast<double>(g(k, row)) * dac(x(k, column));
      }
      far += !(std::fabs(value - exact) < 1e-4);
    }
  }
  CHECK(different == 0);
  CHECK(far == 0);
}
