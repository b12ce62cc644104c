// What a call on arrays multiplies, and what becomes of each array's sums and of all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../stage.hpp"
#include "../../weights.hpp"
#include "../base/range.hpp"
#include "../epilogue/array_sum.hpp"
#include "../epilogue/block_loop.hpp"
#include "../epilogue/loop.hpp"
#include "../epilogue/sums.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/float_tiles.hpp"
#include "../layout/tiles.hpp"
#include "../packing/packed_panels.hpp"
#include "concepts.hpp"
#include "problem.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The panels of the arrays number `tile` along the inputs.
template <int StoredBits>
PackedPanels<std::int32_t, kCodesPerWord<StoredBits>> panels_of_tile(
    const TiledPanels<StoredBits>& panels, std::size_t tile) {
  return {panels.words + steps_before<StoredBits>(panels.inputs, tile) * kPanelColumns,
          panels.panel_size};
}
inline PackedPanels<float, 1> panels_of_tile(const FloatTiles<PackedWeights>& tiles,
                                             std::size_t tile) {
  return {tiles.weights[tile].panel(0), tiles.weights[tile].panel_size()};
}

/// Rows × weights on arrays, TiledPanels or FloatTiles.
template <class K, class RowsT, class SumsT, class Panels>
struct ArrayProblem {
  using Kernel = K;
  using Rows = RowsT;
  using Sums = SumsT;

  Rows rows;
  Panels panels;
  Sums sums;
  Origin origin = {};

  auto panels_of(std::size_t tile) const { return panels_of_tile(panels, tile); }
  std::size_t block_bytes() const { return panels_of(0).block_bytes(); }
  const float* scales_of(std::size_t tile) const {
    return panels.scales + tile * panels.padded_outputs;
  }
};

/// Stages of each array and of the outputs, who looks on, and the sink. The noise of array t has
/// draws t·D, t·D + 1, …, where D are those of an array; the outputs' come behind.
template <class Arch, class ArrayStages, class ArrayObserver, class OutputStages,
          class OutputObserver, class SinkT>
struct ArrayFinish {
  using Element = typename SinkT::Element;
  static constexpr std::size_t kRowsAtOnce = Arch::epilogue_rows;

  ArrayStages array_stages;
  ArrayObserver array_observer;
  OutputStages output_stages;
  OutputObserver output_observer;
  SinkT sink;
  NoiseKey key;
  std::size_t arrays;

  /// Draws of a call; another one begins behind them.
  std::size_t draws() const { return first_output_draw() + draws_of(output_stages); }

  std::size_t first_output_draw() const { return arrays * draws_of(array_stages); }

  /// An array's sums of a block to partial sums; those of the last one to `y`. `flags`: of rows
  /// that its ADC clips, or nullptr.
  template <class Sum, class Values>
  void array(std::size_t tile, std::size_t first_draw, const Range& rows, std::size_t block,
             std::size_t columns, const Sum* sums, const Values& values, const AddTo& add,
             std::uint8_t* flags, const OutputBlock<Element>& y) const {
    with_clip_flags<ArrayStages>(array_observer, flags, rows.begin, [&](const auto& observer) {
      if constexpr (kLastArrayWritesOutputs) {
        if (tile + 1 == arrays) {
          last_array(observer, first_draw, rows, block, columns, sums, values, add, y);
          return;
        }
      }
      using Observer = std::remove_cvref_t<decltype(observer)>;
      EpilogueLoop<Arch, ArrayStages, Observer, AddTo>(
          array_stages, observer, add, key, first_draw + tile * draws_of(array_stages), tile)
          .template finish<kRowsAtOnce>(rows, block, columns, sums, values,
                                        {add.first, kBlockColumns}, [] {});
      if (!kLastArrayWritesOutputs && tile + 1 == arrays) {
        outputs(first_draw, rows, block, columns, add.first, y);
      }
    });
  }

 private:
  /// Epilogues of both: then they are one, so that the sum of all arrays stays in registers.
  static constexpr bool kLastArrayWritesOutputs =
      requires(const ArrayStages& in_array, const OutputStages& behind) {
    std::tuple_size<std::remove_cvref_t<decltype(in_array.stages())>>::value;
    std::tuple_size<std::remove_cvref_t<decltype(behind.stages())>>::value;
  };

  template <class Observer, class Sum, class Values>
  void last_array(const Observer& observer, std::size_t first_draw, const Range& rows,
                  std::size_t block, std::size_t columns, const Sum* sums, const Values& values,
                  const AddTo& add, const OutputBlock<Element>& y) const {
    constexpr std::size_t kInArray =
        std::tuple_size_v<std::remove_cvref_t<decltype(array_stages.stages())>>;
    const auto stages = std::apply(
        [](const auto&... all) { return epilogue(all...); },
        std::tuple_cat(array_stages.stages(),
                       std::tuple(AddPartialSums{add, rows.begin, block * kBlockColumns}),
                       output_stages.stages()));
    const auto observers = joined<kInArray>(observer, output_observer);
    EpilogueLoop<Arch, std::remove_const_t<decltype(stages)>,
                 std::remove_const_t<decltype(observers)>, SinkT>(
        stages, observers, sink, key, first_draw + (arrays - 1) * draws_of(array_stages),
        arrays - 1)
        .template finish<kRowsAtOnce>(rows, block, columns, sums, values, y, [] {});
  }

  /// The partial sums of all arrays to outputs.
  void outputs(std::size_t first_draw, const Range& rows, std::size_t block, std::size_t columns,
               const float* partial_sums, const OutputBlock<Element>& y) const {
    EpilogueLoop<Arch, OutputStages, OutputObserver, SinkT>(output_stages, output_observer, sink,
                                                            key, first_draw + first_output_draw())
        .template finish<kRowsAtOnce>(rows, block, columns, partial_sums,
                                      typename IdentitySums<Arch>::Values(), y, [] {});
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
