// The engine of floats equals the reference where shapes, strides and threads make it go other ways
// than usual.
#include <lumina/fused_gemm.hpp>

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
