// AVX2 with FMA: 16 registers of 8 floats.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "../simd.hpp"
#include "generic.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct Avx2 : GenericOperations {
  static constexpr const char* name = "avx2";
  template <class T>
  using Batch = xsimd::batch<T, xsimd::fma3<xsimd::avx2>>;
  using Quad = xsimd::batch<float, xsimd::sse2>;  ///< four floats

  // Block sizes, see scalar.hpp. 6 × 16 accumulators are 12 registers, 2 hold weights, 2 inputs.
  static constexpr std::size_t max_tile_rows = 6;
  static constexpr std::size_t chunk_tiles = 8;
  static constexpr std::size_t epilogue_rows = 2;
  static constexpr std::size_t tile_columns(std::size_t rows) {
    return rows <= 1 ? 64 : rows <= 2 ? 32 : 16;
  }

  /// Lane-wise product modulo 2^64.
  static Batch<std::uint64_t> multiply_low(const Batch<std::uint64_t>& a, std::uint64_t b) {
    // AVX2 multiplies 32 × 32 bits only: low·low + ((high·low + low·high) << 32).
    const __m256i factor = _mm256_set1_epi64x(static_cast<long long>(b));
    const __m256i factor_high = _mm256_srli_epi64(factor, 32);
    const __m256i low = _mm256_mul_epu32(a, factor);
    const __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(_mm256_srli_epi64(a, 32), factor),
                                           _mm256_mul_epu32(a, factor_high));
    return _mm256_add_epi64(low, _mm256_slli_epi64(cross, 32));
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
