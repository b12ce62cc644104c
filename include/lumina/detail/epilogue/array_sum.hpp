// What arrays yield, added up digitally: Σ over tiles of r·s·ADC(ŷ), tile after tile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../stage.hpp"
#include "../../stage_list.hpp"
#include "../layout/float_panels.hpp"
#include "../rows/array_rows.hpp"
#include "../simd/vectors.hpp"
#include "observer.hpp"
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
  std::size_t first_column;   ///< of the scales
  const RowNumbers* numbers;  ///< of the rows
  float* first;               ///< of the partial sums
  bool begins;

  template <class Arch, class Floats>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates& at, const ActiveLanes&,
                                    float* to) const {
    const RowNumbers& row = numbers[static_cast<std::size_t>(to - first) / kBlockColumns];
    const Floats worth = worth_of<Floats>(at, row);
    const Floats before = begins ? Floats(0.0f) : Floats::load_aligned(to);
    fused_multiply_add(values, worth, before).store_aligned(to);
  }
  /// r·s
  template <class Floats>
  [[gnu::always_inline]] Floats worth_of(const Coordinates& at, const RowNumbers& row) const {
    return product(Floats::load_aligned(scales + (at.column - first_column)), Floats(row.range));
  }
};

/// A sink: adds what one conversion of a sliced array yields, times its digits' worth, 2^n or −2^n,
/// to the array's total, in rows of kBlockColumns.
struct AddShifted {
  using Element = float;

  float worth;
  bool begins;

  template <class Arch, class Floats>
  [[gnu::always_inline]] void store(const Floats& values, const Coordinates&, const ActiveLanes&,
                                    float* to) const {
    const Floats before = begins ? Floats(0.0f) : Floats::load_aligned(to);
    fused_multiply_add(values, Floats(worth), before).store_aligned(to);
  }
};

/// The same as AddTo as a stage between those of the last array and those behind the arrays: the
/// sum of all.
struct AddPartialSums {
  static constexpr bool ends_arrays = true;  ///< stages behind it are in no tile

  AddTo add;
  std::size_t first_row, first_column;  ///< of the block

  template <class Floats, class Normals>
  [[gnu::always_inline]] Floats apply(const Floats& values, const Coordinates& at,
                                      const ActiveLanes&, const Normals&) const {
    const std::size_t row = at.row - first_row;
    const Floats worth = add.template worth_of<Floats>(at, add.numbers[row]);
    const float* const sums = add.first + row * kBlockColumns + (at.column - first_column);
    const Floats before = add.begins ? Floats(0.0f) : Floats::load_aligned(sums);
    return fused_multiply_add(values, worth, before);
  }
};

/// An observer of the stages of an array, that one, and those behind: theirs, each with its own.
template <std::size_t InArray, class ArrayObserver, class OutputObserver>
struct JoinedObserver {
  [[no_unique_address]] ArrayObserver in_array;
  [[no_unique_address]] OutputObserver behind;

  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index, const Stage& stage, const Floats& entering,
                                  const Coordinates& at, const ActiveLanes& active) const {
    if constexpr (Index::value < InArray) {
      in_array.see(Index(), stage, entering, at, active);
    } else if constexpr (Index::value > InArray) {
      Coordinates behind_arrays = at;  // the observer's, of the last array
      behind_arrays.tile = 0;
      behind.see(std::integral_constant<std::size_t, Index::value - InArray - 1>(), stage, entering,
                 behind_arrays, active);
    }
  }
};
template <std::size_t InArray>
inline NoObserver joined(NoObserver, NoObserver) {
  return {};
}
template <std::size_t InArray, class ArrayObserver, class OutputObserver>
JoinedObserver<InArray, ArrayObserver, OutputObserver> joined(const ArrayObserver& in_array,
                                                              const OutputObserver& behind) {
  return {in_array, behind};
}

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
    if constexpr (is_last_gate<Index::value, Stages...>()) {
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

/// f(the observer, with such flags where there are any: of rows from `first_row` on).
template <class Stages, class Observer, class F>
void with_clip_flags(const Observer& observer, std::uint8_t* flags, std::size_t first_row,
                     const F& f) {
  if (flags != nullptr) {
    f(ClipFlags<Stages, Observer>{observer, flags, first_row});
  } else {
    f(observer);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
