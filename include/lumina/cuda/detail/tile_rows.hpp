// Which rows of y a thread has of tiles of 16 rows of x, and where their sums lie. A row of y is a
// row of x; or, where numbers are multiplied byte by byte (fixed_rows.hpp), several, which lie so
// that one thread has all of an element's sums.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Rows of x for each row of y.
template <class Sums>
inline constexpr int parts_of = 1;
template <class Sums>
requires requires { Sums::parts; }
inline constexpr int parts_of<Sums> = Sums::parts;

/// A thread has of each 16 rows two, r and r + 8. Two parts of a row of y are these two; three
/// parts are in three tiles below each other.
template <int Parts>
struct PartRows {
  static constexpr int tiles = Parts == 3 ? 3 : 1;  ///< that belong together
  static constexpr int each = Parts == 2 ? 1 : 2;   ///< rows of y that a thread has of them
  static constexpr int of_y = Parts == 2 ? 8 : 16;  ///< rows of y in them

  /// Where part `part` of a row of y lies as a row of x.
  static constexpr std::size_t of_x(std::size_t row, std::size_t part) {
    constexpr std::size_t kRows = of_y;
    return row / kRows * kRows * Parts + part * kRows + row % kRows;
  }
  static constexpr std::size_t count_of_x(std::size_t rows) {
    return Parts == 1 ? rows : (rows + of_y - 1) / of_y * of_y * Parts;
  }
};

template <class FinishT>
struct TileRows : PartRows<parts_of<typename FinishT::Sums>> {
  static constexpr int parts = parts_of<typename FinishT::Sums>;

  /// The row of y: `first`, the first row of x of the tiles; `own`, the thread's of 8.
  __device__ __forceinline__ static constexpr int row(int first, int number, int own) {
    return first / parts + 8 * number + own;
  }
  /// Which tile of those that belong together has a part, and which half of it.
  __device__ __forceinline__ static constexpr int tile_of(int part) {
    return parts == 3 ? part : 0;
  }
  __device__ __forceinline__ static constexpr int half_of(int number, int part) {
    return parts == 2 ? part : number;
  }
};

/// What is known of a row of y, for its sums; nothing, where they ask for nothing.
template <class FinishT>
__device__ __forceinline__ auto facts_of_row(const FinishT& finish, int row) {
  if constexpr (requires { finish.sums().row(row); }) {
    return finish.sums().row(row < finish.rows() ? row : finish.rows() - 1);
  } else {
    return std::array<int, 0>();
  }
}

/// The floats of two columns: `values`, what finish.column() has of them; two(part): their sums.
template <class FinishT, class Values, class RowFacts, class Two>
__device__ __forceinline__ Pair<float> value_of_parts(const Values& values, const RowFacts& facts,
                                                      const Two& two) {
  constexpr int kParts = TileRows<FinishT>::parts;
  if constexpr (requires { values(two(0)); }) {
    return values(two(0));
  } else {
    std::array<Pair<std::int32_t>, kParts> parts;
#pragma unroll
    for (int part = 0; part < kParts; ++part) parts[part] = two(part);
    return values(facts, parts);
  }
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
