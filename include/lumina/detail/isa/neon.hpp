// NEON of 64-bit Arm: 32 registers of 4 floats.
#pragma once

#include <arm_neon.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../simd/transpose.hpp"
#include "../simd/xsimd_batch.hpp"
#include "defaults.hpp"
#include "integer_dot.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <>
struct VectorOperations<xsimd::batch<float, xsimd::neon64>>
    : XsimdOperations<float, xsimd::neon64> {
  // NEON's own would be NaN wherever a is.
  static Batch max_or_second(const Batch& a, const Batch& b) { return xsimd::select(a > b, a, b); }
  static Batch min_or_second(const Batch& a, const Batch& b) { return xsimd::select(a < b, a, b); }
  // xsimd 8 has a product and a sum for the first, two roundings, and refines an estimate for the
  // others, which is not always the nearest.
  static Batch fused_multiply_add(const Batch& a, const Batch& b, const Batch& c) {
    return vfmaq_f32(c, a, b);
  }
  static Batch quotient(const Batch& a, const Batch& b) { return vdivq_f32(a, b); }
  static Batch square_root(const Batch& a) { return vsqrtq_f32(a); }
};

/// Codes as signed bytes, the inputs' less 128.
struct NeonCodeUnit {
  using Sums = xsimd::batch<std::int32_t, xsimd::neon64>;
  static constexpr int input_bias = 128;

#if defined(__ARM_FEATURE_DOTPROD)
  /// The dot product takes one element of a register, so nothing need be broadcast.
  [[gnu::always_inline]] static int8x8_t four_inputs(const std::uint8_t* x) {
    std::uint32_t word;
    std::memcpy(&word, x, sizeof(word));
    return vcreate_s8(word);
  }
  [[gnu::always_inline]] static Sums dot(int8x8_t inputs, const Sums& w, const Sums& sums) {
    return vdotq_lane_s32(sums, vreinterpretq_s8_s32(w), inputs, 0);
  }
#else
  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    // Two products of −128 … 127 and −127 … 127 fit into 16 bits.
    const int8x16_t inputs = vreinterpretq_s8_s32(x), weights = vreinterpretq_s8_s32(w);
    const int16x8_t low = vmull_s8(vget_low_s8(inputs), vget_low_s8(weights));
    const int16x8_t high = vmull_high_s8(inputs, weights);
    return vpadalq_s16(sums, vpaddq_s16(low, high));
  }
#endif
};

#if !defined(__ARM_FEATURE_DOTPROD)
/// The same for bytes of all values: two products of −128 and −128 do not fit into 16 bits.
struct NeonByteUnit : NeonCodeUnit {
  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    const int8x16_t inputs = vreinterpretq_s8_s32(x), weights = vreinterpretq_s8_s32(w);
    const int32x4_t low = vpaddlq_s16(vmull_s8(vget_low_s8(inputs), vget_low_s8(weights)));
    const int32x4_t high = vpaddlq_s16(vmull_high_s8(inputs, weights));
    return vaddq_s32(sums, vpaddq_s32(low, high));
  }
};
#endif

struct Neon : ArchDefaults {
#if defined(__ARM_FEATURE_DOTPROD)
  static constexpr const char* name = "neon_dotprod";
#else
  static constexpr const char* name = "neon";
#endif
  template <class T>
  using Batch = xsimd::batch<T, xsimd::neon64>;
  using Quad = xsimd::batch<float, xsimd::neon64>;  ///< four floats

  // 6 × 16 accumulators are 24 registers, 4 hold weights, 1 an input. A single row uses each weight
  // once, so that not all 16 of its vectors must be there at a time.
  static constexpr Blocks blocks{.tile_widths = {{1, 64}, {2, 32}, {6, 16}}, .chunk_tiles = 8};
  /// Unpacking takes registers that a single row's 64 sums would not leave, and so do four products
  /// that are added in pairs, where there is no dot product.
  struct Codes : ByteDot<NeonCodeUnit> {
#if defined(__ARM_FEATURE_DOTPROD)
    static constexpr Blocks blocks{.tile_widths = {{2, 32}, { 6, 16 }}, .chunk_tiles = 8};
#else
    static constexpr Blocks blocks{.tile_widths = {{1, 32}, {4, 16}}, .chunk_tiles = 12};
#endif
  };

#if !defined(__ARM_FEATURE_DOTPROD)
  struct AnyBytes : ByteDot<NeonByteUnit> {
    static constexpr Blocks blocks = Codes::blocks;
  };
#endif

  /// Four neighbouring elements of Column::size rows, turned.
  using Column = Quad;
  static std::array<Column, 4> turned(const float* from, std::size_t row_stride) {
    return transposed_4x4<Quad>(from, row_stride);
  }

  /// Four rows of four bytes each, turned (ArchDefaults).
  static Batch<std::int32_t> transposed_bytes(const Batch<std::int32_t>& words) {
    constexpr std::uint8_t kOrder[16] = {0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15};
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(words), vld1q_u8(kOrder)));
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
