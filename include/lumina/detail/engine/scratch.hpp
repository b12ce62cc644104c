// The arrays of a task of a fused call: the rows that it prepares, its sums, and what makes outputs
// of them. They lie in memory of the task's (task_memory.hpp), or in a workspace of the caller's.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <new>
#include <span>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../kernels/microkernel.hpp"
#include "scratch_memory.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// In memory that begins at a cache line and is as large as the layout says.
template <class Operands>
class TaskArrays {
 public:
  using Products = typename Operands::Products;
  using Blocks = typename Products::Blocks;
  using Values = typename Operands::Values;
  using Input = typename Products::Input;
  using Sum = typename Products::Sum;

  /// Where the sums, then the values begin, and all of it ends.
  struct Layout {
    std::size_t sums, values, end;

    /// For `rows` rows that are made in `row_bytes`.
    constexpr Layout(std::size_t row_bytes, std::size_t rows)
        : sums(round_up(row_bytes, kCacheLine)),
          values(sums + round_up(rows * kSumStride * sizeof(Sum), kCacheLine)),
          end(values + round_up(sizeof(Values), kCacheLine)) {}

    /// For the largest task of a call with `batch` rows of `depth` inputs.
    static constexpr Layout of_call(std::size_t batch, std::size_t depth) {
      const std::size_t tiles = ceil_div(batch, Blocks::max_tile_rows);
      const std::size_t chunks =
          ceil_div(tiles, Operands::chunk_tiles(depth, Blocks::max_tile_rows));
      const std::size_t tile_rows = split_into_even_sizes(batch, tiles, 0).size;
      const std::size_t rows = std::min(batch, ceil_div(tiles, chunks) * tile_rows);
      return {Operands::Workspace::bytes(depth, rows), rows};
    }
  };

  /// The most rows of a task.
  static constexpr std::size_t kMaxRows = Blocks::chunk_tiles * Blocks::max_tile_rows;
  /// The layout of any task.
  static constexpr Layout kLargest{sizeof(typename Operands::Workspace), kMaxRows};

  static constexpr std::size_t bytes(std::size_t batch, std::size_t depth) {
    return batch == 0 ? 0 : Layout::of_call(batch, depth).end;
  }

  TaskArrays(std::byte* memory, const Layout& layout)
      : rows_(reinterpret_cast<Input*>(memory)),
        sums_(reinterpret_cast<Sum*>(memory + layout.sums)),
        values_(memory + layout.values) {}

  Input* rows() const { return rows_; }
  Sum* sums() const { return sums_; }
  /// f(the values of a noise panel).
  template <class F>
  [[gnu::always_inline]] void with_values(const Operands& operands, std::size_t panel, F f) const {
    f(*::new (values_) Values(operands.values(panel)));
  }

 private:
  Input* rows_;
  Sum* sums_;
  std::byte* values_;
};

/// f(the arrays of a task of a call with `batch` rows of `depth` inputs).
template <class Operands, class F>
void with_task_arrays(std::size_t batch, std::size_t depth, const F& f) {
  using Arrays = TaskArrays<Operands>;
  using Layout = typename Arrays::Layout;
  constexpr Layout kLargest = Arrays::kLargest;
  if constexpr (kLargest.end <= kMaxStackBytes) {
    with_stack_memory<kLargest.end>([&](std::byte* memory) { f(Arrays(memory, kLargest)); });
  } else {
    // All rows of a chunk, or as many as there are: what fits beside the sums, without a division.
    constexpr std::size_t kRowBytes = kMaxStackBytes - (kLargest.end - kLargest.sums) - kCacheLine;
    constexpr Layout kSmall{kRowBytes, Arrays::kMaxRows};
    static_assert(kSmall.end <= kMaxStackBytes);
    const std::size_t row_size =
        round_up(depth, Operands::Workspace::kMultiple) * sizeof(typename Arrays::Input);
    if (std::min(batch, Arrays::kMaxRows) * row_size <= kRowBytes) {
      with_stack_memory<kSmall.end>([&](std::byte* memory) { f(Arrays(memory, kSmall)); });
    } else {
      const Layout layout = Layout::of_call(batch, depth);
      with_task_memory<kLargest.end>(layout.end,
                                     [&](std::byte* memory) { f(Arrays(memory, layout)); });
    }
  }
}

/// An executor that brings a workspace for the tasks' arrays, SerialIn.
template <class Executor>
concept BringsWorkspace = requires(const Executor& executor) {
  { executor.workspace() } -> std::same_as<std::span<std::byte>>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
