#include <lumina/quantized_weights.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

/// Output `row` of `packed` at input `col`.
float element(const PackedWeights& packed, std::size_t row, std::size_t col) {
  return packed.panel(row / 32)[col * 32 + row % 32];
}

/// "" where `packed` holds what SymmetricQuantizer makes of each row.
template <int Bits>
std::string quantizing_error(const PackedWeights& packed, MatrixView<const float> w) {
  Matrix<float> expected(w.rows(), w.cols()), actual(w.rows(), w.cols());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    float largest = 0.0f;
    for (std::size_t col = 0; col < w.cols(); ++col) {
      largest = std::max(largest, std::fabs(w(row, col)));
    }
    for (std::size_t col = 0; col < w.cols(); ++col) {
      expected(row, col) = largest == 0.0f ? 0.0f : SymmetricQuantizer<Bits>(largest)(w(row, col));
      actual(row, col) = element(packed, row, col);
    }
  }
  return difference(actual.view(), expected.view());
}

template <int Bits>
void check_bits() {
  Engine engine(Bits);
  TestMatrix w(37, 150, 151);
  w.fill_uniform(engine);
  for (std::size_t col = 0; col < 150; ++col) w(3, col) = 0.0f;
  PackedWeights packed, by_type;
  pack_quantized_weights(w, packed, Bits);
  pack_quantized_weights<Bits>(w, by_type);
  CAPTURE(Bits);
  CHECK(quantizing_error<Bits>(packed, w) == "");
  CHECK(quantizing_error<Bits>(by_type, w) == "");
}

}  // namespace

TEST_CASE("Quantized weights are the symmetric quantizer's", "[quantized_weights]") {
  check_bits<2>();
  check_bits<8>();
  check_bits<9>();
  check_bits<12>();
  check_bits<16>();
}

TEST_CASE("Weights that cannot be quantized", "[quantized_weights]") {
  Engine engine(1);
  TestMatrix w(5, 6);
  w.fill_uniform(engine);
  PackedWeights packed = pack_weights(w);
  const float* const before = packed.panel(0);
  expect_error([&] { pack_quantized_weights(w, packed, 1); }, {"[5, 6]", "2..16"});
  expect_error([&] { pack_quantized_weights(w, packed, 17); }, {"[5, 6]", "2..16"});
  w(4, 2) = kInf;
  expect_error([&] { pack_quantized_weights(w, packed, 12); }, {"[5, 6]", "(4, 2)"});
  CHECK(packed.panel(0) == before);
  CHECK(element(packed, 0, 0) == w(0, 0));
}
