// The tiles of a matrix unit (kernels/matrix_unit.hpp), as AMX has them.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kUnitTileRows = 16;
inline constexpr std::size_t kUnitTileBytes = 64;  ///< in a row of a tile
/// The rows of x that are multiplied together, as two tiles one below the other.
inline constexpr std::size_t kUnitRows = 2 * kUnitTileRows;

/// The shapes of the eight tiles, as AMX reads them (palette 1).
struct alignas(64) TileConfig {
  std::uint8_t palette = 1;
  std::uint8_t start_row = 0;
  std::uint8_t reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};

  /// Sums in tiles 0 to 3 (two above, two below), x in 4 and 5, weights in 6 and 7; `x_rows` rows
  /// of x, at most 32.
  explicit TileConfig(std::size_t x_rows) {
    const std::size_t above = x_rows < kUnitTileRows ? x_rows : kUnitTileRows;
    const std::size_t below = x_rows - above;
    const std::size_t of_tile[8] = {above, above, below,         below,
                                    above, below, kUnitTileRows, kUnitTileRows};
    for (std::size_t tile = 0; tile < 8; ++tile) {
      rows[tile] = static_cast<std::uint8_t>(of_tile[tile]);
      row_bytes[tile] = of_tile[tile] == 0 ? 0 : kUnitTileBytes;
    }
  }
};
static_assert(sizeof(TileConfig) == 64);

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
