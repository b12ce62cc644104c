// VNNI: dot products of four bytes in every 32-bit lane, with AVX2 (AVX-VNNI) or AVX-512.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#if defined(LUMINA_ISA_AVX512)
#include "avx512.hpp"
#else
#include "avx2.hpp"
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

#if defined(LUMINA_ISA_AVX512)

struct VnniCodeUnit {
  using Sums = xsimd::batch<std::int32_t, xsimd::avx512bw>;
  static constexpr int input_bias = 0;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return added_in_order<Sums>(_mm512_dpbusd_epi32(sums, x, w));
  }
};

struct Vnni : Avx512 {
  static constexpr const char* name = "avx512_vnni";
  struct Codes : ByteCodes<VnniCodeUnit>, Avx512::CodeBlocks {};
};

#else

struct VnniCodeUnit {
  using Sums = xsimd::batch<std::int32_t, xsimd::fma3<xsimd::avx2>>;
  static constexpr int input_bias = 0;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return added_in_order<Sums>(_mm256_dpbusd_avx_epi32(sums, x, w));
  }
};

struct Vnni : Avx2 {
  static constexpr const char* name = "avx_vnni";
  struct Codes : ByteCodes<VnniCodeUnit>, Avx2::CodeBlocks {};
};

#endif

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
