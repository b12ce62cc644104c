// Rows of codes in front of arrays, and what is known of each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "../kernels/sum_planes.hpp"
#include "array_input.hpp"
#include "encoded.hpp"
#include "encoded_planes.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What is known of a row of inputs of an array: r, and Σ of the squares of InputPlanes, 255·x̂²
/// each, where someone asked for it.
struct RowNumbers {
  float range;
  std::uint32_t squares;
};

/// `Input`: FixedInput, ManagedInput or RandomInput. `X`: float, or std::uint8_t for codes already.
/// `Set`: the planes beside the codes (kernels/sum_planes.hpp); `SumsSquares`: RowNumbers::squares
/// is made.
template <class Arch, class X, class Input, unsigned Set, bool SumsSquares>
class ArrayRows {
 public:
  using Codes = std::conditional_t<Set == 0 && !SumsSquares && !is_random_input<Input>,
                                   EncodedRows<Arch, X>, EncodedPlanes<Arch, X, Set>>;
  using Element = typename Codes::Element;
  static constexpr std::size_t row_multiple = Codes::row_multiple;
  static constexpr std::size_t planes = plane_count(Set);

  ArrayRows(MatrixView<const X> x, const Input& input) : x_(x), input_(input) {}

  std::size_t rows() const { return x_.rows(); }
  std::size_t depth() const { return x_.cols(); }
  InputScale scale() const { return input_.scale(); }
  std::size_t iterations() const { return input_.iterations(); }

  /// Rows of `inputs`, some or all of those of an array, `of_array`; any number may be the first.
  /// What is known of the rows goes to `numbers`, where `inputs` are the array's first ones, or is
  /// added to what stands there. `iteration`: of bound management.
  void read(const Range& rows, const Range& inputs, const Range& of_array, std::size_t iteration,
            Element* to, std::size_t stride, RowNumbers* numbers) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      const std::size_t from = rows.begin + row;
      Element* const own = to + row * planes * stride;
      input_.with_dac(x_.row(from) + of_array.begin, of_array.size, iteration,
                      [&](const UniformQuantizer& dac, float range) {
                        std::uint32_t squares = 0;
                        const Codes codes = codes_of(dac, of_array);
                        if constexpr (is_random_input<Input>) {
                          squares = codes.template write_row<SumsSquares>(
                              from, inputs, dac, own, stride,
                              typename Input::Row(input_, from, inputs.begin, iteration));
                        } else if constexpr (SumsSquares) {
                          codes.read(
                              {from, 1}, inputs, own, stride,
                              [&](std::size_t) -> const UniformQuantizer& { return dac; },
                              &squares);
                        } else {
                          codes.read({from, 1}, inputs, own, stride);
                        }
                        const bool begins = inputs.begin == of_array.begin;
                        numbers[row] = {range, (begins ? 0 : numbers[row].squares) + squares};
                      });
    }
  }

 private:
  Codes codes_of(const UniformQuantizer& dac, [[maybe_unused]] const Range& of_array) const {
    if constexpr ((Set & kPositionSums) != 0) {
      return Codes(x_, dac, of_array);
    } else {
      return Codes(x_, dac);
    }
  }

  MatrixView<const X> x_;
  Input input_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
