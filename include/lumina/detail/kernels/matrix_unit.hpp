// The kernel for matrix units, whose registers are tiles: AMX, or an emulated unit that tests put
// in its place.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../isa/blocks.hpp"
#include "../isa/tile_config.hpp"
#include "../layout/float_panels.hpp"
#include "unit_dot.hpp"
#include "views.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// configure(config), release()      before and after, on every thread
/// fence()                           what has been written is in memory
/// zero<T>(), load<T>(from, stride), store<T>(to, stride)
///                                   tile T; its rows lie `stride` bytes apart in memory
/// load_once<T>(from, stride)        the same for what is not needed again soon
/// dot<C, A, B>()                    C(m, n) += Σ A(m, 4g + i)·B(g, 4n + i): A unsigned bytes, B
///                                   signed ones, C 32-bit sums
/// dot_bf16<C, A, B>()               C(m, n) += Σ A(m, 2g + i)·B(g, 2n + i): A and B bf16
///                                   (simd/bf16.hpp), C floats
template <class U>
concept MatrixUnit = requires(const TileConfig& config, const void* from, void* to,
                              std::size_t stride) {
  U::configure(config);
  U::release();
  U::fence();
  U::template zero<0>();
  U::template load<0>(from, stride);
  U::template load_once<0>(from, stride);
  U::template store<0>(to, stride);
  U::template dot<0, 4, 6>();
  U::template dot_bf16<0, 4, 6>();
};

/// sums[row][column] (+)= Σ x·w of up to 32 rows and one panel. `Dot`: CodesOnUnit or Bf16OnUnit;
/// RowTiles: tiles of rows, 1 or 2. The unit works by itself, so after giving it each step's work
/// between() may do something else for as long as that takes.
template <class Dot, class Unit, int RowTiles, class Between>
void multiply_in_tiles(const UnitRows& x, const std::int32_t* panel,
                       const SumBlock<typename Dot::Sum>& to, bool accumulate, Between&& between) {
  using Sum = typename Dot::Sum;
  const std::size_t sum_row_bytes = to.stride * sizeof(Sum);
  constexpr std::size_t kPanelRowBytes = kPanelColumns * sizeof(std::int32_t);
  const auto for_sums = [&](auto f) __attribute__((always_inline)) {
    unroll<2 * RowTiles>([&](auto i) __attribute__((always_inline)) {
      f(i, to.first + i / 2 * kUnitTileRows * to.stride + i % 2 * kUnitTileRows);
    });
  };

  typename Dot::Weights weights(panel);
  if (x.steps > 0) weights.prepare(0);
  Unit::fence();
  if (accumulate) {
    for_sums([&](auto i, const Sum* at)
                 __attribute__((always_inline)) { Unit::template load<i>(at, sum_row_bytes); });
  } else {
    for_sums([](auto i, const Sum*) __attribute__((always_inline)) { Unit::template zero<i>(); });
  }
  for (std::size_t step = 0; step < x.steps; ++step) {
    const std::int32_t* const w = weights.at(step);
    unroll<Dot::parts>([&](auto part) __attribute__((always_inline)) {
      if constexpr (part == 0) Unit::template load_once<6>(w, kPanelRowBytes);
      Unit::template load<4>(x.at(step, part, 0), x.row_bytes);
      Dot::template dot<Unit, 0, 4, 6>();
      if constexpr (part == 0) Unit::template load_once<7>(w + kUnitTileRows, kPanelRowBytes);
      Dot::template dot<Unit, 1, 4, 7>();
      if constexpr (RowTiles == 2) {
        Unit::template load<5>(x.at(step, part, kUnitTileRows), x.row_bytes);
        Dot::template dot<Unit, 2, 5, 6>();
        Dot::template dot<Unit, 3, 5, 7>();
      }
    });
    if constexpr (Dot::Weights::kUnpacks) {
      if (step + 1 < x.steps) weights.prepare(step + 1);
      Unit::fence();
    }
    between();
  }
  for_sums([&](auto i, Sum* at)
               __attribute__((always_inline)) { Unit::template store<i>(at, sum_row_bytes); });
}

/// A kernel (engine/concepts.hpp): all panels of a column block, one after the other, and of each
/// all planes. As VectorKernel it counts virtual rows.
template <UnitDot Dot, MatrixUnit Unit>
struct MatrixUnitKernel {
  using Arch = typename Dot::Arch;
  using Input = typename Dot::Input;
  using Word = std::int32_t;
  using Sum = typename Dot::Sum;
  static constexpr std::size_t planes = Dot::planes;
  static constexpr Blocks blocks{.tile_widths = {{kUnitRows * planes, kPanelColumns}},
                                 .chunk_tiles = 1};
  static constexpr double worth_threads = Dot::worth_threads;

  /// The unit is configured for a task's rows.
  class Session {
   public:
    explicit Session(std::size_t rows) { Unit::configure(TileConfig(rows / planes)); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    ~Session() { Unit::release(); }
  };

  /// Between its steps it fetches so many parts of the next task's rows in a column block.
  static constexpr std::size_t fetches(std::size_t depth) {
    return planes * (kBlockColumns / kPanelColumns) *
           std::max<std::size_t>(1, ceil_div(depth, Dot::inputs_per_step));
  }

  static void multiply(const StridedRows<Input>& rows, const PanelView<Word>& panels,
                       const SumBlock<Sum>& sums, bool accumulate, const Ahead& ahead) {
    const auto between = [&] { ahead.rows->fetch_part(); };
    const Word* panel = panels.first;
    for (std::size_t column = panels.columns.begin; column < panels.columns.end();
         column += kPanelColumns, panel += panels.panel_size) {
      unroll<planes>([&](auto plane) __attribute__((always_inline)) {
        using Own = typename Dot::template Plane<plane>;
        const std::size_t own_rows = rows.rows / planes;
        const UnitRows x = Own::rows(
            {rows.first + plane * rows.stride, planes * rows.stride, own_rows, rows.inputs});
        const SumBlock<Sum> own{sums.first + plane * sums.stride + column, planes * sums.stride};
        if (own_rows > kUnitTileRows) {
          multiply_in_tiles<Own, Unit, 2>(x, panel, own, accumulate, between);
        } else {
          multiply_in_tiles<Own, Unit, 1>(x, panel, own, accumulate, between);
        }
      });
    }
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
