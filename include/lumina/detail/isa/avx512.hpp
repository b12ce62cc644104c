// AVX-512 (F, CD, DQ, BW): 32 registers of 16 floats.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "../simd/xsimd_batch.hpp"
#include "defaults.hpp"
#include "integer_dot.hpp"
#include "transpose_avx2.hpp"

// False alarms inside of g++'s intrinsics, see simd/vectors.hpp.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <>
struct VectorOperations<xsimd::batch<float, xsimd::avx512bw>>
    : XsimdOperations<float, xsimd::avx512bw> {
  /// (xsimd 8 has a product and a sum here: two roundings.)
  static Batch fused_multiply_add(const Batch& a, const Batch& b, const Batch& c) {
    return _mm512_fmadd_ps(a, b, c);
  }
  static std::uint32_t bits_of_mask(const Batch::batch_bool_type& mask) {
    return static_cast<__mmask16>(mask);
  }
  static Batch keep_where(std::uint32_t bits, const Batch& values) {
    return _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), values);
  }
  static Batch load_first(const float* from, std::size_t count, float behind) {
    return _mm512_mask_loadu_ps(_mm512_set1_ps(behind), first(count), from);
  }
  static void store_first(const Batch& values, float* to, std::size_t count) {
    _mm512_mask_storeu_ps(to, first(count), values);
  }

 private:
  static __mmask16 first(std::size_t count) { return static_cast<__mmask16>((1u << count) - 1); }
};

/// Codes without VNNI: 16-bit pairs.
struct Avx512CodeUnit {
  using Sums = xsimd::batch<std::int32_t, xsimd::avx512bw>;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return added_in_order<Sums>(_mm512_add_epi32(sums, _mm512_madd_epi16(x, w)));
  }

  static constexpr std::size_t widened_codes = 32;
  static void widen(const std::uint8_t* codes, std::int16_t* to) {
    // Bytes 3 2 1 0 of a lane, and the same 24 bits higher: . 3 . 1 . 2 . 0 with the others masked.
    const __m512i fours =
        _mm512_cvtepu32_epi64(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes)));
    const __m512i pairs = _mm512_or_si512(fours, _mm512_slli_epi64(fours, 24));
    _mm512_storeu_si512(to, _mm512_and_si512(pairs, _mm512_set1_epi16(0xff)));
  }
};

struct Avx512 : ArchDefaults, TransposedEights {
  static constexpr const char* name = "avx512";
  using TransposedEights::transposed_bytes;
  template <class T>
  using Batch = xsimd::batch<T, xsimd::avx512bw>;
  using Quad = xsimd::batch<float, xsimd::sse2>;  ///< four floats

  // 12 × 32 accumulators are 24 registers, 2 hold weights, 1 an input. Few rows get wider tiles: at
  // least 8 chains are needed to hide the latency of an FMA, and several panels read at once to
  // load the cache at its full rate.
  static constexpr Blocks blocks{.tile_widths = {{3, 128}, {6, 64}, {12, 32}}, .chunk_tiles = 4};
  using Pairs = Avx512CodeUnit;
  struct Codes : PairDot<Pairs> {
    static constexpr Blocks blocks = Avx512::blocks;
  };
  static constexpr std::size_t epilogue_rows = 4;
  static constexpr std::size_t unpacked_rows = 4;

  /// The low bytes or halves of the lanes to memory, side by side.
  static void store_codes(const Batch<std::int32_t>& codes, std::uint8_t* to) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(codes));
  }
  static void store_codes(const Batch<std::int32_t>& codes, std::uint16_t* to) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(codes));
  }

  /// Four vectors of codes below 256 to memory, side by side.
  static void store_code_bytes(const std::array<Batch<std::int32_t>, 4>& codes, std::uint8_t* to) {
    // Packing takes four lanes of each vector at a time: put them in order in the end.
    const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(codes[0], codes[1]),
                                              _mm512_packs_epi32(codes[2], codes[3]));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, bytes));
  }

  /// A vector of codes that lie side by side.
  template <class Ints>
  static Ints load_code_bytes(const std::uint8_t* codes) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes)));
  }

  /// The lower halves of vectors of integers to memory, side by side.
  template <std::size_t Count>
  static void store_halves(const std::array<Batch<std::int32_t>, Count>& integers,
                           std::int16_t* to) {
    for (std::size_t i = 0; i < Count; ++i) {
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 16 * i),
                          _mm512_cvtepi32_epi16(integers[i]));
    }
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

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
