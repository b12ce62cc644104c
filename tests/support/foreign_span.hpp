// What std::mdspan is of two dimensions, as far as a MatrixView asks: standard libraries before
// C++23 have none.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>

namespace test {

template <std::size_t Rows, std::size_t Cols>
class Extents {
 public:
  static constexpr std::size_t rank() { return 2; }
  static constexpr std::size_t static_extent(std::size_t i) { return i == 0 ? Rows : Cols; }

  constexpr Extents(std::size_t rows, std::size_t cols) : extents_{rows, cols} {}
  constexpr std::size_t extent(std::size_t i) const { return extents_[i]; }

 private:
  std::array<std::size_t, 2> extents_;
};

/// Padding: elements between rows, or columns.
template <bool Right, std::size_t Padding = 0>
struct Layout {
  template <class E>
  class mapping {
   public:
    constexpr mapping(const E& extents) : extents_(extents) {}
    constexpr const E& extents() const { return extents_; }
    constexpr std::size_t stride(std::size_t i) const {
      if (i == (Right ? 1 : 0)) return 1;
      return extents_.extent(Right ? 1 : 0) + Padding;
    }

   private:
    E extents_;
  };
};
using LayoutRight = Layout<true>;
using LayoutLeft = Layout<false>;

struct LayoutStride {
  template <class E>
  class mapping {
   public:
    constexpr mapping(const E& extents, std::array<std::size_t, 2> strides)
        : extents_(extents), strides_(strides) {}
    constexpr const E& extents() const { return extents_; }
    constexpr std::size_t stride(std::size_t i) const { return strides_[i]; }

   private:
    E extents_;
    std::array<std::size_t, 2> strides_;
  };
};

using DynamicExtents = Extents<std::dynamic_extent, std::dynamic_extent>;

/// `Reference`: another type than T&, where an accessor makes other values of the elements.
template <class T, class Layout = LayoutRight, class E = DynamicExtents, class Reference = T&>
class ForeignSpan {
 public:
  using element_type = T;
  using reference = Reference;
  using extents_type = E;
  using mapping_type = typename Layout::template mapping<E>;

  constexpr ForeignSpan(T* data, const mapping_type& mapping) : data_(data), mapping_(mapping) {}

  constexpr T* data_handle() const { return data_; }
  constexpr std::size_t extent(std::size_t i) const { return mapping_.extents().extent(i); }
  constexpr std::size_t stride(std::size_t i) const { return mapping_.stride(i); }

 private:
  T* data_;
  mapping_type mapping_;
};

}  // namespace test
