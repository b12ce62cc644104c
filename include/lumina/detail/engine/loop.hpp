// The loops over blocks of a fused call; no instructions of any particular machine.
//
// A task is a chunk of rows × a group of noise panels of 128 columns each. Its dot products are
// made tile by tile and wait on the stack, close to the core, until the chunk's epilogue takes them
// row by row: noise, quantization, and the one store to y.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "../../config.hpp"
#include "../../executor.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../base/message.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../epilogue/loop.hpp"
#include "../epilogue/sinks.hpp"
#include "../kernels/microkernel.hpp"
#include "../kernels/unpacked_microkernel.hpp"
#include "../packing/float_panels.hpp"
#include "../packing/unpacked_weights.hpp"
#include "operands.hpp"
#include "schedule.hpp"
#include "scratch.hpp"
#include "tiled_driver.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// One call: its operands, and the numbering of its tasks. `Operands`, see operands.hpp.
template <class Arch, class Operands, class Output>
class FusedGemm {
 public:
  using Products = typename Operands::Products;
  using Element = typename Output::Element;

  /// `threads`: how many may run tasks.
  FusedGemm(const Operands& operands, const Output& output, MatrixView<Element> y,
            const NoiseKey& key, std::size_t threads)
      : operands_(operands),
        finisher_(output, y, key),
        y_(y),
        tiles_(ceil_div(y.rows(), Blocks::max_tile_rows)),
        grid_(grid(threads)) {}

  std::size_t tasks() const { return grid_.tasks(); }

  void run(std::size_t task) const {
    with_task_arrays<Operands>(y_.rows(), operands_.depth(),
                               [this, task](const Arrays& arrays) { run(task, arrays); });
  }
  /// In memory that begins at a cache line and has Arrays::bytes().
  void run(std::size_t task, std::byte* memory) const {
    run(task, Arrays(memory, Arrays::Layout::of_call(y_.rows(), operands_.depth())));
  }

 private:
  using Arrays = TaskArrays<Operands>;
  using Blocks = typename Products::Blocks;

  void run(std::size_t task, const Arrays& arrays) const {
    const std::size_t chunk = grid_.chunk(task);
    const Range tiles = split_evenly(tiles_, grid_.chunks, chunk);
    const Range rows = rows_of_chunk(chunk);
    const std::size_t blocks = operands_.depth_blocks(rows.size);
    const Range panels = grid_.panels_of(task);

    typename Products::Sum* const sums = arrays.sums();
    InputRows<typename Products::Input> input{};
    Prefetcher upcoming;
    if (Operands::kPrepares && chunk + 1 < grid_.chunks) {
      upcoming = operands_.upcoming(rows_of_chunk(chunk + 1),
                                    panels.size * ceil_div(rows.size, kRowsAtOnce));
    }
    for (std::size_t panel = panels.begin; panel < panels.end(); ++panel) {
      Destination to{sums, kSumStride};
      bool in_place = false;
      if constexpr (kSumsAreOutputs) {
        in_place = columns_of(panel) % kPanelColumns == 0;
        if (in_place) to = {&y_(rows.begin, panel * kBlockColumns), y_.row_stride()};
      }
      bool begun = false;
      if constexpr (requires { operands_.begin_sums(panel, rows.size, sums); }) {
        begun = operands_.begin_sums(panel, rows.size, sums);
      }
      for (std::size_t block = 0; block < blocks; ++block) {
        if (blocks > 1 || panel == panels.begin) {
          input = operands_.input(arrays.rows(), rows, block, blocks);
        }
        multiply({chunk, tiles, rows, panel, panel + 1 == panels.end(), block, begun || block > 0},
                 input, to);
      }
      if (in_place) continue;
      arrays.with_values(operands_, panel, [&](const auto& values) {
        finisher_.template finish_chunk<kRowsAtOnce>(rows, panel, columns_of(panel), sums, values,
                                                     [&] { upcoming.fetch_part(); });
      });
    }
  }

  static constexpr std::size_t kRowsAtOnce = Arch::epilogue_rows;
  /// Then whole panels need no epilogue: tiles write their sums to y.
  static constexpr bool kSumsAreOutputs =
      Output::kAsTheyAre && std::is_same_v<typename Operands::Values, SumsAsTheyAre<Arch>>;

  /// Where sums go, in rows `stride` apart.
  struct Destination {
    typename Products::Sum* sums;
    std::size_t stride;
  };

  std::size_t columns_of(std::size_t panel) const {
    return std::min(kBlockColumns, y_.cols() - panel * kBlockColumns);
  }

  TaskGrid grid(std::size_t threads) const {
    const std::size_t chunks =
        ceil_div(tiles_, Operands::chunk_tiles(operands_.depth(), Blocks::max_tile_rows));
    const std::size_t panels = ceil_div(y_.cols(), kBlockColumns);
    return Operands::kPrepares ? TaskGrid::of_groups(chunks, panels, panel_bytes(), threads)
                               : TaskGrid::of_panels(chunks, panels);
  }

  std::size_t panel_bytes() const {
    return operands_.panel_size() * (kBlockColumns / kPanelColumns) *
           sizeof(typename Products::Word);
  }

  Range rows_of_tile(std::size_t tile) const {
    return split_into_even_sizes(y_.rows(), tiles_, tile);
  }
  Range rows_of_chunk(std::size_t chunk) const {
    const Range tiles = split_evenly(tiles_, grid_.chunks, chunk);
    const std::size_t begin = rows_of_tile(tiles.begin).begin;
    return {begin, rows_of_tile(tiles.end() - 1).end() - begin};
  }

  using Word = typename Products::Word;
  using Input = typename Products::Input;

  /// Which sums multiply() makes.
  struct Part {
    std::size_t chunk;
    Range tiles, rows;
    std::size_t panel;
    bool last_of_group;
    std::size_t block;  ///< of the depth
    bool continues;     ///< add to the sums that are there
  };

  /// Weights of some columns of a noise panel.
  struct PartWeights {
    Range columns;  ///< whole panels
    const Word* first;
    std::size_t panel_size;
    bool in_call;  ///< of the whole call: others lie behind them
  };

  /// The dot products of a chunk and a panel.
  void multiply(const Part& part, const InputRows<Input>& input, const Destination& to) const {
    const Range columns{0, panel_count(columns_of(part.panel)) * kPanelColumns};
    if constexpr (Operands::kPacks) {
      pack_and_multiply(part, columns, input, to);
    } else {
      const std::size_t first_panel = part.panel * (kBlockColumns / kPanelColumns);
      const Word* const weights =
          operands_.weights(first_panel, operands_.block_begin(part.rows.size, part.block));
      multiply_tiles(part, {columns, weights, operands_.panel_size(), true}, input, to,
                     part.continues);
    }
  }

  /// The same with weights that are packed on the way: as many columns at a time as a tile has, and
  /// as many inputs as the workspace holds.
  void pack_and_multiply(const Part& part, const Range& columns, const InputRows<Input>& input,
                         const Destination& to) const {
    typename UnpackedWeights::Workspace workspace;
    const std::size_t first_input = operands_.block_begin(part.rows.size, part.block);
    const std::size_t widest =
        std::max(kPanelColumns, Blocks::tile_columns(rows_of_tile(part.tiles.begin).size));
    for (std::size_t column = 0; column < columns.size; column += widest) {
      const Range now{column, std::min(widest, columns.size - column)};
      const std::size_t most = UnpackedWeights::piece_inputs(now.size);
      std::size_t k = 0;
      if constexpr (Arch::unpacked_rows > 0) k = multiply_raw(part, now, first_input, input, to);
      for (; k == 0 || k < input.steps; k += most) {
        const std::size_t steps = std::min(most, input.steps - k);
        operands_.unpacked_weights().pack({part.panel * kBlockColumns + now.begin, now.size},
                                          {first_input + k, steps}, workspace);
        multiply_tiles(part, {now, workspace.panels, steps * kPanelColumns, false},
                       {input.first + k, input.stride, steps}, to, part.continues || k > 0);
      }
    }
  }

  /// Few rows take most inputs of whole panels as they lie in w; the result: how many inputs.
  std::size_t multiply_raw(const Part& part, const Range& columns, std::size_t first_input,
                           const InputRows<Input>& input, const Destination& to) const {
    const std::size_t first = part.panel * kBlockColumns + columns.begin;
    const bool whole = first + columns.size <= y_.cols();
    if (part.rows.size > Arch::unpacked_rows || !whole) return 0;
    const std::size_t steps = input.steps / kUnpackedInputs * kUnpackedInputs;
    for (std::size_t column = 0; column < columns.size; column += kPanelColumns) {
      const UnpackedOperands operands{
          .x = input.first,
          .x_stride = input.stride,
          .steps = steps,
          .w = operands_.unpacked_weights().inputs(first + column, first_input),
          .w_stride = operands_.unpacked_weights().row_stride(),
          .continue_sums = part.continues,
          .sums_stride = to.stride};
      unpacked_kernel<Arch>(part.rows.size)(operands, to.sums + columns.begin + column);
    }
    return steps;
  }

  /// While a tile computes, it brings the weights that the next tiles read first into the
  /// second-level cache, and before it the lines of y that its results will fill: left to
  /// themselves they would come too late.
  void multiply_tiles(const Part& part, const PartWeights& weights, const InputRows<Input>& input,
                      const Destination& to, bool continue_sums) const {
    const Range& tiles = part.tiles;
    const std::size_t columns = columns_of(part.panel);
    const std::size_t widest = Blocks::tile_columns(rows_of_tile(tiles.begin).size);
    const bool panels_stay_near = panel_bytes() <= kNearBytes;

    for (std::size_t column = weights.columns.begin; column < weights.columns.end();) {
      std::size_t width = widest;
      while (column + width > weights.columns.end()) width /= 2;
      const std::size_t in_weights = column - weights.columns.begin;
      const Word* const first = weights.first + in_weights / kPanelColumns * weights.panel_size +
                                in_weights % kPanelColumns;
      const bool last = part.last_of_group && column + width >= weights.columns.end();
      const bool next_is_far = weights.in_call && (last ? part.chunk + 1 == grid_.chunks
                                                        : part.chunk == 0 || !panels_stay_near);
      const std::size_t share = next_is_far ? width * input.steps / tiles.size : 0;
      for (std::size_t tile = 0; tile < tiles.size; ++tile) {
        const Range rows = rows_of_tile(tiles.begin + tile);
        for (std::size_t row = rows.begin; row < rows.end(); ++row) {
          prefetch_for_writing(y_.row(row) + part.panel * kBlockColumns + column,
                               std::min(width, columns - std::min(columns, column)));
        }
        const std::size_t in_chunk = rows.begin - part.rows.begin;
        const TileOperands<Products> operands{
            .x = input.first + in_chunk * input.stride,
            .x_stride = input.stride,
            .steps = input.steps,
            .weights = first,
            .panel_size = weights.panel_size,
            .continue_sums = continue_sums,
            .sums_stride = to.stride,
            .next_weights =
                Prefetch::spread(first + tiles.size * share + tile * share, share * sizeof(Word),
                                 input.steps / Products::steps_in_round)};
        tile_kernel<Products>(rows.size, width)(operands, to.sums + in_chunk * to.stride + column);
      }
      column += width;
    }
  }

  Operands operands_;
  Finisher<Arch, Output> finisher_;
  MatrixView<Element> y_;
  std::size_t tiles_;
  TaskGrid grid_;
};

/// How many threads an executor has; where it does not say, perhaps many.
template <class Executor>
std::size_t threads_of(const Executor& executor) {
  if constexpr (std::is_same_v<Executor, Serial>) {
    return 1;
  } else if constexpr (requires { static_cast<std::size_t>(executor.usable_threads()); }) {
    return static_cast<std::size_t>(executor.usable_threads());
  } else if constexpr (requires { static_cast<std::size_t>(executor.threads); }) {
    return executor.threads < 1 ? 1 : static_cast<std::size_t>(executor.threads);
  } else {
    return 16;
  }
}

/// All tasks of a call, by the executor where they are worth it.
template <class Call, class Operands, class Output, class T, class Executor>
void run_tasks(const Operands& operands, const Output& output, MatrixView<T> y, const NoiseKey& key,
               const Executor& executor) {
  const double work = static_cast<double>(y.rows()) * static_cast<double>(y.cols()) *
                      static_cast<double>(operands.depth());
  const bool alone = work < Operands::kWorthThreads;
  const Call call(operands, output, y, key, alone ? 1 : threads_of(executor));
  const auto body = [&call](std::size_t task) { call.run(task); };
  if (alone) {
    Serial()(call.tasks(), body);
  } else {
    executor(call.tasks(), body);
  }
}

/// Reports a workspace that a call cannot use. x is [y.rows(), depth].
template <class Operands, class T>
bool workspace_valid(std::span<std::byte> workspace, std::size_t depth, MatrixView<T> y) {
  const auto calls_message = [&] {
    return Message() << "lumina::fused_gemm: x is " << Shape{y.rows(), depth} << ", y is "
                     << Shape{y.rows(), y.cols()} << "; ";
  };
  const std::size_t needed = TaskArrays<Operands>::bytes(y.rows(), depth);
  if (workspace.size() < needed) {
    report_error((calls_message() << "the workspace has " << workspace.size()
                                  << " bytes, the call needs " << needed)
                     .c_str());
    return false;
  }
  if (reinterpret_cast<std::uintptr_t>(workspace.data()) % kCacheLine != 0) {
    report_error(
        (calls_message() << "the workspace must begin at a multiple of " << kCacheLine << " bytes")
            .c_str());
    return false;
  }
  return true;
}

/// All tasks of a call, one after the other in a workspace of the caller's; whether it can hold
/// them.
template <class Call, class Operands, class Output, class T>
bool run_tasks_in(std::span<std::byte> workspace, const Operands& operands, const Output& output,
                  MatrixView<T> y, const NoiseKey& key) {
  if (!workspace_valid<Operands>(workspace, operands.depth(), y)) return false;
  const Call call(operands, output, y, key, 1);
  Serial()(call.tasks(), [&](std::size_t task) { call.run(task, workspace.data()); });
  return true;
}

/// Rows of x below which reading the weights takes so long that a matrix unit does not help.
inline constexpr std::size_t kMinMatrixUnitRows = 4;

/// Whether the call has run; otherwise an error was reported and nothing is written.
template <class Arch, class Operands, class T, class EpilogueT, class Executor>
bool run_fused_gemm(const Operands& operands, MatrixView<T> y, const EpilogueT& epilogue,
                    const NoiseKey& key, const Executor& executor) {
  if (y.rows() == 0 || y.cols() == 0) return true;
  const auto output = make_output<Arch, T>(epilogue);
  using Output = std::decay_t<decltype(output)>;
  using Call = FusedGemm<Arch, Operands, Output>;
  if constexpr (BringsWorkspace<Executor>) {
    return run_tasks_in<Call>(executor.workspace(), operands, output, y, key);
  } else if constexpr (requires {
                         typename Operands::Tiled;
                         typename Arch::MatrixUnit;
                       }) {
    if (y.rows() >= kMinMatrixUnitRows && Arch::matrix_unit_active()) {
      run_tasks<TiledGemm<Arch, typename Arch::MatrixUnit, Operands, Output>>(operands, output, y,
                                                                              key, executor);
      return true;
    }
  }
  run_tasks<Call>(operands, output, y, key, executor);
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
