// Rows of floats in front of arrays: values of a DAC's codes.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "array_rows.hpp"
#include "quantized.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// As ArrayRows, without planes or sums.
template <class Arch, class Input>
class ArrayFloatRows : public FloatRows {
 public:
  static constexpr std::size_t planes = 1;

  ArrayFloatRows(MatrixView<const float> x, const Input& input) : x_(x), input_(input) {}

  std::size_t rows() const { return x_.rows(); }
  std::size_t depth() const { return x_.cols(); }
  std::size_t iterations() const { return input_.iterations(); }

  void read(const Range& rows, const Range& inputs, const Range& of_array, std::size_t iteration,
            float* to, std::size_t stride, RowNumbers* numbers) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      const std::size_t from = rows.begin + row;
      input_.with_dac(
          x_.row(from) + of_array.begin, of_array.size, iteration,
          [&](const UniformQuantizer& dac, float range) {
            QuantizedRows<Arch>(x_, dac).read({from, 1}, inputs, to + row * stride, stride);
            numbers[row] = {range, 0};
          });
    }
  }

 private:
  MatrixView<const float> x_;
  Input input_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
