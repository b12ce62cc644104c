// Matrices of other libraries as arguments: those whose rows lie as a MatrixView's convert to one,
// the others do not compile (tests/compile_fail/column_major_matrix.cpp).
#include <lumina/fused_gemm.hpp>

#include <cstdint>
#include <type_traits>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_matrix.hpp"
#include "support/random_matrix.hpp"
#include "support/same_bits.hpp"

using namespace lumina;
using namespace test;

namespace {

using RowMajor = ForeignMatrix<float, true>;
using ColumnMajor = ForeignMatrix<float, false>;
using Strided = ForeignMatrix<float, true, 2>;

template <class M, class T>
constexpr bool is_argument = std::is_convertible_v<M, MatrixView<T>>;

static_assert(is_argument<RowMajor&, float> && is_argument<RowMajor&, const float>);
static_assert(is_argument<const RowMajor&, const float> && !is_argument<const RowMajor&, float>);
static_assert(is_argument<RowMajor, const float>);
static_assert(!is_argument<RowMajor&, double> && !is_argument<RowMajor&, std::uint8_t>);
static_assert(!is_argument<ColumnMajor&, float> && !is_argument<const ColumnMajor&, const float>);
static_assert(!is_argument<Strided&, float> && !is_argument<Strided&, const float>);
static_assert(!std::is_constructible_v<MatrixView<const float>, ColumnMajor&>);
static_assert(!std::is_constructible_v<MatrixView<const float>, Strided&>);

}  // namespace

TEST_CASE("Row-major matrices of another library are views, with their own stride", "[matrix]") {
  Engine engine(1);
  RowMajor x{3, 7, 11}, w{5, 7, 7}, y{3, 5, 9};
  for (float& v : x.elements) v = uniform(engine, -1.0f, 1.0f);
  for (float& v : w.elements) v = uniform(engine, -1.0f, 1.0f);
  const MatrixView<float> view = y;
  CHECK(view.rows() == 3);
  CHECK(view.cols() == 5);
  CHECK(view.row_stride() == 9);
  CHECK(view.data() == y.data());
  Matrix<float> expected(3, 5);
  const auto coded = encode_weights<8>(w);
  const Quantizer<8> dac(-1.0f, 1.0f);
  fused_gemm(MatrixView<const float>(x.data(), 3, 7, 11), dac, coded, expected, epilogue());
  fused_gemm(x, dac, coded, y, epilogue());
  CHECK(difference(view, expected.view()) == "");
  fused_gemm(MatrixView<const float>(x.data(), 3, 7, 11), pack_weights(w), expected, epilogue());
  fused_gemm(x, w, y, epilogue());
  CHECK(difference(view, expected.view()) == "");
  CHECK(y.elements[5] == 0.0f);  // between the rows

  const ForeignMatrix<std::uint8_t, true> codes{3, 7, 8};
  fused_gemm(codes, dac, coded, y, epilogue());
}

TEST_CASE("A stride between the elements of a row that is known at run time", "[matrix][errors]") {
  ForeignMatrix<float, true, -1> m{2, 3, 3, 1};
  CHECK(MatrixView<const float>(m).rows() == 2);
  m.inner = 2;
  std::size_t rows = 0;
  expect_error([&] { rows = MatrixView<const float>(m).rows(); }, {"neighbours"});
  CHECK(rows == 0);
}
