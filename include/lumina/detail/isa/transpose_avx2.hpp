// Four neighbouring elements of eight rows, turned, with AVX2.
#pragma once

#include <array>
#include <cstddef>

#include "../simd/xsimd_batch.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct TransposedEights {
  using Column = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;

  [[gnu::always_inline]] static std::array<Column, 4> turned(const float* from,
                                                             std::size_t row_stride) {
    // Rows 0 to 3 below, 4 to 7 above: from memory that takes no shuffle. The two shuffles that are
    // left are those of integers, of which Intel's machines execute two in a cycle, of floats one.
    const __m256i a = two_rows(from, row_stride);
    const __m256i b = two_rows(from + row_stride, row_stride);
    const __m256i c = two_rows(from + 2 * row_stride, row_stride);
    const __m256i d = two_rows(from + 3 * row_stride, row_stride);
    const __m256i ab_lo = _mm256_unpacklo_epi32(a, b), ab_hi = _mm256_unpackhi_epi32(a, b);
    const __m256i cd_lo = _mm256_unpacklo_epi32(c, d), cd_hi = _mm256_unpackhi_epi32(c, d);
    return {
        floats(_mm256_unpacklo_epi64(ab_lo, cd_lo)), floats(_mm256_unpackhi_epi64(ab_lo, cd_lo)),
        floats(_mm256_unpacklo_epi64(ab_hi, cd_hi)), floats(_mm256_unpackhi_epi64(ab_hi, cd_hi))};
  }

  /// Four rows of four bytes each, turned (ArchDefaults). ForPairs: neighbouring rows lie in a
  /// word's even, or in its odd bytes.
  template <bool ForPairs = false>
  [[gnu::always_inline]] static xsimd::batch<std::int32_t, xsimd::sse2> transposed_bytes(
      const xsimd::batch<std::int32_t, xsimd::sse2>& words) {
    const __m128i order = ForPairs
                              ? _mm_setr_epi8(0, 8, 4, 12, 1, 9, 5, 13, 2, 10, 6, 14, 3, 11, 7, 15)
                              : _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm_shuffle_epi8(words, order);
  }

 private:
  static __m128i four(const float* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
  }
  [[gnu::always_inline]] static __m256i two_rows(const float* from, std::size_t row_stride) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(four(from)), four(from + 4 * row_stride),
                                   1);
  }
  static Column floats(__m256i bits) { return _mm256_castsi256_ps(bits); }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
