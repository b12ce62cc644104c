// Rows of codes in front of arrays, and what is known of each.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../stage.hpp"
#include "../base/range.hpp"
#include "encoded.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `Input`: FixedInput or ManagedInput. `X`: float, or std::uint8_t for codes already.
template <class Arch, class X, class Input>
class ArrayRows {
 public:
  using Element = typename EncodedRows<Arch, X>::Element;
  static constexpr std::size_t row_multiple = EncodedRows<Arch, X>::row_multiple;
  static constexpr std::size_t elements_per_input = 1;
  static constexpr std::size_t planes = 1;

  ArrayRows(MatrixView<const X> x, const Input& input) : x_(x), input_(input) {}

  std::size_t rows() const { return x_.rows(); }
  std::size_t depth() const { return x_.cols(); }
  InputScale scale() const { return input_.scale(); }
  std::size_t iterations() const { return input_.iterations(); }

  /// Rows of `inputs`, some or all of those of an array, `of_array`; any number may be the first.
  /// What is known of the rows goes to `facts`, where `inputs` are the array's first ones, or is
  /// added to what stands there. `iteration`: of bound management.
  void read(const Range& rows, const Range& inputs, const Range& of_array, std::size_t iteration,
            Element* to, std::size_t stride, RowFacts* facts) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      const std::size_t from = rows.begin + row;
      input_.with_dac(
          x_.row(from) + of_array.begin, of_array.size, iteration,
          [&](const UniformQuantizer& dac, float range) {
            EncodedRows<Arch, X>(x_, dac).read({from, 1}, inputs, to + row * stride, stride);
            if (inputs.begin == of_array.begin) facts[row] = {range, 0.0f};
          });
    }
  }

 private:
  MatrixView<const X> x_;
  Input input_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
