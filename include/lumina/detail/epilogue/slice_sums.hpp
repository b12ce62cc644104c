// From sums of digits to currents, and from the totals of a sliced array to its outputs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"
#include "../rows/array_input.hpp"
#include "../rows/array_rows.hpp"
#include "../simd/vectors.hpp"
#include "tile_sums.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What an array of a slice has for a plane of digits: Σ digit·digit in steps, the currents of one
/// level of a cell at one level of an input, exact below 2^24. What stages want beside is in steps
/// too: √Σ|ŵ|x̂² as it would be in currents of fully-on devices, times how many steps that is.
template <class Arch, unsigned Set>
class SliceSums : public TileSums<Arch, 8, Set> {
 public:
  using Whole = TileSums<Arch, 8, Set>;

  /// `lowest`, `largest`: digits of inputs; `cell`: the largest one of weights.
  SliceSums(const TiledPanels<8>& slice, std::int32_t lowest, std::int32_t largest,
            std::int32_t cell)
      : Whole(InputScale{1.0f, 0.0f, lowest}, slice),
        input_(static_cast<float>(largest) * static_cast<float>(largest)),
        cell_(static_cast<float>(cell)) {}

  class Values : public Whole::Values {
   public:
    using Floats = typename Whole::Values::Floats;

    Values(const SliceSums& sums, std::size_t tile, std::size_t block, const std::int32_t* first,
           const RowNumbers* numbers)
        : Whole::Values(sums, tile, block, first, numbers),
          input_(sums.input_),
          weight_(sums.input_ * sums.cell_),
          device_(sums.input_ * (sums.cell_ * sums.cell_)) {}

    [[gnu::always_inline]] Facts<Floats> facts(const std::int32_t* sums, std::size_t column) const {
      Facts<Floats> result = Whole::Values::facts(sums, column);
      result.magnitudes = product(result.magnitudes, Floats(weight_));
      result.squared_inputs = product(result.squared_inputs, Floats(weight_));
      result.squares = product(result.squares, Floats(input_));
      result.row.sum_of_squares = product(result.row.sum_of_squares, device_);
      return result;
    }

   private:
    float input_, weight_, device_;  ///< with digits of weights squared, as they are, in no sum
  };

 private:
  float input_, cell_;
};

/// An array's total of steps to ŷ = Σ ŵ·x̂, as TileSums has it of the whole codes' sum: the two are
/// the same bits where the total is that sum.
template <class Arch>
class SlicedTotals {
 public:
  using Floats = typename Arch::template Batch<float>;

  /// Of an array and a column block; `panels` of the whole weights.
  template <int StoredBits>
  SlicedTotals(const InputScale& input, const TiledPanels<StoredBits>& panels, std::size_t tile,
               std::size_t block)
      : unit_(product(input.unit, panels.code_value)) {
    using Ints = typename Arch::template Batch<std::int32_t>;
    const Floats offset(product(input.offset, panels.code_value));
    const std::int32_t* const code_sums =
        panels.code_sums + tile * panels.padded_outputs + block * kBlockColumns;
    for (std::size_t i = 0; i < kBlockColumns; i += Floats::size) {
      product(offset, nearest_floats(Ints::load_aligned(code_sums + i))).store_aligned(base_ + i);
    }
  }
  [[gnu::always_inline]] Floats operator()(const float* totals, std::size_t column) const {
    return fused_multiply_add(Floats::load_aligned(totals + column), Floats(unit_),
                              Floats::load_aligned(base_ + column));
  }

 private:
  float unit_;
  alignas(kCacheLine) float base_[kBlockColumns];
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
