// The sums of codes, which are the instruction set's: exact, whatever the number of bits, however
// large.
#include <lumina/fused_gemm.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"
#include "support/every_bits.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"
#include "support/shared_kernels.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Weights that are these codes: every scale is 1.
template <int Bits>
CodedWeights<Bits> weights_of_codes(TestMatrix& codes) {
  const std::vector<float> ones(codes.view().rows(), 1.0f);
  return encode_weights<Bits>(codes, ones);
}

/// Whose codes are their own values, so that outputs are the sums.
const Quantizer<8> integers(0.0f, 255.0f);

std::int64_t exact_sum(MatrixView<const std::uint8_t> x, MatrixView<const float> w, std::size_t row,
                       std::size_t col) {
  std::int64_t sum = 0;
  for (std::size_t k = 0; k < x.cols(); ++k) {
    sum += std::int64_t{x(row, k)} * static_cast<std::int64_t>(w(col, k));
  }
  return sum;
}

/// The outputs are the sums themselves.
template <int Bits>
void check_exact(TestMatrixOf<std::uint8_t>& codes, TestMatrix& w) {
  const MatrixView<const std::uint8_t> x = codes;
  TestMatrix expected(x.rows(), w.view().rows()), y(x.rows(), w.view().rows());
  for (std::size_t row = 0; row < x.rows(); ++row) {
    for (std::size_t col = 0; col < w.view().rows(); ++col) {
      expected(row, col) = static_cast<float>(exact_sum(x, w, row, col));
    }
  }
  const CodedWeights<Bits> coded = weights_of_codes<Bits>(w);
  CAPTURE(Bits, x.rows(), x.cols());
  fused_gemm(x, integers, coded, y, epilogue());
  CHECK(difference(y, expected) == "");
}

}  // namespace

TEST_CASE("Sums of codes are exact: every number of bits", "[coded_sums]") {
  Engine engine(1);
  for_every_bits([&](auto bits) {
    constexpr std::size_t top = (1u << (bits - 1)) - 1;
    TestMatrixOf<std::uint8_t> x(14, 300);
    TestMatrix w(35, 300);
    x.fill([&] { return static_cast<std::uint8_t>(engine()); });
    w.fill(
        [&] { return static_cast<float>(integer(engine, 0, 2 * top)) - static_cast<float>(top); });
    check_exact<bits>(x, w);
  });
}

TEST_CASE("Sums of codes are exact: the largest codes do not saturate", "[coded_sums]") {
  // Every pattern of signs in neighbouring products: pairs and fours are where kernels add first.
  for_every_bits([&](auto bits) {
    constexpr auto top = static_cast<float>((1 << (bits - 1)) - 1);
    TestMatrixOf<std::uint8_t> x(2, 64);
    TestMatrix w(16, 64);
    x.fill([] { return std::uint8_t{255}; });
    for (std::size_t k = 0; k < 64; k += 3) x(1, k) = 0;
    for (std::size_t pattern = 0; pattern < 16; ++pattern) {
      for (std::size_t k = 0; k < 64; ++k) {
        w(pattern, k) = (pattern >> k % 4 & 1) != 0 ? top : -top;
      }
    }
    check_exact<bits>(x, w);
  });
}

TEST_CASE("Sums of codes are exact: as many inputs as there may be", "[coded_sums]") {
  STATIC_REQUIRE(kMostCodedInputs == 66311);  // 66311·255·127 = 2^31 − 1913
  for_every_bits([&](auto bits) {
    constexpr auto top = static_cast<float>((1 << (bits - 1)) - 1);
    const std::size_t in = kMostCodedInputs;
    TestMatrixOf<std::uint8_t> x(2, in);
    TestMatrix w(5, in);
    x.fill([] { return std::uint8_t{255}; });
    x(1, in - 1) = 254;
    for (std::size_t k = 0; k < in; ++k) {
      w(0, k) = top;
      w(1, k) = -top;
      // Far up or down and back again, to a sum of which a float holds every bit.
      w(2, k) = k < in / 2 ? top : -top;
      w(3, k) = k < in / 2 ? -top : top;
      w(4, k) = k % 2 == 0 ? top : -top;
    }
    check_exact<bits>(x, w);
  });
}
