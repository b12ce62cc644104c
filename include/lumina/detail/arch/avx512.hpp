// AVX-512 (F, CD, DQ, BW): 32 registers of 16 floats.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../simd.hpp"
#include "generic.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct Avx512 : GenericOperations {
  static constexpr const char* name = "avx512";
  template <class T>
  using Batch = xsimd::batch<T, xsimd::avx512bw>;
  using Quad = xsimd::batch<float, xsimd::sse2>;  ///< four floats

  // Block sizes, see scalar.hpp. 12 × 32 accumulators are 24 registers, 2 hold weights, 1 an input.
  // Few rows get wider tiles: at least 8 chains are needed to hide the latency of an FMA, and
  // several panels read at once to load the cache at its full rate.
  static constexpr std::size_t max_tile_rows = 12;
  static constexpr std::size_t chunk_tiles = 4;
  static constexpr std::size_t epilogue_rows = 4;
  static constexpr std::size_t tile_columns(std::size_t rows) {
    return rows <= 3 ? 128 : rows <= 6 ? 64 : 32;
  }

  template <int Bits>
  static Batch<std::uint64_t> rotate_left(const Batch<std::uint64_t>& words) {
    return _mm512_rol_epi64(words, Bits);
  }

  /// Lane-wise product modulo 2^64.
  static Batch<std::uint64_t> multiply_low(const Batch<std::uint64_t>& a, std::uint64_t b) {
    // xsimd 8 goes through memory here.
    return _mm512_mullo_epi64(a, _mm512_set1_epi64(static_cast<long long>(b)));
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
