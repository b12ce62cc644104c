#include <lumina/matrix.hpp>

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/catch.hpp"
#include "support/expect_error.hpp"

using lumina::Matrix;
using lumina::MatrixView;

namespace {

static_assert(std::is_convertible_v<MatrixView<float>, MatrixView<const float>>);
static_assert(!std::is_convertible_v<MatrixView<const float>, MatrixView<float>>);
static_assert(!std::is_convertible_v<MatrixView<double>, MatrixView<float>>);
static_assert(std::is_convertible_v<Matrix<float>&, MatrixView<float>>);
static_assert(std::is_convertible_v<Matrix<float>&, MatrixView<const float>>);
static_assert(std::is_convertible_v<const Matrix<float>&, MatrixView<const float>>);
static_assert(!std::is_convertible_v<const Matrix<float>&, MatrixView<float>>);
static_assert(std::is_trivially_copyable_v<MatrixView<float>>);
static_assert(std::is_nothrow_move_constructible_v<Matrix<float>>);
static_assert(std::is_nothrow_move_assignable_v<Matrix<float>>);

constexpr float kThreeByTwo[] = {1, 2, 3, 4, 5, 6};
constexpr MatrixView<const float> kConstant(kThreeByTwo, 3, 2);
static_assert(kConstant(2, 1) == 6 && kConstant.rows() == 3 && kConstant.row_stride() == 2);

}  // namespace

TEST_CASE("MatrixView finds elements by row, column and stride", "[matrix]") {
  std::vector<float> memory(20);
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<float>(i);

  const MatrixView<float> close(memory.data(), 4, 5);
  CHECK(close.rows() == 4);
  CHECK(close.cols() == 5);
  CHECK(close.row_stride() == 5);
  CHECK(close.data() == memory.data());
  CHECK(close(0, 0) == 0);
  CHECK(close(1, 0) == 5);
  CHECK(close(3, 4) == 19);

  const MatrixView<float> part(memory.data() + 6, 3, 3, 5);
  CHECK(part.row_stride() == 5);
  CHECK(part(0, 0) == 6);
  CHECK(part(2, 2) == 18);
  part(1, 1) = -1;
  CHECK(memory[12] == -1);

  const MatrixView<const float> reading = part;
  CHECK(reading(1, 1) == -1);
  CHECK(reading.rows() == 3);
  CHECK(reading.cols() == 3);
  CHECK(reading.row_stride() == 5);
}

TEST_CASE("MatrixView without elements", "[matrix]") {
  const MatrixView<float> nothing;
  CHECK(nothing.data() == nullptr);
  CHECK(nothing.rows() == 0);
  CHECK(nothing.cols() == 0);
  const MatrixView<float> no_columns(nullptr, 3, 0);
  CHECK(no_columns.rows() == 3);
}

TEST_CASE("MatrixView refuses rows that overlap", "[matrix][errors]") {
  float memory[12] = {};
  test::expect_error([&] { MatrixView<float>(memory, 2, 5, 4); },
                     {"lumina::MatrixView", "row_stride 4", "cols 5"});
  test::errors_of([&] { CHECK(MatrixView<float>(memory, 2, 5, 4).rows() == 0); });
  // One row needs no stride.
  CHECK(test::errors_of([&] { MatrixView<float>(memory, 1, 5, 0); }).empty());
  CHECK(test::errors_of([&] { MatrixView<float>(memory, 0, 5, 0); }).empty());
}

TEST_CASE("Matrix is aligned, zeroed and close", "[matrix]") {
  for (const std::size_t rows : {1u, 2u, 7u, 64u}) {
    for (const std::size_t cols : {1u, 3u, 16u, 33u}) {
      Matrix<float> matrix(rows, cols);
      CHECK(matrix.rows() == rows);
      CHECK(matrix.cols() == cols);
      CHECK(matrix.row_stride() == cols);
      CHECK(reinterpret_cast<std::uintptr_t>(matrix.data()) % 64 == 0);
      bool zeroed = true;
      for (std::size_t i = 0; i < rows * cols; ++i) zeroed &= matrix.data()[i] == 0.0f;
      CHECK(zeroed);
      for (std::size_t i = 0; i < rows; ++i) {
        for (std::size_t j = 0; j < cols; ++j) matrix(i, j) = static_cast<float>(i * cols + j);
      }
      CHECK(matrix.data()[rows * cols - 1] == static_cast<float>(rows * cols - 1));
    }
  }
}

TEST_CASE("Matrix: empty ones", "[matrix]") {
  const Matrix<float> nothing;
  CHECK(nothing.rows() == 0);
  const Matrix<float> no_columns(5, 0);
  CHECK(no_columns.rows() == 5);
  CHECK(no_columns.cols() == 0);
  const Matrix<float> copy = no_columns;
  CHECK(copy.rows() == 5);
}

TEST_CASE("Matrix copies its elements and moves its memory", "[matrix]") {
  Matrix<float> a(2, 3);
  a(1, 2) = 7;
  const float* const memory = a.data();

  Matrix<float> copy = a;
  CHECK(copy.data() != memory);
  CHECK(copy(1, 2) == 7);
  copy(1, 2) = 8;
  CHECK(a(1, 2) == 7);

  Matrix<float> moved = std::move(a);
  CHECK(moved.data() == memory);
  CHECK(moved(1, 2) == 7);
  CHECK(a.rows() == 0);  // NOLINT(bugprone-use-after-move): that is the test
  CHECK(a.cols() == 0);

  Matrix<float> assigned(1, 1);
  assigned = std::move(moved);
  CHECK(assigned.data() == memory);
  CHECK(assigned.rows() == 2);
  CHECK(assigned.cols() == 3);

  Matrix<float> other(5, 5);
  other = assigned;
  CHECK(other.rows() == 2);
  CHECK(other.data() != memory);
  CHECK(other(1, 2) == 7);
  Matrix<float>& self = other;
  other = self;
  CHECK(other(1, 2) == 7);
}

TEST_CASE("Matrix converts to views of itself", "[matrix]") {
  Matrix<float> matrix(3, 4);
  const MatrixView<float> writing = matrix;
  writing(2, 3) = 5;
  const Matrix<float>& constant = matrix;
  const MatrixView<const float> reading = constant;
  CHECK(reading(2, 3) == 5);
  CHECK(matrix.view().data() == matrix.data());
  CHECK(constant.view().row_stride() == 4);
  const auto take_const = [](MatrixView<const float> view) { return view(2, 3); };
  CHECK(take_const(matrix) == 5);
  CHECK(take_const(writing) == 5);
}
