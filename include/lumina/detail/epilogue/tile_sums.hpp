// From sums of an array's codes to its outputs ŷ = Σ ŵ·x̂, in currents of one fully-on device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/scalar_math.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"
#include "../rows/array_input.hpp"
#include "../simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <class Arch, int StoredBits>
class TileSums {
 public:
  using Codes = typename Arch::Codes;
  static constexpr std::size_t planes = 1;

  TileSums(const InputScale& input, const TiledPanels<StoredBits>& panels)
      : panels_(panels),
        lowest_(input.lowest + Codes::input_bias),
        unit_(product(input.unit, panels.code_value)),
        offset_(product(input.offset, panels.code_value)) {}

  /// Those of an array and a column block: fma(sum, unit, offset·code_sum), where `sum` is that of
  /// the codes with their signs.
  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;
    static constexpr std::size_t planes = TileSums::planes;

    /// `sums`: the first row's. `facts`: of the rows.
    Values(const TileSums& tile_sums, std::size_t tile, std::size_t block, const std::int32_t* sums,
           const RowFacts* facts)
        : unit_(tile_sums.unit_), sums_(sums), facts_(facts) {
      const TiledPanels<StoredBits>& panels = tile_sums.panels_;
      const std::int32_t* const code_sums =
          panels.code_sums + tile * panels.padded_outputs + block * kBlockColumns;
      for (std::size_t i = 0; i < kBlockColumns; i += Floats::size) {
        const Ints code_sum = Ints::load_aligned(code_sums + i);
        (code_sum * Ints(tile_sums.lowest_)).store_aligned(lowest_ + i);
        product(Floats(tile_sums.offset_), nearest_floats(code_sum)).store_aligned(base_ + i);
      }
    }
    [[gnu::always_inline]] Floats operator()(const std::int32_t* sums, std::size_t column) const {
      Ints sum = Ints::load_aligned(sums + column);
      if constexpr (StoredBits != 8) sum = sum >> (8 - StoredBits);
      return fused_multiply_add(nearest_floats(sum + Ints::load_aligned(lowest_ + column)),
                                Floats(unit_), Floats::load_aligned(base_ + column));
    }
    /// What stages want beside, of the row with these sums.
    [[gnu::always_inline]] Facts<Floats> facts(const std::int32_t* sums, std::size_t) const {
      Facts<Floats> result;
      result.row = facts_[static_cast<std::size_t>(sums - sums_) / (planes * kBlockColumns)];
      return result;
    }

   private:
    float unit_;
    const std::int32_t* sums_;
    const RowFacts* facts_;
    alignas(kCacheLine) float base_[kBlockColumns];
    alignas(kCacheLine) std::int32_t lowest_[kBlockColumns];
  };

 private:
  TiledPanels<StoredBits> panels_;
  std::int32_t lowest_;
  float unit_, offset_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
