#include <lumina/complex_weights.hpp>

#include <array>
#include <complex>
#include <cstddef>

#include <lumina/fused_gemm.hpp>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// A complex matrix of small integers, whose products floats hold exactly, as pairs.
TestMatrix random_pairs(Engine& engine, std::size_t rows, std::size_t cols, std::size_t stride) {
  TestMatrix pairs(rows, 2 * cols, 2 * stride);
  pairs.fill([&] { return static_cast<float>(integer(engine, 0, 16)) - 8.0f; });
  return pairs;
}

std::complex<float> pair(TestMatrix& pairs, std::size_t row, std::size_t col) {
  return {pairs(row, 2 * col), pairs(row, 2 * col + 1)};
}

}  // namespace

TEST_CASE("Complex products, without conjugation", "[complex_weights]") {
  Engine engine(1);
  for (const auto& [batch, in, out] :
       {std::array<std::size_t, 3>{1, 1, 1}, {2, 3, 5}, {3, 64, 16}, {7, 65, 17}, {5, 200, 90}}) {
    TestMatrix x = random_pairs(engine, batch, in, in + 1);
    TestMatrix w = random_pairs(engine, out, in, in + 3);
    TestMatrix y(batch, 2 * out, 2 * out + 2);
    const PackedWeights packed = pack_complex_weights(w);
    CHECK(packed.rows() == 2 * out);
    CHECK(packed.cols() == 2 * in);
    fused_gemm(x, packed, y, epilogue());
    CAPTURE(batch, in, out);
    bool same = true;
    for (std::size_t row = 0; row < batch; ++row) {
      for (std::size_t col = 0; col < out; ++col) {
        std::complex<float> sum = 0.0f;
        for (std::size_t k = 0; k < in; ++k) sum += pair(x, row, k) * pair(w, col, k);
        same = same && pair(y, row, col) == sum;
      }
    }
    CHECK(same);
    CHECK(y.gaps_untouched());
  }
}

TEST_CASE("Complex weights come in pairs", "[complex_weights]") {
  TestMatrix w(3, 5);
  w.fill([] { return 1.0f; });
  expect_error([&] { pack_complex_weights(w); }, {"[3, 5]", "pairs"});
}
