// The microkernel: a tile of dot products, kept in registers over the whole depth. One template
// for every architecture and dot product (dot_product.hpp); its sizes come from
// detail/isa/.
#pragma once

#include <array>
#include <cstddef>
#include <type_traits>

#include "../../config.hpp"
#include "../base/prefetch.hpp"
#include "../base/unroll.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What a tile multiplies: rows of inputs with columns of one or several panels. A step takes one
/// row of a panel, 32 words side by side, and as many inputs as a word covers.
template <class Dot>
struct TileOperands {
  const typename Dot::Input* x;
  std::size_t x_stride;
  std::size_t steps;
  const typename Dot::Word* weights;
  std::size_t panel_size;  ///< words from one panel to the next
  bool continue_sums;      ///< add to the sums that are there
  std::size_t sums_stride;
  /// What it fetches, one after the other: outputs, then weights or rows; the end has no times.
  /// (In the caller's memory, for all registers are taken.)
  Prefetch* ahead;
};

/// The same pointer, of which the compiler no longer knows how it was computed. Without this it
/// derives all row pointers from one and keeps their distances on the stack.
template <class T>
const T* unrelated(const T* pointer) {
#if defined(__GNUC__)
  asm("" : "+r"(pointer));
#endif
  return pointer;
}

/// sums[row][column] = Σ x[row][k]·w[k][column], one chain over ascending k for each. (All loops
/// but those over the depth are written out by the compiler. As loops that is, and not by unroll():
/// of the hundred calls that it would be for each tile compilers make the same code in twice the
/// time.)
template <class Dot, std::size_t Rows, std::size_t Columns>
void multiply_tile(const TileOperands<Dot>& operands, typename Dot::Sum* sums) {
  using Sums = typename Dot::Sums;
  constexpr std::size_t vectors = Columns / Sums::size;

  const std::size_t x_stride = operands.x_stride, sums_stride = operands.sums_stride;
  // Few rows are of little work: of all that, weights are what they wait for.
  constexpr bool only_weights = Rows <= 3 * Dot::planes;
  Prefetch* ahead = operands.ahead;
  Prefetch next_weights = only_weights ? ahead[1] : Prefetch{};

  // A pointer for every three rows: p, p + stride and p + 2·stride are addresses that x86 forms
  // itself, so that all rows fit into the general registers.
  constexpr std::size_t groups = (Rows + 2) / 3;
  const typename Dot::Input* x[groups];
#pragma GCC unroll 16
  for (std::size_t g = 0; g < groups; ++g) x[g] = unrelated(operands.x + 3 * g * x_stride);
  // And one for every panel.
  constexpr std::size_t panels = (Columns + kPanelColumns - 1) / kPanelColumns;
  const typename Dot::Word* weights[panels];
#pragma GCC unroll 16
  for (std::size_t p = 0; p < panels; ++p) {
    weights[p] = unrelated(operands.weights + p * operands.panel_size);
  }

  Sums chain[Rows][vectors];
  if (operands.continue_sums) {
#pragma GCC unroll 16
    for (std::size_t row = 0; row < Rows; ++row) {
#pragma GCC unroll 16
      for (std::size_t v = 0; v < vectors; ++v) {
        chain[row][v] = Sums::load_unaligned(sums + row * sums_stride + v * Sums::size);
      }
    }
  } else {
#pragma GCC unroll 16
    for (std::size_t row = 0; row < Rows; ++row) {
#pragma GCC unroll 16
      for (std::size_t v = 0; v < vectors; ++v) chain[row][v] = Sums(typename Dot::Sum{0});
    }
  }

  const auto step = [&](std::size_t s) __attribute__((always_inline)) {
    typename Dot::Weights w[vectors];
    unroll<Dot::parts>([&](auto part) __attribute__((always_inline)) {
#pragma GCC unroll 16
      for (std::size_t v = 0; v < vectors; ++v) {
        if constexpr (part % Dot::planes == 0) {
          const std::size_t column = v * Sums::size;
          w[v] = Dot::template weights<part>(weights[column / kPanelColumns] + s * kPanelColumns +
                                             column % kPanelColumns);
        } else {
          // (clang up to 14 looks for the member where no plane is next, unless this depends on
          // it.)
          using DotOf = std::conditional_t<part != 0, Dot, void>;
          w[v] = DotOf::template weights_of_next_plane<part>(w[v]);
        }
      }
#pragma GCC unroll 16
      for (std::size_t row = part % Dot::planes; row < Rows; row += Dot::planes) {
        const auto input =
            Dot::template input<part>(x[row / 3] + row % 3 * x_stride + s * Dot::inputs_per_step);
#pragma GCC unroll 16
        for (std::size_t v = 0; v < vectors; ++v) {
          chain[row][v] = Dot::multiply_add(input, w[v], chain[row][v]);
        }
        Dot::Arch::keep_order();
      }
    });
  };
  const auto advance = [&](std::size_t steps) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (std::size_t g = 0; g < groups; ++g) x[g] += steps * Dot::inputs_per_step;
#pragma GCC unroll 16
    for (std::size_t p = 0; p < panels; ++p) weights[p] += steps * kPanelColumns;
  };
  std::size_t s = 0;
  for (; s + Dot::steps_in_round <= operands.steps; s += Dot::steps_in_round) {
    if constexpr (only_weights) {
      if (next_weights.times != 0) next_weights.fetch_hints();
    } else {
      if (ahead->times != 0) ahead = ahead->fetch_round();
    }
#pragma GCC unroll 4
    for (std::size_t i = 0; i < Dot::steps_in_round; ++i) step(i);
    advance(Dot::steps_in_round);
  }
  for (; s < operands.steps; ++s) {
    step(0);
    advance(1);
  }

#pragma GCC unroll 16
  for (std::size_t row = 0; row < Rows; ++row) {
#pragma GCC unroll 16
    for (std::size_t v = 0; v < vectors; ++v) {
      chain[row][v].store_unaligned(sums + row * sums_stride + v * Sums::size);
    }
  }
}

template <class Dot>
using TileKernel = void (*)(const TileOperands<Dot>&, typename Dot::Sum* sums);

/// The kernel for `rows` × `columns`, where rows ≤ blocks.max_rows_of_width(columns) are a multiple
/// of planes and columns is a power of two down to the architecture's narrowest tile.
template <class Dot, std::size_t Columns = kBlockColumns>
TileKernel<Dot> tile_kernel(std::size_t rows, std::size_t columns) {
  constexpr Blocks blocks = Dot::blocks;
  constexpr std::size_t max_rows = blocks.max_rows_of_width(Columns);
  if constexpr (max_rows > 0) {
    if (columns == Columns) {
      static constexpr auto table = []<std::size_t... I>(std::index_sequence<I...>) {
        return std::array<TileKernel<Dot>, sizeof...(I)>{
            &multiply_tile<Dot, (I + 1) * Dot::planes, Columns>...};
      }
      (std::make_index_sequence<max_rows / Dot::planes>{});
      return table[rows / Dot::planes - 1];
    }
  }
  if constexpr (Columns > blocks.tile_columns(blocks.max_tile_rows())) {
    return tile_kernel<Dot, Columns / 2>(rows, columns);
  } else {
    return nullptr;
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
