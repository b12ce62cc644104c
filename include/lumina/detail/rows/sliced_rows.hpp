// Rows of codes in front of arrays of sliced weights, plane after plane of their digits.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "../kernels/sum_planes.hpp"
#include "array_input.hpp"
#include "array_rows.hpp"
#include "encoded.hpp"
#include "encoded_planes.hpp"
#include "input_digits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// As ArrayRows, with a row for each plane of digits: plane p of the i-th of n rows is the
/// (p·n + i)-th, and so are its numbers.
template <class Arch, class X, class Input, unsigned Set, bool SumsSquares>
class SlicedRows {
 public:
  /// Of digits, which are codes of InputDigits::dac().
  using Codes = std::conditional_t<Set == 0 && !SumsSquares, EncodedRows<Arch, std::uint8_t>,
                                   EncodedPlanes<Arch, std::uint8_t, Set>>;
  using Element = typename Codes::Element;
  static constexpr std::size_t row_multiple = ByteBlock::size;
  static constexpr std::size_t planes = plane_count(Set);

  SlicedRows(MatrixView<const X> x, const Input& input, const InputDigits& digits)
      : x_(x), input_(input), digits_(digits), digit_dac_(digits.dac()) {}

  std::size_t rows() const { return x_.rows(); }
  std::size_t depth() const { return x_.cols(); }
  std::size_t iterations() const { return input_.iterations(); }
  const InputDigits& digits() const { return digits_; }

  void read(const Range& rows, const Range& inputs, const Range& of_array, std::size_t iteration,
            Element* to, std::size_t stride, RowNumbers* numbers) const {
    const bool begins = inputs.begin == of_array.begin;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const X* const x = x_.row(rows.begin + row);
      input_.with_dac(x + of_array.begin, of_array.size, iteration,
                      [&](const UniformQuantizer& dac, float range) {
                        for (std::size_t plane = 0; plane < digits_.planes(); ++plane) {
                          RowNumbers& own = numbers[plane * rows.size + row];
                          own = {range, begins ? 0 : own.squares};
                        }
                        for (std::size_t i = 0; i < inputs.size; i += row_multiple) {
                          read_block(x + inputs.begin + i, std::min(row_multiple, inputs.size - i),
                                     dac, row, rows.size, to + i, stride, numbers);
                        }
                      });
    }
  }

 private:
  void read_block(const X* x, std::size_t count, const UniformQuantizer& dac, std::size_t row,
                  std::size_t rows, Element* to, std::size_t stride, RowNumbers* numbers) const {
    ByteBlock codes, own;
    if (count == row_multiple) {
      encode_block<Arch>(x, dac, codes);
    } else {
      X rest[row_multiple] = {};
      std::copy(x, x + count, rest);
      encode_block<Arch>(rest, dac, codes);
    }
    const Codes planes_of_digits(MatrixView<const std::uint8_t>(own.bytes(), 1, count), digit_dac_);
    for (std::size_t plane = 0; plane < digits_.planes(); ++plane) {
      digits_.make(plane, codes, own);
      const std::size_t number = plane * rows + row;
      Element* const first = to + number * planes * stride;
      if constexpr (SumsSquares) {
        std::uint32_t squares = 0;
        planes_of_digits.read(
            {0, 1}, {0, count}, first, stride,
            [this](std::size_t) -> const UniformQuantizer& { return digit_dac_; }, &squares);
        numbers[number].squares += squares;
      } else {
        planes_of_digits.read({0, 1}, {0, count}, first, stride);
      }
    }
  }

  MatrixView<const X> x_;
  Input input_;
  InputDigits digits_;
  RuntimeQuantizer digit_dac_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
