// The loop of a call on arrays: for each column block the arrays along the inputs, one after the
// other, each with its own sums, stages and ADC; what they yield adds up close to the core, and
// goes through the outputs' stages once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../epilogue/array_sum.hpp"
#include "../epilogue/loop.hpp"
#include "../kernels/views.hpp"
#include "../layout/float_panels.hpp"
#include "../rows/array_rows.hpp"
#include "../rows/input_digits.hpp"
#include "array_problem.hpp"
#include "array_scratch.hpp"
#include "concepts.hpp"
#include "schedule.hpp"
#include "scratch_memory.hpp"
#include "thresholds.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// One call. `P`: an ArrayProblem; `K`: its kernel, or another one for the same sums; `Finish`: an
/// ArrayFinish.
template <Kernel K, class P, class Finish>
class ArrayLoop {
 public:
  using Element = typename Finish::Element;
  using Layout = ArrayLayout<K, typename P::Rows>;
  static constexpr double worth_threads = K::worth_threads;

  /// `threads`: how many may run tasks.
  ArrayLoop(const P& problem, MatrixView<Element> y, std::size_t threads, const Finish& finish)
      : problem_(problem),
        finish_(finish),
        y_(y),
        layout_(y.rows(), problem.panels.inputs, digit_planes_of(problem.rows)),
        schedule_(Schedule::plan(
            Layout::chunks(y.rows(), problem.panels.inputs, digit_planes_of(problem.rows)),
            y.cols(), true, problem.block_bytes(), threads)) {
    // Who may compute a row again must have seen all of it.
    if (problem.rows.iterations() != 0) schedule_.groups = 1;
  }

  std::size_t tasks() const { return schedule_.tasks(); }
  static std::size_t bytes(const P& problem, std::size_t batch) {
    return Layout::bytes(batch, problem.panels.inputs, digit_planes_of(problem.rows));
  }

  void run(std::size_t task) const {
    with_task_memory<Layout::kMaxBytes>(layout_.end, [&](std::byte* memory) { run(task, memory); });
  }
  /// In memory that begins at a cache line and has bytes().
  void run(std::size_t task, std::byte* memory) const {
    const Range rows = schedule_.chunks.rows_of(schedule_.chunk(task));
    const Range blocks = schedule_.blocks_of(task);
    const std::size_t iterations = problem_.rows.iterations();
    std::uint8_t* const flags =
        iterations != 0 ? reinterpret_cast<std::uint8_t*>(memory + layout_.flags) : nullptr;
    if (flags != nullptr) std::memset(flags, 0, rows.size);
    run(rows, blocks, 0, flags, memory);
    for (std::size_t row = 0; row < rows.size && flags != nullptr; ++row) {
      std::uint8_t clips = flags[row];
      for (std::size_t i = 1; i <= iterations && clips != 0; ++i) {
        clips = 0;
        run({rows.begin + row, 1}, blocks, i, &clips, memory);
      }
    }
  }

 private:
  using Rows = typename P::Rows;
  using Sum = typename K::Sum;

  void run(const Range& rows, const Range& blocks, std::size_t iteration, std::uint8_t* flags,
           std::byte* memory) const {
    const Tiling& tiles = problem_.panels.inputs;
    const std::size_t first_draw = iteration * finish_.draws();
    float* const partial_sums = reinterpret_cast<float*>(memory + layout_.partial_sums);
    const SumBlock<Sum> sums{reinterpret_cast<Sum*>(memory + layout_.sums), kBlockColumns};

    const typename K::Session session(kernel_rows(rows));
    for (std::size_t block = blocks.begin; block < blocks.end(); ++block) {
      const std::size_t columns = schedule_.columns_of(block);
      for (std::size_t tile = 0; tile < tiles.count; ++tile) {
        const RowNumbers* const numbers = numbers_of(tile, rows, memory);
        const Origin& origin = problem_.origin;
        const Range all_rows{origin.row + rows.begin, rows.size};
        const AddTo add{problem_.scales_of(tile), origin.block * kBlockColumns, numbers,
                        partial_sums, tile == 0};
        const OutputBlock<Element> y{&y_(rows.begin, block * kBlockColumns), y_.row_stride()};
        if constexpr (Layout::kDigits) {
          float* const totals = reinterpret_cast<float*>(memory + layout_.totals);
          for (std::size_t slice = 0; slice < problem_.slices.size(); ++slice) {
            multiply(rows, block, tile, problem_.panels_of(tile, slice), iteration,
                     block == blocks.begin && slice == 0, sums, memory);
            finish_.conversions(problem_, tile, slice, first_draw, all_rows, block, columns,
                                sums.first, numbers, totals, flags);
          }
          const typename P::Totals values(problem_, tile, block);
          finish_.array(tile, first_draw, all_rows, origin.block + block, columns, totals, values,
                        add, y);
        } else {
          multiply(rows, block, tile, problem_.panels_of(tile), iteration, block == blocks.begin,
                   sums, memory);
          const typename P::Sums::Values values(problem_.sums, tile, block, sums.first, numbers);
          finish_.array(tile, first_draw, all_rows, origin.block + block, columns, sums.first,
                        values, add, flags, y);
        }
      }
    }
  }

  /// What a kernel multiplies for these rows.
  std::size_t kernel_rows(const Range& rows) const {
    return rows.size * Layout::kPlanes * digit_planes_of(problem_.rows);
  }

  /// The sums of an array, of its weights `panels` or of a slice of them, and a column block. Rows
  /// of all arrays are made once, at first, where there is room; otherwise again for each block and
  /// slice, part by part.
  template <class Panels>
  void multiply(const Range& rows, std::size_t block, std::size_t tile, const Panels& panels,
                std::size_t iteration, bool first, const SumBlock<Sum>& sums,
                std::byte* memory) const {
    const Tiling& tiles = problem_.panels.inputs;
    const Range own = tiles[tile];
    const std::size_t kernel_rows = this->kernel_rows(rows);
    typename Rows::Element* to = reinterpret_cast<typename Rows::Element*>(memory);
    std::size_t part = std::max<std::size_t>(own.size, 1);
    if (layout_.whole_rows) {
      to += kernel_rows * tiles.sum_of(tile, round_up(tiles.long_size, Rows::row_multiple),
                                       round_up(tiles.short_size, Rows::row_multiple));
    } else {
      part = std::min(part, layout_.inputs);
    }
    const std::size_t columns = panel_count(schedule_.columns_of(block)) * kPanelColumns;
    typename Panels::Scratch none;
    for (std::size_t begin = 0; begin == 0 || begin < own.size; begin += part) {
      const Range inputs{begin, std::min(part, own.size - begin)};
      const std::size_t stride = round_up(inputs.size, Rows::row_multiple);
      if (first || !layout_.whole_rows) {
        problem_.rows.read(rows, {own.begin + begin, inputs.size}, own, iteration, to, stride,
                           numbers_of(tile, rows, memory));
      }
      panels.template for_each_part<K>(block, columns, inputs, kernel_rows, none,
                                       [&](const auto& view, const Range&) {
                                         Prefetcher nothing;
                                         K::multiply({to, stride, kernel_rows, inputs.size}, view,
                                                     sums, begin > 0, ahead(rows, block, nothing));
                                       });
    }
  }

  RowNumbers* numbers_of(std::size_t tile, const Range& rows, std::byte* memory) const {
    return reinterpret_cast<RowNumbers*>(memory + layout_.numbers) +
           (layout_.whole_rows ? tile * rows.size * digit_planes_of(problem_.rows) : 0);
  }

  Ahead ahead(const Range& rows, std::size_t block, Prefetcher& nothing) const {
    const bool far = rows.begin == 0 || problem_.block_bytes() > Thresholds::near_bytes;
    return {.outputs = reinterpret_cast<const char*>(&y_(rows.begin, block * kBlockColumns)),
            .output_row_bytes = y_.row_stride() * sizeof(Element),
            .output_bytes = sizeof(Element),
            // Kernels take rows for those of y, which planes of digits are not.
            .columns = Layout::kDigits ? 0 : schedule_.columns_of(block),
            .weights_are_far = far,
            .next_weights_are_far = far,
            .rows = &nothing};
  }

  const P& problem_;  // of who makes the call
  Finish finish_;
  MatrixView<Element> y_;
  Layout layout_;
  Schedule schedule_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
