// How a length, of inputs or outputs, is cut into arrays; and where those of inputs lie in panels
// of codes: one behind the other, each from a whole word on. The same on every instruction set.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../base/range.hpp"
#include "code_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `long_ones` tiles of `long_size`, then those of `short_size`; at least one in all.
struct Tiling {
  std::size_t count = 1, long_ones = 1, long_size = 0, short_size = 0;

  /// `tile`: the largest size, above 0.
  static constexpr Tiling of(std::size_t length, std::size_t tile, TileSplit split) {
    const std::size_t count = std::max<std::size_t>(1, ceil_div(length, tile));
    if (split == TileSplit::equal) {
      return {count, length % count, length / count + 1, length / count};
    }
    return {count, count - 1, tile, length - (count - 1) * tile};
  }
  constexpr Range operator[](std::size_t index) const {
    return {sum_of(index, long_size, short_size), index < long_ones ? long_size : short_size};
  }
  /// The tile that something lies in.
  constexpr std::size_t tile_of(std::size_t position) const {
    const std::size_t in_long = long_ones * long_size;
    if (position < in_long) return position / long_size;
    return long_ones + (position - in_long) / std::max<std::size_t>(short_size, 1);
  }
  constexpr std::size_t largest() const { return long_ones != 0 ? long_size : short_size; }

  /// What tiles before number `index` have, where each has so much.
  constexpr std::size_t sum_of(std::size_t index, std::size_t of_long, std::size_t of_short) const {
    const std::size_t longer = std::min(index, long_ones);
    return longer * of_long + (index - longer) * of_short;
  }
};

/// Rows of words in front of a tile of inputs, or of all of them where index is count.
template <int StoredBits>
constexpr std::size_t steps_before(const Tiling& inputs, std::size_t index) {
  return inputs.sum_of(index, ceil_div(inputs.long_size, kCodesPerWord<StoredBits>),
                       ceil_div(inputs.short_size, kCodesPerWord<StoredBits>));
}

/// Weights on arrays as the engine reads them. For each tile of inputs `padded_outputs` scales and
/// sums of codes.
template <int StoredBits>
struct TiledPanels {
  const std::int32_t* words;
  std::size_t panel_size;  ///< words
  Tiling inputs;
  std::size_t padded_outputs;
  float code_value;               ///< what code 1 is of a fully-on device
  const float* scales;            ///< what a fully-on device stands for
  const std::int32_t* code_sums;  ///< Σ code
  /// Σ |code| and Σ rounded_square(), where inputs are multiplied less a bias.
  const std::int32_t* magnitude_sums;
  const std::int32_t* square_sums;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
