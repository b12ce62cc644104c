// Row-major matrices: MatrixView looks at somebody's memory, Matrix owns its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <span>
#include <type_traits>
#include <utility>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/foreign_matrix.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// What is wrong with a view: rows that run into each other, or too many of them.
[[gnu::cold, gnu::noinline]] inline void report_view(std::size_t rows, std::size_t cols,
                                                     std::size_t row_stride) {
  Message message;
  message << "lumina::MatrixView: " << Shape{rows, cols} << ", row_stride " << row_stride;
  if (rows > 1 && row_stride < cols) {
    message << " is smaller than cols " << cols;
  } else {
    message << ", are more bytes than memory has addresses";
  }
  report_error(message.c_str());
}

[[gnu::cold, gnu::noinline]] inline void report_elements(const char* who, std::size_t rows,
                                                         std::size_t cols, std::size_t there) {
  report_error((Message() << who << ": " << Shape{rows, cols}
                          << " needs as many elements, there are " << there)
                   .c_str());
}

}  // namespace detail

/// A view of `rows` × `cols` elements, row after row. Copying a view copies no elements.
///
/// What converts to one: row-major matrices of Eigen, std::mdspan with layout_right or
/// layout_stride and what is shaped like it, and rows of a fixed length in one piece (a std::vector
/// or std::span of std::array<T, N>, T[M][N]). Column-major ones and rows that lie apart do not
/// compile.
template <class T>
class MatrixView {
 public:
  constexpr MatrixView() = default;

  constexpr MatrixView(T* data, std::size_t rows, std::size_t cols)
      : MatrixView(data, rows, cols, cols) {}

  /// `row_stride`: elements from one row's beginning to the next one's, at least `cols`.
  constexpr MatrixView(T* data, std::size_t rows, std::size_t cols, std::size_t row_stride)
      : data_(data), rows_(rows), cols_(cols), row_stride_(row_stride) {
    if ((rows > 1 && row_stride < cols) ||
        detail::size_product(rows, rows > 1 ? row_stride : cols, sizeof(T)) == detail::kTooMany) {
      rows_ = 0;
      detail::report_view(rows, cols, row_stride);
    }
  }

  /// All elements of a span, or of what converts to one: rows × cols of them, or it is an error and
  /// the view empty.
  constexpr MatrixView(std::span<T> elements, std::size_t rows, std::size_t cols)
      : MatrixView(elements.data(), rows, cols, cols) {
    if (elements.size() != detail::size_product(rows, cols)) {
      rows_ = 0;
      detail::report_elements("lumina::MatrixView", rows, cols, elements.size());
    }
  }

  /// Memory that a plain struct tells of (border.hpp). (Not for braces, which are the above.)
  template <class Memory>
  requires(std::is_same_v<Memory, MatrixMemory<T>> ||
           std::is_same_v<Memory, MatrixMemory<std::remove_const_t<T>>>)  //
      constexpr MatrixView(const Memory& memory)
      : MatrixView(memory.data, memory.rows, memory.cols, memory.row_stride) {}

  /// A view that may write converts to one that only reads.
  template <class U>
  requires(std::is_same_v<const U, T>) constexpr MatrixView(const MatrixView<U>& other)
      : MatrixView(other.data(), other.rows(), other.cols(), other.row_stride()) {}

  /// Error: elements of a row that are not neighbours; the view is empty then.
  template <class M>
  requires(detail::ForeignMatrix<M, T>&& detail::is_row_major<M>()) constexpr MatrixView(M&& matrix)
      : MatrixView(matrix.innerStride() == 1, matrix.data(),
                   static_cast<std::size_t>(matrix.rows()), static_cast<std::size_t>(matrix.cols()),
                   static_cast<std::size_t>(matrix.outerStride())) {}
  template <class M>
  requires(detail::ForeignMatrix<M, T> &&
           !detail::is_row_major<M>()) constexpr MatrixView(M&& column_major_or_strided) = delete;

  /// Error: elements of a row that are not neighbours; the view is empty then.
  template <class M>
  requires(detail::ForeignSpan<M, T>&& detail::rows_are_contiguous<M>())  //
      constexpr MatrixView(M&& matrix)
      : MatrixView(matrix.extent(1) <= 1 || matrix.stride(1) == 1, matrix.data_handle(),
                   static_cast<std::size_t>(matrix.extent(0)),
                   static_cast<std::size_t>(matrix.extent(1)),
                   static_cast<std::size_t>(matrix.stride(0))) {}
  template <class M>
  requires(detail::ForeignSpan<M, T> &&
           !detail::rows_are_contiguous<M>()) constexpr MatrixView(M&& column_major) = delete;

  template <class Rows>
  requires(detail::RowsInOnePiece<Rows, T>) constexpr MatrixView(Rows&& rows)
      : MatrixView(std::ranges::empty(rows)
                       ? nullptr
                       : detail::FixedRow<detail::row_of<Rows>>::first(std::ranges::data(rows)),
                   std::ranges::size(rows), detail::FixedRow<detail::row_of<Rows>>::length) {}
  template <class Rows>
  requires(detail::RowsApart<Rows, T>)  //
      constexpr MatrixView(Rows&& rows_apart_are_copied_by_matrix_of) = delete;

  constexpr T& operator()(std::size_t row, std::size_t col) const {
    return data_[row * row_stride_ + col];
  }
  /// The beginning of a row; also where there are no columns.
  constexpr T* row(std::size_t index) const { return data_ + index * row_stride_; }
  constexpr T* data() const { return data_; }
  constexpr std::size_t rows() const { return rows_; }
  constexpr std::size_t cols() const { return cols_; }
  constexpr std::size_t row_stride() const { return row_stride_; }

 private:
  constexpr MatrixView(bool neighbours, T* data, std::size_t rows, std::size_t cols,
                       std::size_t row_stride) {
    if (neighbours) {
      *this = MatrixView(data, rows, cols, row_stride);
    } else {
      detail::report_error("lumina::MatrixView: the elements of a row must be neighbours");
    }
  }

  T* data_ = nullptr;
  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  std::size_t row_stride_ = 0;
};

template <class T>
MatrixView(const MatrixMemory<T>&) -> MatrixView<T>;

/// True where some element belongs to both views. Column ranges of one matrix do not overlap.
template <class T, class U>
bool overlap(MatrixView<T> a, MatrixView<U> b) {
  if (a.rows() == 0 || a.cols() == 0 || b.rows() == 0 || b.cols() == 0) return false;
  const auto begin = [](auto v) { return reinterpret_cast<std::uintptr_t>(v.data()); };
  const auto end = [](auto v) {
    return reinterpret_cast<std::uintptr_t>(v.row(v.rows() - 1) + v.cols());
  };
  if (begin(a) >= end(b) || begin(b) >= end(a)) return false;
  if (sizeof(T) != sizeof(U) || (a.rows() == 1 && b.rows() == 1)) return true;
  if (a.rows() > 1 && b.rows() > 1 && a.row_stride() != b.row_stride()) return true;
  // Rows of one stride: they are apart when the columns are, counted from a's first one.
  const std::size_t row_bytes = (a.rows() > 1 ? a.row_stride() : b.row_stride()) * sizeof(T);
  const std::size_t shift = begin(b) >= begin(a)
                                ? (begin(b) - begin(a)) % row_bytes
                                : (row_bytes - (begin(a) - begin(b)) % row_bytes) % row_bytes;
  return shift < a.cols() * sizeof(T) || shift + b.cols() * sizeof(U) > row_bytes;
}

/// An owning matrix: 64-byte aligned, zeroed, rows close together (row_stride() == cols()).
/// Throws std::bad_alloc when memory runs out, or rows × cols is more than there is; without
/// exceptions that is an error, and the matrix empty.
template <class T>
class Matrix {
 public:
  Matrix() = default;
  Matrix(std::size_t rows, std::size_t cols) : elements_(detail::size_product(rows, cols)) {
    if (elements_.size() == detail::size_product(rows, cols)) shape_ = detail::Extent(rows, cols);
    elements_.fill_with_zeros();
  }

  Matrix(Matrix&&) noexcept = default;
  Matrix& operator=(Matrix&&) noexcept = default;
  Matrix(const Matrix& other) : elements_(other.elements_.copy()) {
    if (elements_.size() == other.elements_.size()) {
      shape_ = detail::Extent(other.rows(), other.cols());
    }
  }
  Matrix& operator=(const Matrix& other) { return *this = Matrix(other); }

  T& operator()(std::size_t row, std::size_t col) { return data()[row * cols() + col]; }
  const T& operator()(std::size_t row, std::size_t col) const { return data()[row * cols() + col]; }
  // What looks into the matrix is not to be had of a temporary one, which would be gone before its
  // elements are read; as an argument one converts to a view, for as long as the call lasts.
  T* data() & { return elements_.data(); }
  const T* data() const& { return elements_.data(); }
  const T* data() const&& = delete;
  std::size_t rows() const { return shape_.rows; }
  std::size_t cols() const { return shape_.cols; }
  std::size_t row_stride() const { return cols(); }

  /// All elements, row after row.
  std::span<T> elements() & { return {data(), elements_.size()}; }
  std::span<const T> elements() const& { return {data(), elements_.size()}; }
  std::span<const T> elements() const&& = delete;

  MatrixView<T> view() & { return {data(), rows(), cols()}; }
  MatrixView<const T> view() const& { return {data(), rows(), cols()}; }
  MatrixView<const T> view() const&& = delete;
  operator MatrixView<T>() { return view(); }
  operator MatrixView<const T>() const { return view(); }

 private:
  detail::AlignedBuffer<T> elements_;
  detail::Extent shape_;
};

/// A copy of rows that lie apart, as those of a std::vector<std::vector<T>>: their elements in one
/// piece. Error: a row of another length than the first one; the matrix is empty then.
template <class Rows>
requires(
    std::ranges::sized_range<const Rows>&& std::ranges::sized_range<detail::row_of<const Rows>>)  //
    auto matrix_of(const Rows& rows) {
  Matrix<std::ranges::range_value_t<detail::row_of<const Rows>>> result;
  const std::size_t cols =
      std::ranges::empty(rows) ? 0 : std::ranges::size(*std::ranges::begin(rows));
  std::size_t index = 0;
  for (const auto& row : rows) {
    if (const std::size_t length = std::ranges::size(row); length != cols) {
      detail::report_error((detail::Message() << "lumina::matrix_of: row " << index << " has "
                                              << length << " elements, row 0 has " << cols)
                               .c_str());
      return result;
    }
    ++index;
  }
  result = {index, cols};
  if (result.rows() != index) return result;  // no memory
  auto* to = result.data();
  for (const auto& row : rows) to = std::ranges::copy(row, to).out;
  return result;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
