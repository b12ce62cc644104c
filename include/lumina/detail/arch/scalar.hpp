// The scalar architecture: plain C++, no xsimd; what a microcontroller gets.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../portable_batch.hpp"
#include "generic.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct Scalar : GenericOperations {
  static constexpr const char* name = "scalar";
  template <class T>
  using Batch = PortableBatch<T>;
  using Quad = PortableBatch<float>;  ///< four floats

  // Block sizes. A tile has at most max_tile_rows rows and, if it has `rows`, tile_columns(rows)
  // columns. A task makes the sums of chunk_tiles tiles of rows × 128 columns, which wait on the
  // stack for their epilogue; that takes epilogue_rows rows at a time.
  static constexpr std::size_t max_tile_rows = 4;
  static constexpr std::size_t chunk_tiles = 1;
  static constexpr std::size_t epilogue_rows = 1;
  static constexpr std::size_t tile_columns(std::size_t rows) { return rows <= 2 ? 8 : 4; }

  /// Lane-wise product modulo 2^64.
  static PortableBatch<std::uint64_t> multiply_low(const PortableBatch<std::uint64_t>& a,
                                                   std::uint64_t b) {
    return a * PortableBatch<std::uint64_t>(b);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
