// A matrix of another library, with the interface of Eigen's types.
#pragma once

#include <cstddef>
#include <vector>

namespace test {

/// `InnerStride`: between neighbours of a row (of a column, where it is column-major); −1: known at
/// run time.
template <class T, bool RowMajor, int InnerStride = 1>
struct ForeignMatrix {
  enum { IsRowMajor = RowMajor, InnerStrideAtCompileTime = InnerStride };

  std::ptrdiff_t row_count, column_count, outer;
  std::ptrdiff_t inner = InnerStride;
  std::vector<T> elements = std::vector<T>(200);

  T* data() { return elements.data(); }
  const T* data() const { return elements.data(); }
  std::ptrdiff_t rows() const { return row_count; }
  std::ptrdiff_t cols() const { return column_count; }
  std::ptrdiff_t outerStride() const { return outer; }
  std::ptrdiff_t innerStride() const { return inner; }
};

}  // namespace test
