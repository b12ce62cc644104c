// Row-major matrices: MatrixView looks at somebody's memory, Matrix owns its own.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// A matrix of another library that says how its elements lie, as Eigen's types do: data(), rows(),
/// cols(), outerStride(), innerStride(), and IsRowMajor.
template <class M, class T>
concept ForeignMatrix = requires(M& matrix) {
  { matrix.data() } -> std::convertible_to<T*>;
  static_cast<std::size_t>(matrix.rows());
  static_cast<std::size_t>(matrix.cols());
  static_cast<std::size_t>(matrix.outerStride());
  { matrix.innerStride() == 1 } -> std::convertible_to<bool>;
  {static_cast<bool>(std::remove_cvref_t<M>::IsRowMajor)};
};

/// Its rows lie as a MatrixView's do, for all that is known when compiling.
template <class M>
constexpr bool is_row_major() {
  using Type = std::remove_cvref_t<M>;
  if constexpr (requires { static_cast<int>(Type::InnerStrideAtCompileTime); }) {
    constexpr int stride = static_cast<int>(Type::InnerStrideAtCompileTime);
    return static_cast<bool>(Type::IsRowMajor) && (stride == 1 || stride < 0);
  } else {
    return static_cast<bool>(Type::IsRowMajor);
  }
}

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

}  // namespace detail

/// A view of `rows` × `cols` elements, row after row. Copying a view copies no elements. Row-major
/// matrices of Eigen convert to one; column-major ones do not compile.
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
      : MatrixView(matrix.data(), static_cast<std::size_t>(matrix.rows()),
                   static_cast<std::size_t>(matrix.cols()),
                   static_cast<std::size_t>(matrix.outerStride())) {
    if (!(matrix.innerStride() == 1)) {
      rows_ = 0;
      detail::report_error("lumina::MatrixView: the elements of a row must be neighbours");
    }
  }
  template <class M>
  requires(detail::ForeignMatrix<M, T> &&
           !detail::is_row_major<M>()) constexpr MatrixView(M&& column_major_or_strided) = delete;

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
  Matrix(const Matrix& other) : Matrix(other.rows(), other.cols()) {
    if (other.elements_.size() != 0) {
      std::memcpy(static_cast<void*>(data()), other.data(), elements_.size() * sizeof(T));
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

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
