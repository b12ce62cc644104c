// The epilogue of a call whose stages are a list, chosen at run time (stage_list.hpp): instead of a
// vector through all stages in registers, some rows of a column block through each stage in the
// first-level cache. The functions of the stages depend on neither the sums nor the sink.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../../stage_list.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../random/noise_field.hpp"
#include "loop.hpp"
#include "sinks.hpp"
#include "stage_operations.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Normals per element of an epilogue, or of a list.
template <class Stages>
constexpr std::size_t draws_of(const Stages&) {
  return normals_of<Stages>;
}
template <AnyStageList List>
std::size_t draws_of(const List& stages) {
  return stages.normals_per_element();
}

/// The noise of a list's stages; `first_draw`: that of their first normal.
class ListNoise {
 public:
  ListNoise(const StageList& stages, const NoiseKey& key, std::size_t first_draw = 0) {
    for (std::size_t draw = 0; draw < stages.normals_per_element(); ++draw) {
      fields_[draw] = NoiseField(key, first_draw + draw);
    }
  }
  const NoiseField* of(const ListedStage& stage) const {
    return fields_.data() + stage.normals_before();
  }

 private:
  std::array<NoiseField, StageList::capacity * kMostStageNormals> fields_;
};

/// f(stages, sink) of a call that stores codes; the last stage is known to be a quantizer
/// (codes_valid).
template <class T, AnyStageList List, class F>
requires(!std::is_same_v<T, float>) auto with_sink(const List& stages, F f) {
  const List leading(stages.without_last());
  return f(leading, StoreCodes<T, UniformQuantizer>{*stages.last().quantizer()});
}

/// The facts of a block, for lists of type List.
template <std::size_t Rows, class List>
class BlockFacts {
 public:
  template <class FactsT>
  [[gnu::always_inline]] void keep(std::size_t index, const FactsT& facts) {
    if constexpr (kHas(Sums::magnitudes)) facts.magnitudes.store_aligned(magnitudes_ + index);
    if constexpr (kHas(Sums::squared_inputs)) {
      facts.squared_inputs.store_aligned(squared_inputs_ + index);
    }
    if constexpr (kHas(Sums::squares)) facts.squares.store_aligned(squares_ + index);
    if constexpr (kHas(Sums::positions)) facts.positions.store_aligned(positions_ + index);
    rows_[index / kBlockColumns] = facts.row;
  }
  void show(StageBlock& block) const {
    if constexpr (kHas(Sums::magnitudes)) block.magnitudes = magnitudes_;
    if constexpr (kHas(Sums::squared_inputs)) block.squared_inputs = squared_inputs_;
    if constexpr (kHas(Sums::squares)) block.squares = squares_;
    if constexpr (kHas(Sums::positions)) block.positions = positions_;
    block.row_facts = rows_;
  }

 private:
  static constexpr bool kHas(unsigned sum) { return (sums_of<List> & sum) != 0; }
  static constexpr std::size_t kFloats = Rows * kBlockColumns;

  alignas(kCacheLine) float magnitudes_[kHas(Sums::magnitudes) ? kFloats : 1];
  alignas(kCacheLine) float squared_inputs_[kHas(Sums::squared_inputs) ? kFloats : 1];
  alignas(kCacheLine) float squares_[kHas(Sums::squares) ? kFloats : 1];
  alignas(kCacheLine) float positions_[kHas(Sums::positions) ? kFloats : 1];
  RowFacts rows_[Rows];
};

/// The list must live as long as the loop.
template <class Arch, AnyStageList List, class Observer, class Sink>
class EpilogueLoop<Arch, List, Observer, Sink> {
 public:
  using Element = typename Sink::Element;
  using Floats = typename Arch::template Batch<float>;

  EpilogueLoop(const List& stages, const Observer& observer, const Sink& sink, const NoiseKey& key,
               std::size_t first_draw = 0, std::size_t tile = 0)
      : stages_(&stages),
        observer_(observer),
        sink_(sink),
        row_offset_(key.row_offset),
        tile_(tile),
        noise_(stages, key, first_draw) {}

  /// As that of the epilogues known at compile time.
  template <std::size_t RowsAtOnce, class Sum, class Values, class Before>
  void finish(const Range& rows, std::size_t block, std::size_t columns, const Sum* sums,
              const Values& values, const OutputBlock<Element>& y, const Before& before) const {
    for (std::size_t row = 0; row < rows.size; row += RowsAtOnce) {
      before();
      finish_rows<RowsAtOnce>({.rows = {rows.begin + row, std::min(RowsAtOnce, rows.size - row)},
                               .block = block,
                               .columns = columns,
                               .row_offset = row_offset_,
                               .tile = tile_},
                              sums + row * sum_columns<Values>, values,
                              {y.first + row * y.stride, y.stride});
    }
  }

 private:
  template <std::size_t MostRows, class Sum, class Values>
  void finish_rows(StageBlock block, const Sum* sums, const Values& values,
                   const OutputBlock<Element>& y) const {
    alignas(kCacheLine) float buffer[MostRows * kBlockColumns];
    block.values = buffer;
    BlockFacts<MostRows, List> facts;
    block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
      const std::size_t row = v.index / kBlockColumns, column = v.index % kBlockColumns;
      const Sum* const own = sums + row * sum_columns<Values>;
      values(own, column).store_aligned(buffer + v.index);
      if constexpr (wants_facts<List>) facts.keep(v.index, values.facts(own, column));
    });
    if constexpr (wants_facts<List>) facts.show(block);
    // Floats go to y from the last stage, without another way through the cache.
    constexpr bool kStoresFloats = std::is_same_v<Sink, StoreFloats>;
    const OutputBlock<float> in_place{buffer, kBlockColumns};
    if constexpr (kStoresFloats) {
      run_stages(block, in_place, y);
      if (stages_->size() != 0) return;
    } else {
      run_stages(block, in_place, in_place);
    }
    const Sink sink = sink_;
    block.for_each_vector([&](const VectorInBlock& v) __attribute__((always_inline)) {
      const std::size_t row = v.index / kBlockColumns, column = v.index % kBlockColumns;
      sink.template store<Arch>(Floats::load_aligned(buffer + v.index), v.at, v.active,
                                y.first + row * y.stride + column);
    });
  }

  /// The last stage's values go to `end`, the others' to `to`.
  void run_stages(StageBlock& block, const OutputBlock<float>& to,
                  const OutputBlock<float>& end) const {
    for (const ListedStage& stage : *stages_) {
      if constexpr (requires { observer_.see_block(*stages_, stage, block); }) {
        observer_.see_block(*stages_, stage, block);
      }
      block.fields = noise_.of(stage);
      stage.apply(block, &stage == &stages_->last() ? end : to);
    }
  }

  const List* stages_;
  [[no_unique_address]] Observer observer_;
  [[no_unique_address]] Sink sink_;
  std::uint64_t row_offset_;
  std::size_t tile_;
  ListNoise noise_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
