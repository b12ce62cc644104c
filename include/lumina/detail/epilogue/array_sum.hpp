// What arrays yield, added up digitally: Σ over tiles of r·s·ADC(ŷ), tile after tile.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../stage.hpp"
#include "../../stage_list.hpp"
#include "../layout/float_panels.hpp"
#include "../rows/array_rows.hpp"
#include "../simd/vectors.hpp"
#include "stage_operations.hpp"
#include "stage_traits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A sink: adds to partial sums in rows of kBlockColumns; those of the first array begin them.
/// fma(value, r·s, partial sum), r·s rounded by itself.
struct AddTo {
  using Element = float;

  const float* scales;        ///< s of the array, for each output, filled up to whole vectors
  const RowNumbers* numbers;  ///< of the rows
  float* first;               ///< of the partial sums
  bool begins;

  template <class Arch, class Floats>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates& at, const ActiveLanes&,
                                    float* to) const {
    const RowNumbers& row = numbers[static_cast<std::size_t>(to - first) / kBlockColumns];
    const Floats worth = product(Floats::load_unaligned(scales + at.column), Floats(row.range));
    const Floats before = begins ? Floats(0.0f) : Floats::load_aligned(to);
    fused_multiply_add(values, worth, before).store_aligned(to);
  }
};

/// An observer (observer.hpp) of an array's stages, besides another one: which rows its last gate,
/// the ADC, has clipped. `flags`: of rows from `first_row` on.
template <class Stages, class Observer>
struct ClipFlags;
template <class... Stages, class Observer>
struct ClipFlags<Epilogue<Stages...>, Observer> {
  [[no_unique_address]] Observer observer;
  std::uint8_t* flags;
  std::size_t first_row;

  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index index, const Stage& stage, const Floats& entering,
                                  const Coordinates& at, const ActiveLanes& active) const {
    observer.see(index, stage, entering, at, active);
    using Chain = StageChain<Stages...>;
    if constexpr (is_gate<Stage, Floats> && Chain::gates_before(Index::value) + 1 == Chain::gates) {
      const std::uint32_t passed = bits_of_mask<Floats>(stage.passes(entering));
      const std::uint32_t all = (std::uint32_t{1} << active.count) - 1;
      if ((passed & all) != all) flags[at.row - first_row] = 1;
    }
  }
};
/// Of a list, block by block.
template <AnyStageList List, class Observer>
struct ClipFlags<List, Observer> {
  [[no_unique_address]] Observer observer;
  std::uint8_t* flags;
  std::size_t first_row;

  void see_block(const StageList& stages, const ListedStage& stage,
                 const StageBlock& entering) const {
    if constexpr (requires { observer.see_block(stages, stage, entering); }) {
      observer.see_block(stages, stage, entering);
    }
    if (stages.is_last_gate(stage)) stage.flag_clipped(entering, flags, first_row);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
