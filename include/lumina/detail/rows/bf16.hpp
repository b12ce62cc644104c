// The two sides of a product of floats with bf16 panels (bf16_split.hpp): rows of floats that a
// task splits in three parts, and the panels.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../matrix.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "../engine/operands.hpp"
#include "../engine/row_scratch.hpp"
#include "../isa/tile_config.hpp"
#include "../kernels/matrix_unit.hpp"
#include "../packing/float_panels.hpp"
#include "../simd/bf16.hpp"
#include "../simd/vectors.hpp"
#include "../training/bf16_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `Rows` makes floats, as for PreparedOperands (operands.hpp): ScaledRows, TransposedRows.
template <class Arch, class Rows>
class SplitOperands {
 public:
  using Tiled = Bf16OnUnit<Arch>;
  using Input = std::uint16_t;
  static constexpr double kWorthThreads = 1 << 21;

  /// Step after step, part after part: rows of 32 bf16, side by side.
  static constexpr std::size_t kStep = Tiled::inputs_per_step;
  static constexpr std::size_t kStepBytes = kBf16Parts * kUnitRows * kUnitTileBytes;
  using Workspace = RowWorkspace<Input, std::max(Arch::Codes::workspace_bytes, kStepBytes), kStep>;

  SplitOperands(const Rows& rows, const Bf16Panels& panels) : rows_(rows), panels_(panels) {}

  std::size_t depth() const { return rows_.depth(); }
  const std::int32_t* weights(std::size_t panel, std::size_t first_input) const {
    return panels_.panel(panel) + first_input / 2 * kPanelColumns;
  }
  std::size_t panel_size() const { return panels_.panel_size(); }

  std::size_t depth_blocks(std::size_t rows) const {
    return Workspace::blocks(depth(), kBf16Parts * rows);
  }
  std::size_t block_begin(std::size_t rows, std::size_t block) const {
    return block * Workspace::block_depth(kBf16Parts * rows);
  }
  static Prefetcher upcoming(const Range&, std::size_t) { return {}; }

  /// As CodedOperands'.
  static constexpr std::size_t row_bytes(std::size_t depth, std::size_t rows) {
    return Workspace::bytes(depth, kBf16Parts * rows);
  }
  /// Splits a block of the rows' inputs, to `to`.
  TiledRows input(Input* to, const Range& rows, std::size_t block, std::size_t blocks) const {
    const Range inputs = Workspace::block(depth(), kBf16Parts * rows.size, block, blocks);
    const std::size_t part = rows.size * kStep;
    const std::size_t steps = ceil_div(inputs.size, kStep);
    for (std::size_t step = 0; step < steps; ++step) {
      alignas(kCacheLine) float floats[kUnitRows * kStep];
      const std::size_t begin = step * kStep;
      const std::size_t size = std::min(kStep, inputs.size - begin);
      if (size < kStep) std::fill_n(floats, part, 0.0f);
      rows_.prepare(rows, {inputs.begin + begin, size}, floats, kStep);
      split(floats, part, to + step * kBf16Parts * part);
    }
    constexpr std::size_t kBytes = sizeof(std::uint16_t);
    return {to, kUnitTileBytes, part * kBytes, kBf16Parts * part * kBytes, steps};
  }

  using Values = SumsAsTheyAre<Arch>;
  static Values values(std::size_t) { return {}; }

 private:
  /// `count`, a multiple of kStep, floats to three parts one after the other.
  static void split(const float* floats, std::size_t count, std::uint16_t* to) {
    using Floats = typename Arch::template Batch<float>;
    for (std::size_t i = 0; i < count; i += Floats::size) {
      const auto parts = split_in_bf16(Floats::load_aligned(floats + i));
      unroll<kBf16Parts>([&](auto part) __attribute__((always_inline)) {
        Arch::store_codes(bits_as<std::int32_t>(parts[part]) >> 16, to + part * count + i);
      });
    }
  }

  Rows rows_;
  const Bf16Panels& panels_;
};

/// A stage: from sums of floats times a DAC's codes, row by row, to those of floats times the
/// codes' values, fma(step, sum, offset·row_sums[row]), where row_sums are the sums of the floats
/// alone.
struct ValuesOfCodes {
  float step, offset;
  std::span<const float> row_sums;

  template <class Floats, class Normals>
  Floats apply(const Floats& sums, const Coordinates& at, const ActiveLanes&,
               const Normals&) const {
    return fused_multiply_add(Floats(step), sums, Floats(product(offset, row_sums[at.row])));
  }
};

/// The same stages after one more, which draws no noise.
template <class First, class... Stages>
auto with_first_stage(const First& first, const Epilogue<Stages...>& stages) {
  return std::apply([&](const Stages&... rest) { return epilogue(first, rest...); },
                    stages.stages());
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
