#include <lumina/weights.hpp>

#include <cstdint>
#include <utility>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using lumina::PackedWeights;
using namespace test;

namespace {

/// "" where `packed` holds w as detail/packing/float_panels.hpp says: panel[k][column], filled up
/// with zeros.
std::string layout_error(const PackedWeights& packed, lumina::MatrixView<const float> w) {
  std::ostringstream text;
  for (std::size_t panel = 0; panel * 32 < w.rows(); ++panel) {
    for (std::size_t k = 0; k < w.cols(); ++k) {
      for (std::size_t column = 0; column < 32; ++column) {
        const std::size_t output = panel * 32 + column;
        const float expected = output < w.rows() ? w(output, k) : 0.0f;
        const float actual = packed.panel(panel)[k * 32 + column];
        if (same_bits(actual, expected)) continue;
        text << "output " << output << ", input " << k << ": " << actual << " instead of "
             << expected;
        return text.str();
      }
    }
  }
  return "";
}

}  // namespace

TEST_CASE("pack_weights puts 32 outputs side by side and fills up with zeros", "[weights]") {
  Engine engine(1);
  for (const std::size_t rows : {1u, 2u, 15u, 16u, 31u, 32u, 33u, 64u, 65u, 127u, 130u}) {
    for (const std::size_t cols : {1u, 2u, 3u, 15u, 16u, 17u, 31u, 33u, 64u, 100u}) {
      for (const std::size_t gap : {0u, 1u, 5u}) {
        TestMatrix w(rows, cols, cols + gap);
        w.fill([&] { return any_float(engine); });
        const PackedWeights packed = lumina::pack_weights(w);
        CAPTURE(rows, cols, gap);
        REQUIRE(packed.rows() == rows);
        REQUIRE(packed.cols() == cols);
        REQUIRE(packed.panel_size() == cols * 32);
        REQUIRE(reinterpret_cast<std::uintptr_t>(packed.panel(0)) % 64 == 0);
        REQUIRE(layout_error(packed, w) == "");
        REQUIRE(w.gaps_untouched());
      }
    }
  }
}

TEST_CASE("Packing again uses the same memory where it is large enough", "[weights]") {
  Engine engine(2);
  TestMatrix first(40, 20);
  TestMatrix second(40, 20);
  PackedWeights packed = lumina::pack_weights(first.fill_uniform(engine));
  const float* const memory = packed.panel(0);
  lumina::pack_weights(second.fill_uniform(engine), packed);
  CHECK(packed.panel(0) == memory);
  CHECK(layout_error(packed, second) == "");

  // Fewer outputs in as many panels: the places that are free now hold zeros again.
  TestMatrix fewer(33, 20);
  lumina::pack_weights(fewer.fill_uniform(engine), packed);
  CHECK(packed.rows() == 33);
  CHECK(layout_error(packed, fewer) == "");

  TestMatrix larger(70, 21);
  lumina::pack_weights(larger.fill_uniform(engine), packed);
  CHECK(packed.rows() == 70);
  CHECK(packed.cols() == 21);
  CHECK(layout_error(packed, larger) == "");
  const float* const more_memory = packed.panel(0);
  lumina::pack_weights(fewer, packed);
  CHECK(packed.panel(0) == more_memory);
  CHECK(layout_error(packed, fewer) == "");
}

TEST_CASE("PackedWeights: empty ones, and moving", "[weights]") {
  const PackedWeights nothing;
  CHECK(nothing.rows() == 0);
  CHECK(nothing.cols() == 0);
  TestMatrix no_inputs(3, 0);
  CHECK(lumina::pack_weights(no_inputs).rows() == 3);
  CHECK(lumina::pack_weights(no_inputs).cols() == 0);

  Engine engine(3);
  TestMatrix w(5, 7);
  PackedWeights packed = lumina::pack_weights(w.fill_uniform(engine));
  const float* const memory = packed.panel(0);
  PackedWeights moved = std::move(packed);
  CHECK(moved.panel(0) == memory);
  CHECK(layout_error(moved, w) == "");
  // What is left has no memory, so it must not claim a shape.
  CHECK(packed.rows() == 0);  // NOLINT(bugprone-use-after-move): that is the test
  CHECK(packed.cols() == 0);
  packed = std::move(moved);
  CHECK(layout_error(packed, w) == "");
}

TEST_CASE("PackedWeights: a copy has its own memory", "[weights]") {
  Engine engine(4);
  TestMatrix w(40, 7), other(3, 3);
  PackedWeights packed = lumina::pack_weights(w.fill_uniform(engine));
  PackedWeights copied = packed;
  CHECK(copied.panel(0) != packed.panel(0));
  lumina::pack_weights(other.fill_uniform(engine), packed);
  CHECK(layout_error(copied, w) == "");
  copied = packed;
  CHECK(copied.rows() == 3);
  CHECK(layout_error(copied, other) == "");
  CHECK(PackedWeights(PackedWeights()).rows() == 0);
  const PackedWeights nothing, still_nothing = nothing;
  CHECK(still_nothing.rows() == 0);
}
