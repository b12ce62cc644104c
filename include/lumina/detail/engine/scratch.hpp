// The scratch of a task: the rows that it makes, its sums, and what makes floats of them. It lies
// in memory of the task's (scratch_memory.hpp), or in a workspace of the caller's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <new>
#include <utility>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../rows/row_source.hpp"
#include "schedule.hpp"
#include "scratch_memory.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// How the rows of a chunk are cut along their depth, so that those that are made fit into `Bytes`
/// at once. Rows that are read in place are whole.
template <RowSource Rows, std::size_t Bytes>
struct DepthBlocks {
  using Element = typename Rows::Element;
  static constexpr bool kMade = !InPlaceRows<Rows>;
  static constexpr std::size_t kMultiple = Rows::row_multiple;
  static constexpr std::size_t kInputs = Bytes / sizeof(Element) / Rows::elements_per_input;

  /// As many tiles of rows in a chunk as fit with all of their inputs, so that they are made once
  /// for all column blocks of a task; at least one, and `most` at most.
  static constexpr std::size_t chunk_tiles(std::size_t depth, std::size_t tile_rows,
                                           std::size_t most) {
    if (!kMade) return most;
    const std::size_t row = round_up(std::max<std::size_t>(depth, 1), kMultiple);
    return std::clamp<std::size_t>(kInputs / row / tile_rows, 1, most);
  }
  /// The most inputs of a block of `rows` rows.
  static constexpr std::size_t block_inputs(std::size_t rows) {
    return kInputs / rows / kMultiple * kMultiple;
  }
  static constexpr std::size_t count(std::size_t depth, std::size_t rows) {
    return kMade ? std::max<std::size_t>(1, ceil_div(depth, block_inputs(rows))) : 1;
  }
  /// The inputs of block number `index` of `count`.
  static constexpr Range inputs(std::size_t depth, std::size_t rows, std::size_t index,
                                std::size_t count) {
    if (count == 1) return {0, depth};
    const std::size_t begin = index * block_inputs(rows);
    return {begin, std::min(block_inputs(rows), depth - begin)};
  }
  /// What chunks of at most so many rows take. Where those are cut, fewer rows, whose blocks are
  /// longer, may take more: up to all bytes.
  static constexpr std::size_t bytes(std::size_t depth, std::size_t rows) {
    if (!kMade) return 0;
    const std::size_t row = round_up(depth, kMultiple);
    if (row > block_inputs(rows)) return Bytes;
    return rows * row * Rows::elements_per_input * sizeof(Element);
  }
};

/// What is known of each row that a source makes: its Number, or nothing.
template <class Rows>
struct NumberOf {
  struct type {};
  static constexpr std::size_t bytes = 0;
};
template <class Rows>
requires requires { typename Rows::Number; }
struct NumberOf<Rows> {
  using type = typename Rows::Number;
  static constexpr std::size_t bytes = sizeof(type);
};

/// What makes floats of the sums of a column block. `numbers`: of the rows whose sums begin there.
template <class Sums, class Number, class Sum>
auto values_of(const Sums& sums, std::size_t block, [[maybe_unused]] const Number* numbers,
               [[maybe_unused]] const Sum* first) {
  if constexpr (requires { sums.values(block, numbers, first); }) {
    return sums.values(block, numbers, first);
  } else {
    return sums.values(block);
  }
}

/// In memory that begins at a cache line and is as large as the layout says. `P`: a Problem, which
/// K multiplies.
template <class K, class P>
class Scratch {
 public:
  using Rows = typename P::Rows;
  using Element = typename Rows::Element;
  using Sum = typename K::Sum;
  using Number = typename NumberOf<Rows>::type;
  using Values =
      decltype(values_of(std::declval<const typename P::Sums&>(), std::size_t{},
                         static_cast<const Number*>(nullptr), static_cast<const Sum*>(nullptr)));
  /// The most rows of a task.
  static constexpr std::size_t kMaxRows = K::blocks.max_chunk_rows();

 private:
  static constexpr std::size_t kRowBytes =
      std::max(K::Arch::row_scratch_bytes, K::blocks.max_tile_rows() * Rows::row_multiple *
                                               Rows::elements_per_input * sizeof(Element));

 public:
  using Depth = DepthBlocks<Rows, kRowBytes>;

  static constexpr Chunks chunks(std::size_t batch, std::size_t depth) {
    constexpr std::size_t kTileRows = K::blocks.max_tile_rows();
    return Chunks::of(batch, kTileRows,
                      Depth::chunk_tiles(depth, kTileRows, K::blocks.chunk_tiles));
  }

  /// Where the sums, the values, what is known of rows begin, and all of it ends.
  struct Layout {
    std::size_t sums, values, numbers, end;

    /// For `rows` rows that are made in `row_bytes`.
    constexpr Layout(std::size_t row_bytes, std::size_t rows)
        : sums(round_up(row_bytes, kCacheLine)),
          values(sums + round_up(rows * kBlockColumns * sizeof(Sum), kCacheLine)),
          numbers(values + round_up(sizeof(Values), kCacheLine)),
          end(numbers + round_up(rows * NumberOf<Rows>::bytes, kCacheLine)) {}

    /// For the largest task of a call with `batch` rows of `depth` inputs.
    static constexpr Layout of_call(std::size_t batch, std::size_t depth) {
      const std::size_t rows = chunks(batch, depth).most_rows();
      return {Depth::bytes(depth, rows), rows};
    }
  };
  /// The layout of any task.
  static constexpr Layout kLargest{Depth::kMade ? kRowBytes : 0, kMaxRows};

  static constexpr std::size_t bytes(std::size_t batch, std::size_t depth) {
    return batch == 0 ? 0 : Layout::of_call(batch, depth).end;
  }

  Scratch(std::byte* memory, const Layout& layout)
      : rows_(reinterpret_cast<Element*>(memory)),
        sums_(reinterpret_cast<Sum*>(memory + layout.sums)),
        values_(memory + layout.values),
        numbers_(reinterpret_cast<Number*>(memory + layout.numbers)) {}

  /// Rows of the source, in place or made here.
  StridedRows<Element> rows(const Rows& source, const Range& rows, const Range& inputs) const {
    if constexpr (Depth::kMade) {
      const std::size_t stride = round_up(inputs.size, Rows::row_multiple);
      if constexpr (NumberOf<Rows>::bytes != 0) {
        source.read(rows, inputs, rows_, stride, numbers_);
      } else {
        source.read(rows, inputs, rows_, stride);
      }
      return {rows_, stride, rows.size, inputs.size};
    } else {
      return source.in_place(rows);
    }
  }
  Sum* sums() const { return sums_; }
  /// f(the values of a column block).
  template <class F>
  [[gnu::always_inline]] void with_values(const typename P::Sums& sums, std::size_t block,
                                          F f) const {
    f(*::new (values_) Values(values_of(sums, block, static_cast<const Number*>(numbers_),
                                        static_cast<const Sum*>(sums_))));
  }

 private:
  Element* rows_;
  Sum* sums_;
  std::byte* values_;
  Number* numbers_;
};

/// f(the scratch of a task of a call with `batch` rows of `depth` inputs).
template <class ScratchT, class F>
void with_scratch(std::size_t batch, std::size_t depth, const F& f) {
  using Layout = typename ScratchT::Layout;
  using Rows = typename ScratchT::Rows;
  constexpr Layout kLargest = ScratchT::kLargest;
  if constexpr (kLargest.end <= kMaxStackBytes) {
    with_stack_memory<kLargest.end>([&](std::byte* memory) { f(ScratchT(memory, kLargest)); });
  } else {
    // All rows of a chunk, or as many as there are: what fits beside the sums, without a division.
    constexpr std::size_t kRowBytes = kMaxStackBytes - (kLargest.end - kLargest.sums) - kCacheLine;
    constexpr Layout kSmall{kRowBytes, ScratchT::kMaxRows};
    static_assert(kSmall.end <= kMaxStackBytes);
    const std::size_t row_size = round_up(depth, Rows::row_multiple) * Rows::elements_per_input *
                                 sizeof(typename ScratchT::Element);
    if (std::min(batch, ScratchT::kMaxRows) * row_size <= kRowBytes) {
      with_stack_memory<kSmall.end>([&](std::byte* memory) { f(ScratchT(memory, kSmall)); });
    } else {
      const Layout layout = Layout::of_call(batch, depth);
      with_task_memory<kLargest.end>(layout.end,
                                     [&](std::byte* memory) { f(ScratchT(memory, layout)); });
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
