// Sums over a panel's weights that planes of extra sums need (kernels/sum_planes.hpp), of the panel
// as it lies: whoever packed it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../kernels/code_dot.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/signed_bytes.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The sum of the four bytes of each word, 0 … 127 each.
template <class Ints>
[[gnu::always_inline]] inline Ints sum_of_bytes(const Ints& words) {
  const Ints byte(0xff);
  return ((words & byte) + ((words >> 8) & byte)) +
         (((words >> 16) & byte) + ((words >> 24) & byte));
}

/// Of each of a panel's 32 outputs, over `steps` rows of words: Σ|code|, and Σ rounded_square() of
/// the code's byte as it is multiplied.
template <int StoredBits>
void store_panel_sums(const std::int32_t* panel, std::size_t steps, std::int32_t* magnitude_sums,
                      std::int32_t* square_sums) {
  using Dot = CodeDot<Native, StoredBits>;
  using Ints = typename Dot::Sums;
  for (std::size_t column = 0; column < kPanelColumns; column += Ints::size) {
    Ints magnitudes(0), squares(0);
    for (std::size_t step = 0; step < steps; ++step) {
      const Ints words = Ints::load_aligned(panel + step * kPanelColumns + column);
      unroll<kCodesPerWord<StoredBits> / 4>([&](auto group) __attribute__((always_inline)) {
        const Ints bytes = Dot::template unpack<group>(words);
        magnitudes = magnitudes + sum_of_bytes(byte_magnitudes(bytes));
        squares = squares + sum_of_bytes(rounded_byte_squares(bytes));
      });
    }
    if constexpr (StoredBits != 8) magnitudes = magnitudes >> (8 - StoredBits);
    magnitudes.store_unaligned(magnitude_sums + column);
    squares.store_unaligned(square_sums + column);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
