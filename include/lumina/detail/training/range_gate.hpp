// The way back through a DAC whose range is learned: its gate, and what the range's gradient sums.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../input_range.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The sums of each row and column block of the gradient by x: one task makes a block, from left to
/// right, so that threads need no agreement. Sixteen chains each, whatever vectors have.
struct RangeSlot {
  static constexpr std::size_t kChains = 16;
  alignas(kCacheLine) std::array<float, kChains> gradient;
  std::uint32_t inside;
};

/// A stage for the gradient by x: 0 where the DAC clipped; and on the way the slots' sums.
struct RangeGate {
  MatrixView<const float> x;
  UniformQuantizer dac;
  RangeSlot* slots;  ///< [rows, blocks]
  std::size_t blocks;

  template <class Floats, class Normals>
  Floats apply(const Floats& gradient, const Coordinates& at, const ActiveLanes& active,
               const Normals&) const {
    static_assert(Floats::size <= RangeSlot::kChains);
    const Floats values = load_columns<Floats>({x.row(at.row), x.cols()}, at, active);
    const Floats zero(0.0f), range(dac.hi());
    // Lanes beyond the row have x = 0, which lies inside.
    Floats widening = select((values >= range) & (gradient < zero), gradient, zero);
    if (dac.lo() < 0.0f) {
      widening = widening - select((values <= -range) & (gradient > zero), gradient, zero);
    }
    const std::uint32_t lanes = (std::uint32_t{1} << active.count) - 1;
    const auto inside = static_cast<std::uint32_t>(
        std::popcount(bits_of_mask<Floats>(abs(values) < range) & lanes));

    const std::size_t in_block = at.column % kBlockColumns, chain = in_block % RangeSlot::kChains;
    RangeSlot& slot = slots[at.row * blocks + at.column / kBlockColumns];
    const bool first = in_block < RangeSlot::kChains;
    slot.inside = inside + (in_block == 0 ? 0 : slot.inside);
    float* const to = slot.gradient.data() + chain;
    (first ? widening : Floats::load_unaligned(to) + widening).store_unaligned(to);
    return select(dac.passes(values), gradient, zero);
  }
};

/// All slots of rows of x, one after the other.
inline InputRangeSums sum_of_slots(const RangeSlot* slots, std::size_t rows, std::size_t cols) {
  InputRangeSums result;
  double sum = 0.0;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < cols; column += kBlockColumns, ++slots) {
      result.inside += slots->inside;
      // Chains that no column of this block is of were not written.
      const std::size_t chains =
          cols - column < RangeSlot::kChains ? cols - column : RangeSlot::kChains;
      for (std::size_t chain = 0; chain < chains; ++chain) {
        sum += static_cast<double>(slots->gradient[chain]);
      }
    }
  }
  result.gradient = static_cast<float>(sum);
  result.count = std::uint64_t{rows} * cols;
  return result;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
