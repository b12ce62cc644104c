// Rows of codes, as floats.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

class CodeRows : public FloatRows {
 public:
  explicit CodeRows(MatrixView<const std::int8_t> codes) : codes_(codes) {}

  std::size_t rows() const { return codes_.rows(); }
  std::size_t depth() const { return codes_.cols(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      std::copy_n(codes_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
  }

 private:
  MatrixView<const std::int8_t> codes_;
};

/// Codes of inputs as they lie, for a unit that multiplies such. Rows are a multiple of
/// row_multiple apart, with zeros behind their ends.
template <class Arch>
class CodesInPlace {
 public:
  using Element = std::uint8_t;
  static constexpr std::size_t row_multiple = kCacheLine;
  static constexpr std::size_t elements_per_input = 1;
  static constexpr bool possible = [] {
    if constexpr (std::is_same_v<typename Arch::Codes::Input, std::uint8_t>) {
      return Arch::Codes::input_bias == 0;
    } else {
      return false;
    }
  }();

  explicit CodesInPlace(MatrixView<const std::uint8_t> codes) : codes_(codes) {}

  std::size_t rows() const { return codes_.rows(); }
  std::size_t depth() const { return codes_.cols(); }
  StridedRows<std::uint8_t> in_place(const Range& rows) const {
    return {codes_.row(rows.begin), codes_.row_stride(), rows.size, codes_.cols()};
  }
  void read(const Range& rows, const Range& inputs, std::uint8_t* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      std::copy_n(codes_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
  }

 private:
  MatrixView<const std::uint8_t> codes_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
