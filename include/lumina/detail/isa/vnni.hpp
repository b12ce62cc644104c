// VNNI: dot products of four bytes in every 32-bit lane, with AVX2 (AVX-VNNI) or AVX-512.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"

#if defined(LUMINA_ISA_AVX512)
#include "avx512.hpp"
#else
#include "avx2.hpp"
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

#if defined(LUMINA_ISA_AVX512)
using BeforeVnni = Avx512;
inline constexpr const char* kVnniName = "avx512_vnni";
[[gnu::always_inline]] inline __m512i dot_of_bytes(__m512i x, __m512i w, __m512i sums) {
  return _mm512_dpbusd_epi32(sums, x, w);
}
[[gnu::always_inline]] inline __m512i dot_of_pairs(__m512i x, __m512i w, __m512i sums) {
  return _mm512_dpwssd_epi32(sums, x, w);
}
#else
using BeforeVnni = Avx2;
inline constexpr const char* kVnniName = "avx_vnni";
[[gnu::always_inline]] inline __m256i dot_of_bytes(__m256i x, __m256i w, __m256i sums) {
  return _mm256_dpbusd_avx_epi32(sums, x, w);
}
[[gnu::always_inline]] inline __m256i dot_of_pairs(__m256i x, __m256i w, __m256i sums) {
  return _mm256_dpwssd_avx_epi32(sums, x, w);
}
#endif

struct VnniCodeUnit {
  using Sums = BeforeVnni::Batch<std::int32_t>;
  static constexpr int input_bias = 0;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return added_in_order<Sums>(dot_of_bytes(x, w, sums));
  }
};

struct VnniPairUnit : BeforeVnni::Pairs {
  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return added_in_order<Sums>(dot_of_pairs(x, w, sums));
  }
};

struct Vnni : BeforeVnni {
  static constexpr const char* name = kVnniName;
  using Pairs = VnniPairUnit;
  struct Codes : ByteDot<VnniCodeUnit> {
    static constexpr Blocks blocks = BeforeVnni::blocks;
  };
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
