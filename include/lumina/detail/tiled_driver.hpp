// The loops over blocks for operands on a matrix unit (tile_unit.hpp). The unit and the vector
// registers work at the same time: while the unit makes the sums of a panel of 128 columns, the
// panel before it gets its epilogue, piece by piece.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../config.hpp"
#include "../matrix.hpp"
#include "../noise.hpp"
#include "finish.hpp"
#include "operands.hpp"
#include "pack.hpp"
#include "pieces.hpp"
#include "task_grid.hpp"
#include "tile_unit.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The epilogue of a chunk and a panel in pieces: two rows × 32 columns, pair of rows after pair.
template <class FinisherT, class Values, class Sum>
class GradualFinish {
 public:
  /// Nothing to do.
  GradualFinish() = default;

  GradualFinish(const FinisherT& finisher, const Values& values, const Piece& rows,
                std::size_t panel, std::size_t columns, const Sum* sums)
      : finisher_(&finisher),
        values_(values),
        rows_(rows),
        panel_(panel),
        columns_(columns),
        sums_(sums) {}

  std::size_t pieces() const {
    return divide_rounding_up(rows_.size, kRows) * divide_rounding_up(columns_, kNoiseBlockColumns);
  }
  bool done() const { return row_ >= rows_.size; }

  void next() {
    if (row_ + kRows <= rows_.size) {
      piece<kRows>(generators_);
    } else {
      piece<1>(last_generators_);
    }
    column_ += kNoiseBlockColumns;
    if (column_ >= columns_) {
      column_ = 0;
      row_ += kRows;
    }
  }

 private:
  static constexpr std::size_t kRows = 2;
  template <std::size_t Rows>
  using Generators = typename FinisherT::template Generators<Rows>;

  template <std::size_t Rows>
  [[gnu::always_inline]] void piece(Generators<Rows>& stored) {
    const FinisherT finisher = *finisher_;
    const std::size_t row = rows_.begin + row_;
    Generators<Rows> generators =
        column_ == 0 ? finisher.template generators<Rows>(row, panel_) : stored;
    finisher.template finish_block<Rows>(generators, row, panel_, column_, columns_,
                                         sums_ + row_ * kNoisePanelColumns, values_);
    stored = generators;
  }

  const FinisherT* finisher_ = nullptr;
  Values values_;
  Piece rows_{0, 0};
  std::size_t panel_ = 0;
  std::size_t columns_ = 0;
  const Sum* sums_ = nullptr;
  std::size_t row_ = 0;
  std::size_t column_ = 0;
  Generators<kRows> generators_;
  Generators<1> last_generators_;
};

/// Rows of codes, as tiles read them.
inline TiledRows tiled_rows(const InputRows<std::uint8_t>& rows) {
  return {rows.first, rows.stride, 0, kTileBytes, divide_rounding_up(rows.stride, kTileBytes)};
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
            divide_rounding_up(y.rows(), kTiledRows),
            divide_rounding_up(y.cols(), kNoisePanelColumns),
            operands.panel_size() * sizeof(std::int32_t) * (kNoisePanelColumns / kPanelColumns),
            threads)) {}

  std::size_t tasks() const { return grid_.tasks(); }

  void run(std::size_t task) const {
    const Piece rows = even_piece(y_.rows(), grid_.chunks, grid_.chunk(task));
    const Piece panels = grid_.panels_of(task);
    const std::size_t blocks = operands_.depth_blocks(rows.size);

    typename Operands::Workspace workspace;
    alignas(kCacheLine) typename Products::Sum sums[2][kTiledRows * kNoisePanelColumns];
    Gradual before;
    Upcoming upcoming;
    if (const std::size_t next = grid_.chunk(task) + 1; next < grid_.chunks) {
      upcoming = operands_.upcoming(
          even_piece(y_.rows(), grid_.chunks, next),
          panels.size * (kNoisePanelColumns / kPanelColumns) * steps(operands_.depth()));
    }
    TiledRows input{};
    Tiles::configure(TileShapes(rows.size));
    for (std::size_t panel = panels.begin; panel < panels.end(); ++panel) {
      typename Products::Sum* const these = sums[panel % 2];
      Pace pace(before.pieces(), column_panels(panel) * blocks * steps(operands_.depth() / blocks));
      for (std::size_t block = 0; block < blocks; ++block) {
        if (blocks > 1 || panel == panels.begin) {
          input = tiled_rows(operands_.input(workspace.elements, rows, block, blocks));
        }
        multiply(rows, panel, block, input, these, [&] {
          upcoming.fetch_part();
          for (std::size_t due = pace.due(); due > 0 && !before.done(); --due) before.next();
        });
      }
      while (!before.done()) before.next();
      before = Gradual(finisher_, operands_.values(panel), rows, panel, columns(panel), these);
    }
    Tiles::release();
    while (!before.done()) before.next();
  }

 private:
  using FinisherT = Finisher<Arch, Output>;
  using Gradual = GradualFinish<FinisherT, typename Operands::Values, typename Products::Sum>;

  /// Spreads pieces over steps.
  class Pace {
   public:
    Pace(std::size_t pieces, std::size_t steps) : pieces_(pieces), steps_(steps) {}
    /// The pieces that one more step takes.
    std::size_t due() {
      owed_ += pieces_;
      std::size_t result = 0;
      for (; owed_ >= steps_; owed_ -= steps_) ++result;
      return result;
    }

   private:
    std::size_t pieces_, steps_, owed_ = 0;
  };

  static constexpr std::size_t steps(std::size_t inputs) {
    return std::max<std::size_t>(1, divide_rounding_up(inputs, Products::inputs_per_step));
  }
  std::size_t columns(std::size_t panel) const {
    return std::min(kNoisePanelColumns, y_.cols() - panel * kNoisePanelColumns);
  }
  std::size_t column_panels(std::size_t panel) const { return panel_count(columns(panel)); }

  template <class Between>
  void multiply(const Piece& rows, std::size_t panel, std::size_t block, const TiledRows& input,
                typename Products::Sum* sums, const Between& between) const {
    for (std::size_t i = 0; i < column_panels(panel); ++i) {
      const TiledOperands operands{
          .x = input,
          .weights = operands_.weights(panel * (kNoisePanelColumns / kPanelColumns) + i,
                                       operands_.block_begin(rows.size, block)),
          .continue_sums = block > 0};
      if (rows.size > kTileRows) {
        multiply_in_tiles<Products, Tiles, 2>(operands, sums + i * kPanelColumns, between);
      } else {
        multiply_in_tiles<Products, Tiles, 1>(operands, sums + i * kPanelColumns, between);
      }
    }
  }

  Operands operands_;
  FinisherT finisher_;
  MatrixView<Element> y_;
  TaskGrid grid_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
