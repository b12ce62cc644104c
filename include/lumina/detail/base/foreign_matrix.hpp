// What a matrix of somebody else's must say of itself to be looked at as a MatrixView: types like
// Eigen's, like std::mdspan, and rows of a fixed length one after the other.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>

#include "../../config.hpp"

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

/// std::mdspan of two dimensions (C++23, [views.multidim]), or a type shaped like it. Its elements
/// are plain ones in memory: no accessor stands between that changes them.
template <class M, class T>
concept ForeignSpan = requires(const std::remove_cvref_t<M>& matrix) {
  requires std::remove_cvref_t<M>::extents_type::rank()
  == 2;
  requires std::same_as < typename std::remove_cvref_t<M>::reference,
  typename std::remove_cvref_t<M>::element_type& > ;
  { matrix.data_handle() } -> std::convertible_to<T*>;
  static_cast<std::size_t>(matrix.extent(0));
  static_cast<std::size_t>(matrix.stride(0));
};

/// Neighbours of a row are neighbours in memory, for all that its mapping says when compiling:
/// layout_right yes, layout_left no, layout_stride perhaps. (The mapping itself is asked, so that
/// padded layouts and those of other libraries have an answer too.)
template <class M>
constexpr bool rows_are_contiguous() {
  using Mapping = typename std::remove_cvref_t<M>::mapping_type;
  using Extents = typename std::remove_cvref_t<M>::extents_type;
  if constexpr (std::is_constructible_v<Mapping, Extents>) {
    constexpr auto extent = [](std::size_t dimension) -> std::size_t {
      const auto fixed = Extents::static_extent(dimension);
      return static_cast<std::size_t>(fixed) == std::dynamic_extent
                 ? 5
                 : static_cast<std::size_t>(fixed);
    };
    return Mapping(Extents(extent(0), extent(1))).stride(1) == 1;
  } else {
    return true;
  }
}

/// An array of a length that its type says: the array's elements, and how many.
template <class Row>
struct FixedRow {
  static constexpr bool valid = false;
};
template <class U, std::size_t N>
struct FixedRow<std::array<U, N>> {
  static constexpr bool valid = sizeof(std::array<U, N>) == N * sizeof(U);  // not for N = 0
  static constexpr std::size_t length = N;
  static constexpr U* first(std::array<U, N>* rows) { return rows->data(); }
};
template <class U, std::size_t N>
struct FixedRow<const std::array<U, N>> {
  static constexpr bool valid = FixedRow<std::array<U, N>>::valid;
  static constexpr std::size_t length = N;
  static constexpr const U* first(const std::array<U, N>* rows) { return rows->data(); }
};
template <class U, std::size_t N>
struct FixedRow<U[N]> {
  static constexpr bool valid = true;
  static constexpr std::size_t length = N;
  static constexpr U* first(U (*rows)[N]) { return *rows; }
};

template <class Rows>
using row_of = std::remove_reference_t<std::ranges::range_reference_t<Rows>>;

/// Rows in one piece of memory: std::vector<std::array<float, 3>>, a span of such arrays, or
/// float[2][3].
template <class Rows, class T>
concept RowsInOnePiece = std::ranges::contiguous_range<Rows> && std::ranges::sized_range<Rows> &&
    FixedRow<row_of<Rows>>::valid && requires(row_of<Rows>* rows) {
  { FixedRow<row_of<Rows>>::first(rows) } -> std::convertible_to<T*>;
};

/// Rows that know where they lie, each by itself: std::vector<std::vector<float>>.
template <class Rows, class T>
concept RowsApart = std::ranges::sized_range<Rows> && !RowsInOnePiece<Rows, T> &&
                    std::ranges::sized_range<row_of<Rows>> &&
                    std::same_as<std::remove_cv_t<T>, std::ranges::range_value_t<row_of<Rows>>>;

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
