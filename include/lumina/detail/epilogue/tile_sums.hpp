// From sums of an array's codes to its outputs ŷ = Σ ŵ·x̂, in currents of one fully-on device.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/scalar_math.hpp"
#include "../kernels/sum_planes.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"
#include "../rows/array_input.hpp"
#include "../rows/array_rows.hpp"
#include "../rows/input_planes.hpp"
#include "../simd/vectors.hpp"
#include "plane_sums.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `Set`: the sums beside the product (kernels/sum_planes.hpp).
template <class Arch, int StoredBits, unsigned Set>
class TileSums {
 public:
  using Codes = typename Arch::Codes;
  static constexpr std::size_t planes = plane_count(Set);
  /// Inputs have 16 bits, in two planes.
  static constexpr bool kFine = (Set & kLowByteSums) != 0;

  TileSums(const InputScale& input, const TiledPanels<StoredBits>& panels)
      : panels_(panels),
        lowest_(input.lowest + Codes::input_bias * (kFine ? 257 : 1)),
        unit_(product(input.unit, panels.code_value)),
        offset_(product(input.offset, panels.code_value)) {}

  /// Those of an array and a column block: fma(sum, unit, offset·code_sum), where `sum` is that of
  /// the codes with their signs.
  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;
    static constexpr std::size_t planes = TileSums::planes;

    /// `sums`: the first row's. `numbers`: of the rows.
    Values(const TileSums& tile_sums, std::size_t tile, std::size_t block, const std::int32_t* sums,
           const RowNumbers* numbers)
        : unit_(tile_sums.unit_),
          sums_(sums),
          numbers_(numbers),
          extra_(tile_sums.extra_sums(tile, block)),
          position_unit_(position_unit(tile_sums.panels_.code_value)),
          inputs_(static_cast<float>(tile_sums.panels_.inputs[tile].size)),
          code_sums_(tile_sums.panels_.code_sums + tile * tile_sums.panels_.padded_outputs +
                     block * kBlockColumns) {
      for (std::size_t i = 0; i < kBlockColumns; i += Floats::size) {
        const Ints code_sum = Ints::load_aligned(code_sums_ + i);
        (code_sum * Ints(tile_sums.lowest_)).store_aligned(lowest_ + i);
        product(Floats(tile_sums.offset_), nearest_floats(code_sum)).store_aligned(base_ + i);
      }
    }
    [[gnu::always_inline]] Floats operator()(const std::int32_t* sums, std::size_t column) const {
      Ints sum = of_codes(sums + column);
      // (May wrap on the way.)
      if constexpr (kFine) sum = (sum << 8) + of_codes(sums + kBlockColumns + column);
      return fused_multiply_add(nearest_floats(sum + Ints::load_aligned(lowest_ + column)),
                                Floats(unit_), Floats::load_aligned(base_ + column));
    }
    /// What stages want beside, of the row with these sums.
    [[gnu::always_inline]] Facts<Floats> facts(const std::int32_t* sums, std::size_t column) const {
      const RowNumbers& row =
          numbers_[static_cast<std::size_t>(sums - sums_) / (planes * kBlockColumns)];
      Facts<Floats> result;
      result.row = {row.range, product(static_cast<float>(row.squares), 1.0f / 255.0f), inputs_};
      const auto value = [&]<unsigned Sum>() __attribute__((always_inline)) {
        if constexpr ((Set & Sum) != 0) {
          return extra_.template value<Sum>(sums, kBlockColumns, column);
        } else {
          return Floats(0.0f);
        }
      };
      result.magnitudes = value.template operator()<kMagnitudeSums>();
      result.squared_inputs = value.template operator()<kSquaredInputSums>();
      result.squares = value.template operator()<kSquareSums>();
      if constexpr ((Set & kPositionSums) != 0) result.positions = positions(sums, column);
      return result;
    }

   private:
    [[gnu::always_inline]] Floats positions(const std::int32_t* sums, std::size_t column) const {
      constexpr auto kBias =
          Codes::input_bias - static_cast<std::int32_t>(InputPlanes::kPositionBias);
      const Ints sum = of_codes(sums + plane_of(Set, kPositionSums) * kBlockColumns + column) +
                       Ints::load_aligned(code_sums_ + column) * Ints(kBias);
      return product(nearest_floats(sum), Floats(position_unit_));
    }
    [[gnu::always_inline]] static Ints of_codes(const std::int32_t* sums) {
      const Ints sum = Ints::load_aligned(sums);
      if constexpr (StoredBits != 8) return sum >> (8 - StoredBits);
      return sum;
    }

    float unit_;
    const std::int32_t* sums_;
    const RowNumbers* numbers_;
    typename PlaneSums<Arch, StoredBits, Set>::Values extra_;
    float position_unit_, inputs_;
    const std::int32_t* code_sums_;
    alignas(kCacheLine) float base_[kBlockColumns];
    alignas(kCacheLine) std::int32_t lowest_[kBlockColumns];
  };

 private:
  typename PlaneSums<Arch, StoredBits, Set>::Values extra_sums(std::size_t tile,
                                                               std::size_t block) const {
    const std::size_t first = tile * panels_.padded_outputs;
    return PlaneSums<Arch, StoredBits, Set>(panels_.code_value, panels_.magnitude_sums + first,
                                            panels_.square_sums + first)
        .values(block);
  }

  TiledPanels<StoredBits> panels_;
  std::int32_t lowest_;
  float unit_, offset_;
};

/// The same of an array's products of floats, Σ w·x: ŷ = (sum·(1/s))·(1/r), 0 where s is.
template <class Arch>
class FloatTileSums {
 public:
  FloatTileSums(const float* scales, std::size_t padded_outputs)
      : scales_(scales), padded_outputs_(padded_outputs) {}

  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;

    Values(const FloatTileSums& tile_sums, std::size_t tile, std::size_t block, const float* sums,
           const RowNumbers* numbers)
        : sums_(sums), numbers_(numbers) {
      const float* const scales =
          tile_sums.scales_ + tile * tile_sums.padded_outputs_ + block * kBlockColumns;
      for (std::size_t i = 0; i < kBlockColumns; i += Floats::size) {
        const Floats scale = Floats::load_aligned(scales + i);
        select(scale > Floats(0.0f), quotient(Floats(1.0f), scale), Floats(0.0f))
            .store_aligned(inverse_scales_ + i);
      }
    }
    [[gnu::always_inline]] Floats operator()(const float* sums, std::size_t column) const {
      const float range = numbers_[static_cast<std::size_t>(sums - sums_) / kBlockColumns].range;
      return product(product(Floats::load_aligned(sums + column),
                             Floats::load_aligned(inverse_scales_ + column)),
                     Floats(1.0f / range));
    }

   private:
    const float* sums_;
    const RowNumbers* numbers_;
    alignas(kCacheLine) float inverse_scales_[kBlockColumns];
  };

 private:
  const float* scales_;
  std::size_t padded_outputs_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
