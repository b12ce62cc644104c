// NEON of 64-bit Arm: 32 registers of 4 floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../simd.hpp"
#include "generic.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct Neon : GenericOperations {
  static constexpr const char* name = "neon";
  template <class T>
  using Batch = xsimd::batch<T, xsimd::neon64>;
  using Quad = xsimd::batch<float, xsimd::neon64>;  ///< four floats

  // Block sizes, see scalar.hpp. 6 × 16 accumulators are 24 registers, 4 hold weights, 1 an input.
  static constexpr std::size_t max_tile_rows = 6;
  static constexpr std::size_t chunk_tiles = 8;
  static constexpr std::size_t epilogue_rows = 1;
  static constexpr std::size_t tile_columns(std::size_t rows) {
    return rows <= 1 ? 64 : rows <= 3 ? 32 : 16;
  }

  /// Lane-wise product modulo 2^64.
  static Batch<std::uint64_t> multiply_low(const Batch<std::uint64_t>& a, std::uint64_t b) {
    // NEON has no 64-bit product; the integer unit has, and two lanes are two instructions.
    alignas(16) std::uint64_t lanes[2];
    a.store_aligned(lanes);
    for (std::uint64_t& lane : lanes) lane *= b;
    return Batch<std::uint64_t>::load_aligned(lanes);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
