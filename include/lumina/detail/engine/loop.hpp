// The loop of a call: rows × panels → sums → stages → sink, task by task. The sums of a task's rows
// and a column block are made by the kernel and wait close to the core until the epilogue takes
// them row by row; then comes the next block. Not both at once: see docs/design.md.
#pragma once

#include <cstddef>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../matrix.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../epilogue/block_loop.hpp"
#include "../epilogue/loop.hpp"
#include "../epilogue/sinks.hpp"
#include "../epilogue/sums.hpp"
#include "../kernels/views.hpp"
#include "../layout/float_panels.hpp"
#include "concepts.hpp"
#include "problem.hpp"
#include "schedule.hpp"
#include "scratch.hpp"
#include "thresholds.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// One call. `P`: a Problem; `K`: its kernel, or another one for the same sums.
template <Kernel K, class P, class Stages, class Observer, Sink<typename K::Arch> SinkT>
class Loop {
 public:
  using Arch = typename K::Arch;
  using Element = typename SinkT::Element;
  using ScratchT = Scratch<K, P>;
  static constexpr double worth_threads = K::worth_threads;

  /// `threads`: how many may run tasks.
  Loop(const P& problem, MatrixView<Element> y, std::size_t threads, const Stages& stages,
       const Observer& observer, const SinkT& sink, const NoiseKey& key)
      : problem_(problem),
        epilogue_(stages, observer, sink, key),
        y_(y),
        schedule_(Schedule::plan(ScratchT::chunks(y.rows(), problem.rows.depth()), y.cols(),
                                 Depth::kMade, problem.panels.block_bytes(), threads)) {}

  std::size_t tasks() const { return schedule_.tasks(); }
  static std::size_t bytes(const P& problem, std::size_t batch) {
    return ScratchT::bytes(batch, problem.rows.depth());
  }

  void run(std::size_t task) const {
    with_scratch<ScratchT>(y_.rows(), problem_.rows.depth(),
                           [this, task](const ScratchT& scratch) { run(task, scratch); });
  }
  /// In memory that begins at a cache line and has bytes().
  void run(std::size_t task, std::byte* memory) const {
    using Layout = typename ScratchT::Layout;
    run(task, ScratchT(memory, Layout::of_call(y_.rows(), problem_.rows.depth())));
  }

 private:
  using Depth = typename ScratchT::Depth;
  using Sum = typename K::Sum;

  static constexpr std::size_t kRowsAtOnce = Arch::epilogue_rows;
  /// Then whole panels need no epilogue: the kernel writes their sums to y.
  static constexpr bool kSumsAreOutputs = std::is_same_v<Stages, Epilogue<>> &&
                                          std::is_same_v<SinkT, StoreFloats> &&
                                          std::is_same_v<typename P::Sums, IdentitySums<Arch>>;

  void run(std::size_t task, const ScratchT& scratch) const {
    const std::size_t chunk = schedule_.chunk(task);
    const Range rows = schedule_.chunks.rows_of(chunk);
    const Range blocks = schedule_.blocks_of(task);
    const std::size_t depth = problem_.rows.depth();
    const std::size_t depth_blocks = Depth::count(depth, rows.size);

    const typename K::Session session(rows.size);
    const bool kernel_fetches = K::fetches(depth) != 0 || !weights_are_far(chunk);
    Prefetcher next_rows = prefetcher(chunk + 1, rows.size, blocks.size);
    StridedRows<typename K::Input> input{};
    for (std::size_t block = blocks.begin; block < blocks.end(); ++block) {
      const std::size_t columns = schedule_.columns_of(block);
      SumBlock<Sum> to{scratch.sums(), kBlockColumns};
      bool in_place = false;
      if constexpr (kSumsAreOutputs) {
        in_place = columns % kPanelColumns == 0;
        if (in_place) to = {&y_(rows.begin, block * kBlockColumns), y_.row_stride()};
      }
      bool begun = false;
      if constexpr (requires { problem_.sums.begin(block, rows, to); }) {
        begun = problem_.sums.begin(block, rows, to);
      }
      for (std::size_t i = 0; i < depth_blocks; ++i) {
        const Range inputs = Depth::inputs(depth, rows.size, i, depth_blocks);
        if (depth_blocks > 1 || block == blocks.begin) {
          input = scratch.rows(problem_.rows, rows, inputs);
        }
        multiply(input, inputs, block, to, begun || i > 0,
                 ahead(chunk, rows, block, block + 1 == blocks.end(), next_rows));
      }
      if (in_place) continue;
      scratch.with_values(problem_.sums, block, [&](const auto& values) {
        const OutputBlock<Element> outputs{&y_(rows.begin, block * kBlockColumns), y_.row_stride()};
        const Origin& origin = problem_.origin;
        epilogue_.template finish<kRowsAtOnce>({origin.row + rows.begin, rows.size},
                                               origin.block + block, columns, to.first, values,
                                               outputs, [&] {
                                                 if (!kernel_fetches) next_rows.fetch_part();
                                               });
      });
    }
  }

  /// The sums of a chunk and a column block, of some inputs.
  void multiply(const StridedRows<typename K::Input>& input, const Range& inputs, std::size_t block,
                const SumBlock<Sum>& to, bool accumulate, const Ahead& ahead) const {
    typename P::Panels::Scratch panels;
    problem_.panels.template for_each_part<K>(
        block, schedule_.columns_of(block), inputs, input.rows, panels,
        [&](const auto& view, const Range& part) {
          K::multiply({input.first + part.begin, input.stride, input.rows, part.size}, view, to,
                      accumulate || part.begin > 0, ahead);
        });
  }

  /// What the task after this one makes its rows of, in as many parts as this one fetches.
  Prefetcher prefetcher(std::size_t next_chunk, std::size_t rows, std::size_t blocks) const {
    if constexpr (requires { problem_.rows.prefetcher(Range{}, rows); }) {
      if (next_chunk < schedule_.chunks.count) {
        const std::size_t in_kernel = K::fetches(problem_.rows.depth());
        return problem_.rows.prefetcher(
            schedule_.chunks.rows_of(next_chunk),
            blocks * (in_kernel != 0                    ? in_kernel
                      : weights_are_far(next_chunk - 1) ? ceil_div(rows, kRowsAtOnce)
                                                        : 1));
      }
    }
    return {};
  }

  /// Then they are what the vector kernel fetches, not the next task's rows.
  bool weights_are_far(std::size_t chunk) const {
    return chunk == 0 || problem_.panels.block_bytes() > Thresholds::near_bytes;
  }

  Ahead ahead(std::size_t chunk, const Range& rows, std::size_t block, bool last_block,
              Prefetcher& next_rows) const {
    const bool far = weights_are_far(chunk);
    const bool last_chunk = chunk + 1 == schedule_.chunks.count;
    return {.outputs = reinterpret_cast<const char*>(&y_(rows.begin, block * kBlockColumns)),
            .output_row_bytes = y_.row_stride() * sizeof(Element),
            .output_bytes = sizeof(Element),
            .columns = schedule_.columns_of(block),
            .weights_are_far = far,
            .next_weights_are_far = last_block ? last_chunk : far,
            .rows = &next_rows};
  }

  const P& problem_;  // of who makes the call
  EpilogueLoop<Arch, Stages, Observer, SinkT> epilogue_;
  MatrixView<Element> y_;
  Schedule schedule_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
