// Rows of weights on an array, one digit of each.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Digit number `slice` of a code, of `bits` bits, with the code's sign.
constexpr std::int32_t digit_of(std::int32_t code, int bits, std::size_t slice) {
  const std::int32_t magnitude = code < 0 ? -code : code;
  const std::int32_t digit =
      magnitude >> (static_cast<std::size_t>(bits) * slice) & ((1 << bits) - 1);
  return code < 0 ? -digit : digit;
}

/// The digits of `Weights`, a TiledWeights, in its arrays number `tile` along the inputs.
template <class Weights>
class WeightDigits : public FloatRows {
 public:
  WeightDigits(const Weights& weights, std::size_t tile, int bits, std::size_t slice)
      : weights_(weights), tile_(tile), bits_(bits), slice_(slice) {}

  std::size_t rows() const { return weights_.rows(); }
  std::size_t depth() const { return weights_.input_count(tile_); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    const std::size_t first = weights_.first_input(tile_) + inputs.begin;
    for (std::size_t row = 0; row < rows.size; ++row) {
      for (std::size_t k = 0; k < inputs.size; ++k) {
        const std::int32_t code = weights_.code(rows.begin + row, first + k);
        to[row * stride + k] = static_cast<float>(digit_of(code, bits_, slice_));
      }
    }
  }

 private:
  const Weights& weights_;
  std::size_t tile_;
  int bits_;
  std::size_t slice_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
