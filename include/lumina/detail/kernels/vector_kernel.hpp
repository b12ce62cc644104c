// The kernel for vectors: a task's rows and the panels of a column block, cut into tiles of which
// the microkernel makes the sums.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "dot_product.hpp"
#include "microkernel.hpp"
#include "unpacked_microkernel.hpp"
#include "views.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A kernel (engine/concepts.hpp). `D`: FloatDot, CodeDot or PlaneDot, whose rows are virtual ones:
/// everything here counts those, but for the outputs.
template <DotProduct D>
struct VectorKernel {
  using Dot = D;
  using Arch = typename Dot::Arch;
  using Input = typename Dot::Input;
  using Word = typename Dot::Word;
  using Sum = typename Dot::Sum;
  static constexpr Blocks blocks = Dot::blocks;
  static constexpr std::size_t planes = Dot::planes;
  static constexpr double worth_threads = Dot::worth_threads;

  struct Session {
    explicit Session(std::size_t) {}
  };
  static constexpr std::size_t fetches(std::size_t) { return 0; }

  /// Columns of the tiles of so many rows.
  static constexpr std::size_t tile_columns(std::size_t rows) {
    return blocks.tile_columns(tile(rows, 0).size);
  }

  /// While a tile computes, it brings into the second-level cache the lines of y that its results
  /// will fill, and then the weights that the next tiles read first, or, where those are near, the
  /// rows of the next task: left to themselves they would come too late.
  static void multiply(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead& ahead) {
    const std::size_t tiles = ceil_div(rows.rows, blocks.max_tile_rows());
    const std::size_t steps = ceil_div(rows.inputs, Dot::inputs_per_step);
    const std::size_t rounds = steps / Dot::steps_in_round;
    Prefetch fetches[3];
    const std::size_t widest = tile_columns(rows.rows);
    for (std::size_t column = panels.columns.begin; column < panels.columns.end();) {
      std::size_t width = widest;
      while (column + width > panels.columns.end()) width /= 2;
      const std::size_t in_view = column - panels.columns.begin;
      const Word* const first =
          panels.first + in_view / kPanelColumns * panels.panel_size + in_view % kPanelColumns;
      const bool last = column + width >= panels.columns.end();
      const bool far = last ? ahead.next_weights_are_far : ahead.weights_are_far;
      const std::size_t share = far && panels.in_call ? width * steps / tiles : 0;
      for (std::size_t t = 0; t < tiles; ++t) {
        const Range own = tile(rows.rows, t);
        if (rounds >= kMinFetchingRounds) {
          plan_fetches(fetches, ahead, own, {column, width}, rounds, rows.rows,
                       first + (tiles + t) * share, share);
        }
        const TileOperands<Dot> operands{.x = rows.first + own.begin * rows.stride,
                                         .x_stride = rows.stride,
                                         .steps = steps,
                                         .weights = first,
                                         .panel_size = panels.panel_size,
                                         .continue_sums = accumulate,
                                         .sums_stride = sums.stride,
                                         .ahead = fetches};
        tile_kernel<Dot>(own.size, width)(operands, sums.first + own.begin * sums.stride + column);
      }
      column += width;
    }
  }

  /// Few rows with weights as they lie: up to Arch::unpacked_rows of them, and a multiple of
  /// kUnpackedInputs inputs.
  static void multiply(const StridedRows<Input>& rows, const UnpackedView& weights,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead&) {
    for (std::size_t i = 0; i < weights.columns.size; i += kPanelColumns) {
      const UnpackedOperands operands{.x = rows.first,
                                      .x_stride = rows.stride,
                                      .steps = rows.inputs,
                                      .w = weights.first + i * weights.stride,
                                      .w_stride = weights.stride,
                                      .continue_sums = accumulate,
                                      .sums_stride = sums.stride};
      unpacked_kernel<Arch>(rows.rows)(operands, sums.first + weights.columns.begin + i);
    }
  }

 private:
  /// Tiles of fewer rounds are done before anything that they fetch.
  static constexpr std::size_t kMinFetchingRounds = 8;

  static constexpr Range tile(std::size_t rows, std::size_t index) {
    const std::size_t tiles = ceil_div(rows, blocks.max_tile_rows());
    if constexpr (planes == 1) {
      return split_into_even_sizes(rows, tiles, index);
    } else {
      const Range groups = split_evenly(rows / planes, tiles, index);
      return {groups.begin * planes, groups.size * planes};
    }
  }

  /// What a tile fetches: its outputs' lines; then its share of the next weights, or of the next
  /// task's rows. (Apart, so that the loop above stays small for tiles of little depth.)
  [[gnu::noinline]] static void plan_fetches(Prefetch* fetches, const Ahead& ahead,
                                             const Range& own, const Range& columns,
                                             std::size_t rounds, std::size_t rows,
                                             const Word* weights, std::size_t share) {
    fetches[0] = prefetch_outputs(ahead, own, columns.begin, columns.size);
    const std::size_t rounds_left = rounds - std::min(rounds, fetches[0].times);
    fetches[1] = share != 0 ? Prefetch::hints(weights, share * sizeof(Word), rounds_left)
                            : ahead.rows->share_of_part(own.size * columns.size,
                                                        rows * kBlockColumns, rounds_left);
  }

  static Prefetch prefetch_outputs(const Ahead& ahead, const Range& rows, std::size_t column,
                                   std::size_t width) {
    const std::size_t count = std::min(width, ahead.columns - std::min(ahead.columns, column));
    return {
        .address = ahead.outputs + rows.begin / planes * ahead.output_row_bytes +
                   column * ahead.output_bytes,
        .stride = ahead.output_row_bytes,
        .step = kCacheLine,
        .lines = ceil_div(count * ahead.output_bytes, kCacheLine),
        .times = rows.size / planes,
    };
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
