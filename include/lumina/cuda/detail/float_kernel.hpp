// Products of floats on a device: each output is one chain of FMA over ascending inputs, as on the
// CPU. Eight threads side by side have 32 columns, in the layout of the noise (noise_lanes.hpp).
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/layout/float_panels.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Threads side by side in a panel of 32 columns.
inline constexpr int kPanelThreads = 8;
/// Floats that a thread has of a panel's row: columns 2l, 2l + 1, 16 + 2l, 17 + 2l of thread l.
inline constexpr int kThreadFloats = 4;

/// Where a panel of weights has a column, of 32.
constexpr int place_in_panel(int column) {
  return column % 16 / 2 * kThreadFloats + column / 16 * 2 + column % 2;
}

/// `RowThreads` rows of threads with `RowsEach` rows of y each, Panels times 32 columns; StageDepth
/// inputs in each of `StageCount` stages.
template <int RowThreads, int RowsEach, int Panels, int StageDepth, int StageCount, int Residents>
struct FloatBlocks {
  static constexpr int row_threads = RowThreads, rows_each = RowsEach, panels = Panels;
  static constexpr int stage_depth = StageDepth, stages = StageCount, residents = Residents;
  static constexpr int threads = kPanelThreads * RowThreads;
  static constexpr int rows = RowThreads * RowsEach;
  static constexpr int columns = 32 * Panels;
  /// Floats from one row of x to the next: in other banks.
  static constexpr int x_stride = StageDepth + 4;
  static constexpr int stage_floats = rows * x_stride + StageDepth * columns;
  static constexpr std::size_t shared_bytes = sizeof(float) * stage_floats * StageCount;
};

struct FloatOperands {
  const float* x;
  std::size_t x_stride;
  const float* panels;
  int rows, panel_count, depth;
};

/// `InFours`: rows of x begin at multiples of 16 bytes.
template <class Blocks, bool InFours, class FinishT>
__global__ void __launch_bounds__(Blocks::threads, Blocks::residents)
    multiply_floats(const __grid_constant__ FloatOperands operands,
                    const __grid_constant__ FinishT finish) {
  constexpr int kDepth = Blocks::stage_depth, kRows = Blocks::rows_each, kStages = Blocks::stages;
  constexpr int kPanelsFloats = kThreadFloats * Blocks::panels;
  const int thread = static_cast<int>(threadIdx.x) % kPanelThreads;
  const int row_thread = static_cast<int>(threadIdx.x) / kPanelThreads;
  const int first_row = static_cast<int>(blockIdx.x) * Blocks::rows;
  const int first_panel = static_cast<int>(blockIdx.y) * Blocks::panels;
  const int depth = operands.depth, steps = (depth + kDepth - 1) / kDepth;
  auto* const shared = reinterpret_cast<float*>(dynamic_shared());
  const SharedAddress shared_first = shared_address(shared);

  // What does not exist is not copied: of rows nobody stores the sums, of columns neither, and
  // inputs behind the last one are not multiplied.
  const auto load = [&](int step) {
    const SharedAddress to =
        shared_first + static_cast<SharedAddress>(step % kStages * Blocks::stage_floats * 4);
    constexpr int kCopy = InFours ? 4 : 1;  // floats of x at once
    constexpr int kCopies = Blocks::rows * kDepth / kCopy;
    for (int i = static_cast<int>(threadIdx.x); i < kCopies; i += Blocks::threads) {
      const int row = i / (kDepth / kCopy), k = i % (kDepth / kCopy) * kCopy;
      const int inputs = depth - (step * kDepth + k);
      if (first_row + row >= operands.rows || inputs <= 0) continue;
      const SharedAddress place = to + static_cast<SharedAddress>(4 * (row * Blocks::x_stride + k));
      const float* const from = operands.x +
                                static_cast<std::size_t>(first_row + row) * operands.x_stride +
                                step * kDepth + k;
      if constexpr (InFours) {
        copy_16_async(place, from, inputs < 4 ? 4u * static_cast<unsigned>(inputs) : 16u);
      } else {
        copy_4_async(place, from, true);
      }
    }
    constexpr int kPanelCopies = kDepth * kPanelThreads;
    for (int i = static_cast<int>(threadIdx.x); i < Blocks::panels * kPanelCopies;
         i += Blocks::threads) {
      const int panel = i / kPanelCopies, k = i % kPanelCopies / kPanelThreads;
      const int part = i % kPanelThreads;
      if (first_panel + panel >= operands.panel_count || step * kDepth + k >= depth) continue;
      copy_16_async(
          to + static_cast<SharedAddress>(4 *
                                          (Blocks::rows * Blocks::x_stride + k * Blocks::columns +
                                           panel * 32 + part * kThreadFloats)),
          operands.panels +
              (static_cast<std::size_t>(first_panel + panel) * static_cast<std::size_t>(depth) +
               static_cast<std::size_t>(step * kDepth + k)) *
                  32 +
              part * kThreadFloats,
          16);
    }
  };

  float sums[kRows][kPanelsFloats] = {};
  const auto multiply = [&](const float* w, const auto& x_of) {
    float own[kPanelsFloats];
#pragma unroll
    for (int panel = 0; panel < Blocks::panels; ++panel) {
      const Float4 four = *reinterpret_cast<const Float4*>(w + 32 * panel);
      own[4 * panel] = four.x, own[4 * panel + 1] = four.y;
      own[4 * panel + 2] = four.z, own[4 * panel + 3] = four.w;
    }
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
#pragma unroll
      for (int i = 0; i < kPanelsFloats; ++i) {
        sums[row][i] = multiply_add(x_of(row), own[i], sums[row][i]);
      }
    }
  };

  wait_for_previous_grid();
#pragma unroll
  for (int step = 0; step < kStages - 1; ++step) {
    if (step < steps) load(step);
    commit_copies();
  }
  for (int step = 0; step < steps; ++step) {
    wait_copies<kStages - 2>();
    __syncthreads();
    if (step + kStages - 1 < steps) load(step + kStages - 1);
    commit_copies();
    const float* const x =
        shared + step % kStages * Blocks::stage_floats + row_thread * Blocks::x_stride;
    const float* const w = shared + step % kStages * Blocks::stage_floats +
                           Blocks::rows * Blocks::x_stride + thread * kThreadFloats;
    constexpr int kRowStride = Blocks::row_threads * Blocks::x_stride;
    const int inputs = depth - step * kDepth;
    if (inputs >= kDepth) {
#pragma unroll
      for (int k = 0; k < kDepth; k += 4) {
        Float4 four[kRows];
#pragma unroll
        for (int row = 0; row < kRows; ++row) {
          four[row] = *reinterpret_cast<const Float4*>(x + row * kRowStride + k);
        }
        const float* const rows_of_w = w + k * Blocks::columns;
        multiply(rows_of_w, [&](int row) { return four[row].x; });
        multiply(rows_of_w + Blocks::columns, [&](int row) { return four[row].y; });
        multiply(rows_of_w + 2 * Blocks::columns, [&](int row) { return four[row].z; });
        multiply(rows_of_w + 3 * Blocks::columns, [&](int row) { return four[row].w; });
      }
    } else {
#pragma unroll 1
      for (int k = 0; k < inputs; ++k) {
        multiply(w + k * Blocks::columns, [&](int row) { return x[row * kRowStride + k]; });
      }
    }
  }
  let_next_grid_start();

  const int column = 32 * first_panel;
#pragma unroll
  for (int row = 0; row < kRows; ++row) {
    finish.template finish<kPanelThreads, Blocks::panels>(
        first_row + row * Blocks::row_threads + row_thread, column, thread,
        [&](int round, int pair) {
          const float* const two = &sums[row][kThreadFloats * round + 2 * pair];
          return finish.column(column)(Pair<float>(two[0], two[1]));
        });
  }
}

/// Panels of weights w [rows, depth]: a thread for each four floats of a panel's row. (A template,
/// for units share what is inline.)
template <class Element>
__global__ void __launch_bounds__(256)
    pack_panels(const Element* w, std::size_t stride, int rows, int depth, Element* panels) {
  const int panel = static_cast<int>(blockIdx.y);
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  const int k = i / kPanelThreads, thread = i % kPanelThreads;
  if (k >= depth) return;
  float four[kThreadFloats];
  for (int j = 0; j < kThreadFloats; ++j) {
    const int row = 32 * panel + j / 2 * 16 + 2 * thread + j % 2;
    four[j] = row < rows ? w[static_cast<std::size_t>(row) * stride + k] : 0.0f;
  }
  const std::size_t to = (static_cast<std::size_t>(panel) * depth + k) * 32;
  *reinterpret_cast<Float4*>(panels + to + thread * kThreadFloats) = {four[0], four[1], four[2],
                                                                      four[3]};
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
