// Where a task of a fused call has its arrays: the rows that it prepares, its sums, and what makes
// outputs of them. On the stack, or in a workspace of the caller's.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <new>
#include <span>

#include "../config.hpp"
#include "../matrix.hpp"
#include "pieces.hpp"
#include "tile.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <class Operands>
class ArraysOnStack {
 public:
  using Products = typename Operands::Products;
  using Blocks = typename Products::Blocks;

  auto* rows() { return rows_.elements; }
  typename Products::Sum* sums() { return sums_; }
  /// f(the values of a noise panel).
  template <class F>
  [[gnu::always_inline]] void with_values(const Operands& operands, std::size_t panel, F f) {
    const typename Operands::Values values = operands.values(panel);
    f(values);
  }

 private:
  typename Operands::Workspace rows_;
  alignas(kCacheLine)
      typename Products::Sum sums_[Blocks::chunk_tiles * Blocks::max_tile_rows * kTileStride];
};

/// The same in memory that begins at a cache line: as much of it as the call's largest task needs.
template <class Operands>
class ArraysInWorkspace {
 public:
  using Products = typename Operands::Products;
  using Values = typename Operands::Values;
  using Sum = typename Products::Sum;

  /// For a call with `batch` rows of `depth` inputs.
  static constexpr std::size_t bytes(std::size_t batch, std::size_t depth) {
    return batch == 0 ? 0 : Layout(batch, depth).end;
  }

  ArraysInWorkspace(std::byte* memory, std::size_t batch, std::size_t depth)
      : memory_(memory), layout_(batch, depth) {}

  auto* rows() { return reinterpret_cast<typename Products::Input*>(memory_); }
  Sum* sums() { return reinterpret_cast<Sum*>(memory_ + layout_.sums); }
  template <class F>
  void with_values(const Operands& operands, std::size_t panel, F f) {
    f(*::new (memory_ + layout_.values) Values(operands.values(panel)));
  }

 private:
  /// Where the sums, then the values begin, and all of it ends.
  struct Layout {
    std::size_t sums, values, end;

    constexpr Layout(std::size_t batch, std::size_t depth) {
      constexpr std::size_t kMostTileRows = Products::Blocks::max_tile_rows;
      const std::size_t tiles = divide_rounding_up(batch, kMostTileRows);
      const std::size_t chunks =
          divide_rounding_up(tiles, Operands::chunk_tiles(depth, kMostTileRows));
      const std::size_t tile_rows = even_sized_piece(batch, tiles, 0).size;
      const std::size_t rows = std::min(batch, divide_rounding_up(tiles, chunks) * tile_rows);
      sums = round_up(Operands::Workspace::bytes(depth, rows), kCacheLine);
      values = sums + round_up(rows * kTileStride * sizeof(Sum), kCacheLine);
      end = values + round_up(sizeof(Values), kCacheLine);
    }
  };

  std::byte* memory_;
  Layout layout_;
};

/// An executor that brings a workspace for the tasks' arrays, SerialIn.
template <class Executor>
concept BringsWorkspace = requires(const Executor& executor) {
  { executor.workspace() } -> std::same_as<std::span<std::byte>>;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
