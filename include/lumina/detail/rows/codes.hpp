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

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
