// The loops over blocks for operands on a matrix unit (tile_unit.hpp). The unit makes the sums of a
// chunk of rows and a panel of 128 columns, which wait in the first-level cache; then they get
// their epilogue. Not both at once: see docs/design.md.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../base/range.hpp"
#include "../epilogue/loop.hpp"
#include "../kernels/matrix_unit.hpp"
#include "../packing/float_panels.hpp"
#include "operands.hpp"
#include "schedule.hpp"
#include "scratch_memory.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of codes, as tiles read them.
inline TiledRows tiled_rows(const InputRows<std::uint8_t>& rows) {
  return {rows.first, rows.stride, 0, kUnitTileBytes, ceil_div(rows.stride, kUnitTileBytes)};
}
inline TiledRows tiled_rows(const TiledRows& rows) { return rows; }

/// One call, as FusedGemm (driver.hpp). `Operands` also has Tiled, what tiles multiply
/// (tile_unit.hpp); tiled_rows() understands what its input() returns.
template <class Arch, class Tiles, class Operands, class Output>
class TiledGemm {
 public:
  using Element = typename Output::Element;
  using Products = typename Operands::Tiled;

  TiledGemm(const Operands& operands, const Output& output, MatrixView<Element> y,
            const NoiseKey& key, std::size_t threads)
      : operands_(operands),
        finisher_(output, y, key),
        y_(y),
        grid_(TaskGrid::of_groups(
            ceil_div(y.rows(), kUnitRows), ceil_div(y.cols(), kBlockColumns),
            operands.panel_size() * sizeof(std::int32_t) * (kBlockColumns / kPanelColumns),
            threads)) {}

  std::size_t tasks() const { return grid_.tasks(); }

  void run(std::size_t task) const {
    constexpr std::size_t kMost = kSumBytes + sizeof(typename Operands::Workspace);
    const std::size_t rows = std::min(kUnitRows, y_.rows());
    with_task_memory<kMost>(kSumBytes + Operands::row_bytes(operands_.depth(), rows),
                            [this, task](std::byte* memory) { run(task, memory); });
  }

 private:
  using Sum = typename Products::Sum;
  static constexpr std::size_t kSumBytes = kUnitRows * kBlockColumns * sizeof(Sum);

  void run(std::size_t task, std::byte* memory) const {
    const Range rows = split_evenly(y_.rows(), grid_.chunks, grid_.chunk(task));
    const Range panels = grid_.panels_of(task);
    const std::size_t blocks = operands_.depth_blocks(rows.size);

    auto* const sums = reinterpret_cast<Sum*>(memory);
    auto* const own_rows = reinterpret_cast<typename Operands::Input*>(memory + kSumBytes);
    Prefetcher upcoming;
    if (const std::size_t next = grid_.chunk(task) + 1; next < grid_.chunks) {
      upcoming = operands_.upcoming(
          split_evenly(y_.rows(), grid_.chunks, next),
          panels.size * (kBlockColumns / kPanelColumns) * steps(operands_.depth()));
    }
    TiledRows input{};
    Tiles::configure(TileConfig(rows.size));
    for (std::size_t panel = panels.begin; panel < panels.end(); ++panel) {
      bool begun = false;
      if constexpr (requires { operands_.begin_sums(panel, rows.size, sums); }) {
        begun = operands_.begin_sums(panel, rows.size, sums);
      }
      for (std::size_t block = 0; block < blocks; ++block) {
        if (blocks > 1 || panel == panels.begin) {
          input = tiled_rows(operands_.input(own_rows, rows, block, blocks));
        }
        multiply(rows, panel, block, begun || block > 0, input, sums,
                 [&] { upcoming.fetch_part(); });
      }
      finisher_.template finish_chunk<Arch::epilogue_rows>(rows, panel, columns(panel), sums,
                                                           operands_.values(panel), [] {});
    }
    Tiles::release();
  }

  static constexpr std::size_t steps(std::size_t inputs) {
    return std::max<std::size_t>(1, ceil_div(inputs, Products::inputs_per_step));
  }
  std::size_t columns(std::size_t panel) const {
    return std::min(kBlockColumns, y_.cols() - panel * kBlockColumns);
  }
  std::size_t column_panels(std::size_t panel) const { return panel_count(columns(panel)); }

  template <class Between>
  void multiply(const Range& rows, std::size_t panel, std::size_t block, bool continues,
                const TiledRows& input, typename Products::Sum* sums,
                const Between& between) const {
    for (std::size_t i = 0; i < column_panels(panel); ++i) {
      const TiledOperands operands{
          .x = input,
          .weights = operands_.weights(panel * (kBlockColumns / kPanelColumns) + i,
                                       operands_.block_begin(rows.size, block)),
          .continue_sums = continues};
      if (rows.size > kUnitTileRows) {
        multiply_in_tiles<Products, Tiles, 2>(operands, sums + i * kPanelColumns, between);
      } else {
        multiply_in_tiles<Products, Tiles, 1>(operands, sums + i * kPanelColumns, between);
      }
    }
  }

  Operands operands_;
  Finisher<Arch, Output> finisher_;
  MatrixView<Element> y_;
  TaskGrid grid_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
