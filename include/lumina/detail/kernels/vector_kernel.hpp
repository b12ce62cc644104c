// The kernel for vectors: a task's rows and the panels of a column block, cut into tiles of which
// the microkernel makes the sums.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>

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
    return blocks.tile_columns(tile(rows, ceil_div(rows, blocks.max_tile_rows()), 0).size);
  }

  /// While a tile computes, it brings into the second-level cache the lines of y that its results
  /// will fill, and then the weights that the next tiles read first, or, where those are near, the
  /// rows of the next task: left to themselves they would come too late.
  static void multiply(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead& ahead) {
    const std::size_t steps = ceil_div(rows.inputs, Dot::inputs_per_step);
    const std::size_t rounds = steps / Dot::steps_in_round;
    Prefetch fetches[3];
    const std::size_t most = most_tile_rows(rows.stride, panels.columns.size, steps);
    const std::size_t tiles = ceil_div(rows.rows, most);
    const std::size_t widest = blocks.tile_columns(tile(rows.rows, tiles, 0).size);
    const std::size_t end = panels.columns.end();
    for (std::size_t column = panels.columns.begin; column < end;) {
      std::size_t width = widest;
      while (column + width > round_up(end, kNarrowest)) width /= 2;
      const std::size_t in_view = column - panels.columns.begin;
      const Word* const first =
          panels.first + in_view / kPanelColumns * panels.panel_size + in_view % kPanelColumns;
      const auto multiply_rows = [&](TileKernel<Dot> kernel, const Range& own, const Word* next,
                                     std::size_t share) __attribute__((always_inline)) {
        if (rounds >= kMinFetchingRounds) {
          plan_fetches(fetches, ahead, own, {column, width}, rounds, rows.rows, next, share);
        }
        const TileOperands<Dot> operands{.x = rows.first + own.begin * rows.stride,
                                         .x_stride = rows.stride,
                                         .steps = steps,
                                         .weights = first,
                                         .panel_size = panels.panel_size,
                                         .continue_sums = accumulate,
                                         .sums_stride = sums.stride,
                                         .ahead = fetches};
        kernel(operands, sums.first + own.begin * sums.stride + column);
      };
      if constexpr (kTilesOfOneVector) {
        // Rows that are left over are multiplied twice, unless sums go on.
        const auto fits = [&](std::size_t height) {
          return accumulate ? rows.rows % height == 0 : rows.rows >= height;
        };
        const std::size_t height = most == blocks.max_tile_rows() && fits(kHigh) ? kHigh : kLow;
        if (end - column <= Dot::Sums::size && fits(height)) {
          for (std::size_t row = 0; row < rows.rows; row += height) {
            multiply_rows(height == kLow ? &multiply_tile<Dot, kLow, Dot::Sums::size>
                                         : &multiply_tile<Dot, kHigh, Dot::Sums::size>,
                          {std::min(row, rows.rows - height), height}, nullptr, 0);
          }
          return;
        }
      }
      const bool last = column + width >= end;
      const bool far = last ? ahead.next_weights_are_far : ahead.weights_are_far;
      const std::size_t share = far && panels.in_call ? width * steps / tiles : 0;
      for (std::size_t t = 0; t < tiles; ++t) {
        const Range own = tile(rows.rows, tiles, t);
        multiply_rows(tile_kernel<Dot>(own.size, width), own, first + (tiles + t) * share, share);
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

  /// Columns of the tallest tiles, of which the others' are multiples.
  static constexpr std::size_t kNarrowest = blocks.tile_columns(blocks.max_tile_rows());

  /// The last outputs, where there are no more of them than a vector has: tiles of many rows and
  /// one vector, for otherwise one output would be as much work as 32.
  static constexpr bool kTilesOfOneVector = planes == 1 && Dot::Sums::size >= 8;
  static constexpr std::size_t kHigh = 12, kLow = 8;

  /// A first-level cache puts lines whose addresses differ by a multiple of kSetBytes into one set,
  /// which holds kSetLines on many machines. Where rows are so far apart, a tile of more of them
  /// would find none of its inputs there again: fewer and wider ones read weights more often
  /// instead, which should be near.
  static constexpr std::size_t kSetBytes = 4096, kSetLines = 8;
  static constexpr std::size_t kNearBytes = std::size_t{1} << 19;

  static constexpr std::size_t most_tile_rows(std::size_t stride, std::size_t columns,
                                              std::size_t steps) {
    constexpr std::size_t kMost = blocks.max_tile_rows(), kWide = 2 * kPanelColumns;
    if constexpr (std::is_same_v<Input, float> && kMost > kSetLines) {
      if (stride * sizeof(Input) % kSetBytes == 0) {
        const bool wide = columns % kWide == 0 && kWide * steps * sizeof(Word) <= kNearBytes;
        return wide ? blocks.max_rows_of_width(kWide) : kSetLines;
      }
    }
    return kMost;
  }

  static constexpr Range tile(std::size_t rows, std::size_t tiles, std::size_t index) {
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
