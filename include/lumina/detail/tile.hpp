// The microkernel: a tile of dot products, kept in registers over the whole depth. One template
// for every architecture; its sizes come from detail/arch/.
#pragma once

#include <array>
#include <cstddef>

#include "../config.hpp"
#include "../noise.hpp"
#include "pack.hpp"
#include "simd.hpp"
#include "unroll.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Memory that is needed soon. A tile fetches it on the way: for every four steps of k at three
/// addresses, `bytes` apart. None where `bytes` is 0.
struct Prefetch {
  const char* address;
  std::size_t bytes;

  /// `total` bytes from `begin` during `depth` steps.
  static Prefetch spread(const void* begin, std::size_t total, std::size_t depth) {
    return {static_cast<const char*>(begin), depth == 0 ? 0 : total * 4 / (3 * depth)};
  }
};

/// What a tile multiplies: rows of x with columns of one or several panels.
struct TileOperands {
  const float* x;
  std::size_t x_stride;
  std::size_t depth;
  const float* weights;
  std::size_t panel_size;  ///< from one panel to the next
  Prefetch next_weights;
};

/// Brings a cache line near, without a place in the first-level cache. (Always inlined: g++ takes
/// a function that only prefetches for one without effect and drops calls of it.)
[[gnu::always_inline]] inline void prefetch_to_second_level(const char* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);
#else
  static_cast<void>(address);
#endif
}

/// The same for `count` floats that will be written, into the first-level cache.
[[gnu::always_inline]] inline void prefetch_for_writing(const float* values, std::size_t count) {
#if defined(__GNUC__)
  constexpr std::size_t kLine = kCacheLine / sizeof(float);
  for (std::size_t i = 0; i < count; i += kLine) __builtin_prefetch(values + i, 1, 3);
#else
  static_cast<void>(values);
  static_cast<void>(count);
#endif
}

/// The same pointer, of which the compiler no longer knows how it was computed. Without this it
/// derives all row pointers from one and keeps their distances on the stack.
inline const float* unrelated(const float* pointer) {
#if defined(__GNUC__)
  asm("" : "+r"(pointer));
#endif
  return pointer;
}

/// A tile's sums lie in rows of this many floats.
inline constexpr std::size_t kTileStride = kNoisePanelColumns;

/// sums[row][column] = Σ x[row][k]·w[k][column], one chain over ascending k for each.
template <class Arch, std::size_t Rows, std::size_t Columns>
void multiply_tile(const TileOperands& operands, float* sums) {
  using Floats = typename Arch::template Batch<float>;
  constexpr std::size_t vectors = Columns / Floats::size;

  const std::size_t x_stride = operands.x_stride;
  const std::size_t panel_size = operands.panel_size;
  const float* weights = operands.weights;
  Prefetch next_weights = operands.next_weights;

  // A pointer for every three rows: p, p + stride and p + 2·stride are addresses that x86 forms
  // itself, so that all rows fit into the general registers.
  constexpr std::size_t groups = (Rows + 2) / 3;
  const float* x[groups];
  unroll<groups>([&](auto g) __attribute__((always_inline)) {
    x[g] = unrelated(operands.x + 3 * g * x_stride);
  });

  Floats chain[Rows][vectors];
  unroll<Rows * vectors>([&](auto i) __attribute__((always_inline)) {
    chain[i / vectors][i % vectors] = Floats(0.0f);
  });

  const auto step = [&](std::size_t k) __attribute__((always_inline)) {
    Floats w[vectors];
    unroll<vectors>([&](auto v) __attribute__((always_inline)) {
      constexpr std::size_t column = v * Floats::size;
      w[v] = Floats::load_aligned(weights + column / kPanelColumns * panel_size +
                                  k * kPanelColumns + column % kPanelColumns);
    });
    unroll<Rows>([&](auto row) __attribute__((always_inline)) {
      const Floats input(x[row / 3][row % 3 * x_stride + k]);
      unroll<vectors>([&](auto v) __attribute__((always_inline)) {
        chain[row][v] = chain_multiply_add(input, w[v], chain[row][v]);
      });
    });
  };
  const auto advance = [&](std::size_t steps) __attribute__((always_inline)) {
    unroll<groups>([&](auto g) __attribute__((always_inline)) { x[g] += steps; });
    weights += steps * kPanelColumns;
  };
  constexpr std::size_t kUnrolled = 4;
  std::size_t k = 0;
  for (; k + kUnrolled <= operands.depth; k += kUnrolled) {
    if (next_weights.bytes != 0) {
      unroll<3>([&](auto i) __attribute__((always_inline)) {
        prefetch_to_second_level(next_weights.address + i * next_weights.bytes);
      });
      next_weights.address += 3 * next_weights.bytes;
    }
    unroll<kUnrolled>([&](auto i) __attribute__((always_inline)) { step(i); });
    advance(kUnrolled);
  }
  for (; k < operands.depth; ++k) {
    step(0);
    advance(1);
  }

  unroll<Rows * vectors>([&](auto i) __attribute__((always_inline)) {
    chain[i / vectors][i % vectors].store_aligned(sums + i / vectors * kTileStride +
                                                  i % vectors * Floats::size);
  });
}

using TileKernel = void (*)(const TileOperands&, float* sums);

/// The most rows for which the architecture makes tiles at least this wide.
template <class Arch>
constexpr std::size_t most_rows_of_width(std::size_t columns) {
  std::size_t rows = 0;
  while (rows < Arch::max_tile_rows && Arch::tile_columns(rows + 1) >= columns) ++rows;
  return rows;
}

/// The kernel for `rows` × `columns`, where rows ≤ most_rows_of_width(columns) and columns is a
/// power of two down to the architecture's narrowest tile.
template <class Arch, std::size_t Columns = kNoisePanelColumns>
TileKernel tile_kernel(std::size_t rows, std::size_t columns) {
  constexpr std::size_t most_rows = most_rows_of_width<Arch>(Columns);
  if constexpr (most_rows > 0) {
    if (columns == Columns) {
      static constexpr auto table = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<TileKernel, most_rows>{&multiply_tile<Arch, I + 1, Columns>...};
      }
      (std::make_index_sequence<most_rows>{});
      return table[rows - 1];
    }
  }
  if constexpr (Columns > Arch::tile_columns(Arch::max_tile_rows)) {
    return tile_kernel<Arch, Columns / 2>(rows, columns);
  } else {
    return nullptr;
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
