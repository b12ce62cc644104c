// AVX2 with FMA: 16 registers of 8 floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../simd/xsimd_batch.hpp"
#include "defaults.hpp"
#include "integer_dot.hpp"
#include "transpose_avx2.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <>
struct VectorOperations<xsimd::batch<float, xsimd::fma3<xsimd::avx2>>>
    : XsimdOperations<float, xsimd::fma3<xsimd::avx2>> {
  static std::uint32_t bits_of_mask(const Batch::batch_bool_type& mask) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(mask));
  }
  static Batch load_first(const float* from, std::size_t count, float behind) {
    const __m256i first = first_lanes(count);
    return _mm256_blendv_ps(_mm256_set1_ps(behind), _mm256_maskload_ps(from, first),
                            _mm256_castsi256_ps(first));
  }
  static void store_first(const Batch& values, float* to, std::size_t count) {
    _mm256_maskstore_ps(to, first_lanes(count), values);
  }

 private:
  static __m256i first_lanes(std::size_t count) {
    alignas(64) static constexpr std::int32_t kLanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kLanes + Batch::size - count));
  }
};

/// Codes without VNNI: 16-bit pairs.
struct Avx2CodeUnit {
  using Sums = xsimd::batch<std::int32_t, xsimd::fma3<xsimd::avx2>>;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return added_in_order<Sums>(_mm256_add_epi32(sums, _mm256_madd_epi16(x, w)));
  }

  static constexpr std::size_t widened_codes = 16;
  static void widen(const std::uint8_t* codes, std::int16_t* to) {
    // Bytes 3 2 1 0 of a lane, and the same 24 bits higher: . 3 . 1 . 2 . 0 with the others masked.
    const __m256i fours =
        _mm256_cvtepu32_epi64(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
    const __m256i pairs = _mm256_or_si256(fours, _mm256_slli_epi64(fours, 24));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to),
                        _mm256_and_si256(pairs, _mm256_set1_epi16(0xff)));
  }
};

struct Avx2 : ArchDefaults, TransposedEights {
  static constexpr const char* name = "avx2";
  using TransposedEights::transposed_bytes;
  template <class T>
  using Batch = xsimd::batch<T, xsimd::fma3<xsimd::avx2>>;
  using Quad = xsimd::batch<float, xsimd::sse2>;  ///< four floats

  // 6 × 16 accumulators are 12 registers, 2 hold weights, 2 inputs.
  static constexpr Blocks blocks{.tile_widths = {{1, 64}, {2, 32}, {6, 16}}, .chunk_tiles = 8};
  using Pairs = Avx2CodeUnit;
  struct Codes : PairDot<Pairs> {
    static constexpr Blocks blocks = Avx2::blocks;
  };
  static constexpr std::size_t epilogue_rows = 2;
  static constexpr std::size_t unpacked_rows = 2;

  /// The low bytes of the lanes to memory, side by side.
  static void store_codes(const Batch<std::int32_t>& codes, std::uint8_t* to) {
    const __m128i halves =
        _mm_packs_epi32(_mm256_castsi256_si128(codes), _mm256_extracti128_si256(codes, 1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), _mm_packus_epi16(halves, halves));
  }
  using ArchDefaults::store_codes;

  /// Four vectors of codes below 256 to memory, side by side.
  static void store_code_bytes(const std::array<Batch<std::int32_t>, 4>& codes, std::uint8_t* to) {
    // Packing takes four lanes of each vector at a time: put them in order in the end.
    const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(codes[0], codes[1]),
                                              _mm256_packs_epi32(codes[2], codes[3]));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permutevar8x32_epi32(bytes, order));
  }

  /// A vector of codes that lie side by side.
  template <class Ints>
  static Ints load_code_bytes(const std::uint8_t* codes) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(codes)));
  }

  /// The lower halves of vectors of integers of 16 bits to memory, side by side.
  template <std::size_t Count>
  static void store_halves(const std::array<Batch<std::int32_t>, Count>& integers,
                           std::int16_t* to) {
    static_assert(Count % 2 == 0);
    for (std::size_t i = 0; i < Count; i += 2) {
      const __m256i halves = _mm256_packs_epi32(integers[i], integers[i + 1]);
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 8 * i),
                          _mm256_permute4x64_epi64(halves, 0xd8));
    }
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
