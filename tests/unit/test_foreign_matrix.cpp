// Matrices of other libraries as arguments: those whose rows lie as a MatrixView's convert to one,
// the others do not compile (tests/compile_fail/column_major_matrix.cpp).
#include <lumina/fused_gemm.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"
#include "support/foreign_matrix.hpp"
#include "support/foreign_span.hpp"
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

// Spans of two dimensions.
template <class Layout, std::size_t Rows = std::dynamic_extent, std::size_t Cols = Rows>
using Span = ForeignSpan<float, Layout, Extents<Rows, Cols>>;
static_assert(is_argument<Span<LayoutRight>, float> && is_argument<Span<LayoutRight>, const float>);
static_assert(is_argument<const Span<LayoutRight>&, float>);  // as std::span, it is a pointer
static_assert(is_argument<Span<LayoutRight, 2, 3>, float>);
static_assert(is_argument<Span<Layout<true, 3>>, float> && is_argument<Span<LayoutStride>, float>);
static_assert(!is_argument<ForeignSpan<const float>, float> &&
              is_argument<ForeignSpan<const float>, const float>);
static_assert(!is_argument<Span<LayoutRight>, double>);
static_assert(!is_argument<Span<LayoutLeft>, float> && !is_argument<Span<LayoutLeft, 2, 3>, float>);
static_assert(!is_argument<Span<Layout<false, 3>>, float>);
static_assert(
    is_argument<Span<LayoutLeft, 1, 3>, float>);  // one row, whose elements are neighbours
static_assert(!is_argument<ForeignSpan<float, LayoutRight, DynamicExtents, float>, const float>);

// Rows in one piece, and rows that lie apart.
using Three = std::array<float, 3>;
static_assert(is_argument<std::vector<Three>&, float> && is_argument<std::span<Three>, float>);
static_assert(is_argument<const std::vector<Three>&, const float>);
static_assert(!is_argument<const std::vector<Three>&, float> &&
              !is_argument<std::span<const Three>, float> &&
              !is_argument<std::vector<Three>&, int>);
static_assert(is_argument<std::array<Three, 4>&, float> && is_argument<float (&)[4][3], float>);
static_assert(is_argument<const float (&)[4][3], const float> &&
              is_argument<std::span<const float[3]>, const float>);
static_assert(!is_argument<std::vector<std::vector<float>>&, const float> &&
              !std::is_constructible_v<MatrixView<float>, std::vector<std::vector<float>>&>);
static_assert(!is_argument<std::vector<std::span<float>>&, float>);
static_assert(!is_argument<std::vector<float>&, float> && !is_argument<float (&)[4], float>);

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

TEST_CASE("Spans of two dimensions are views", "[matrix]") {
  std::vector<float> memory(12);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);
  const auto check = [&](MatrixView<float> view, std::size_t stride) {
    CHECK(view.data() == memory.data());
    CHECK(view.rows() == 2);
    CHECK(view.cols() == 3);
    CHECK(view.row_stride() == stride);
    CHECK(view(1, 2) == static_cast<float>(stride + 2));
  };
  const DynamicExtents extents(2, 3);
  check(Span<LayoutRight>(memory.data(), extents), 3);
  check(Span<LayoutRight, 2, 3>(memory.data(), Extents<2, 3>(2, 3)), 3);
  check(Span<Layout<true, 2>>(memory.data(), extents), 5);
  check(Span<LayoutStride>(memory.data(), {extents, {4, 1}}), 4);
  const Span<LayoutStride> transposed(memory.data(), {extents, {1, 2}});
  std::size_t rows = 9;
  expect_error([&] { rows = MatrixView<float>(transposed).rows(); }, {"neighbours"});
  CHECK(rows == 0);
  expect_error(
      [&] {
        MatrixView<float>{Span<LayoutStride>(memory.data(), {extents, {2, 1}})};
      },
      {"row_stride 2", "cols 3"});
  // A column has no neighbours.
  const MatrixView<float> column =
      Span<LayoutStride>(memory.data(), {DynamicExtents(3, 1), {4, 7}});
  CHECK(column(2, 0) == 8.0f);
}

TEST_CASE("Rows of a fixed length in one piece are views", "[matrix]") {
  std::vector<Three> rows{{1, 2, 3}, {4, 5, 6}};
  const auto check = [](MatrixView<const float> view, const float* data) {
    CHECK(view.data() == data);
    CHECK(view.rows() == 2);
    CHECK(view.cols() == 3);
    CHECK(view(1, 0) == 4);
  };
  check(rows, rows[0].data());
  check(std::span(rows), rows[0].data());
  check(std::span<const Three>(rows), rows[0].data());
  const float plain[2][3] = {{1, 2, 3}, {4, 5, 6}};
  check(plain, plain[0]);
  const MatrixView<float> writing = rows;
  writing(1, 2) = 7;
  CHECK(rows[1][2] == 7);
  const MatrixView<float> none = std::span<Three>();
  CHECK(none.rows() == 0);
  CHECK(none.cols() == 3);
}

TEST_CASE("Rows that lie apart are copied", "[matrix]") {
  std::vector<std::vector<float>> rows{{1, 2, 3}, {4, 5, 6}};
  const Matrix<float> copied = matrix_of(rows);
  CHECK(copied.rows() == 2);
  CHECK(copied.cols() == 3);
  CHECK(copied(0, 2) == 3);
  CHECK(copied(1, 0) == 4);
  CHECK(matrix_of(std::vector<std::vector<double>>()).rows() == 0);
  CHECK(matrix_of(std::vector<std::vector<double>>(4)).rows() == 4);
  rows.push_back({7, 8});
  std::size_t there = 9;
  expect_error([&] { there = matrix_of(rows).rows(); },
               {"matrix_of", "row 2 has 2", "row 0 has 3"});
  CHECK(there == 0);
}

TEST_CASE("All elements of a span are a matrix", "[matrix]") {
  std::vector<float> elements{1, 2, 3, 4, 5, 6};
  const MatrixView<float> view(elements, 2, 3);
  CHECK(view.data() == elements.data());
  CHECK(view(1, 0) == 4);
  const MatrixView<const float> reading(std::as_const(elements), 3, 2);
  CHECK(reading(1, 0) == 3);
  CHECK(MatrixView(std::span(elements), 1, 6).cols() == 6);
  CHECK(MatrixView<float>(std::span<float>(), 0, 3).cols() == 3);
  using Shape = std::pair<std::size_t, std::size_t>;
  for (const Shape& shape : {Shape{2, 4}, {1, 3}, {0, 6}}) {
    std::size_t there = 9;
    expect_error([&] { there = MatrixView<float>(elements, shape.first, shape.second).rows(); },
                 {"MatrixView", "there are 6"});
    CHECK(there == 0);
  }
  const std::size_t half = std::size_t{1} << (sizeof(std::size_t) * 4);
  CHECK(!errors_of([&] { MatrixView<float>(elements, half, half); }).empty());  // not 0 elements
}
