// The scalar architecture: plain C++, no xsimd; what a microcontroller gets.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../simd/portable_batch.hpp"
#include "../simd/transpose.hpp"
#include "defaults.hpp"
#include "integer_dot.hpp"

#if defined(__ARM_FEATURE_SIMD32)
#include <arm_acle.h>
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Σ of the products of four bytes, codes by weights.
#if defined(__ARM_FEATURE_SIMD32)
/// (Cortex-M's DSP extension: two products of 16 bits and their sum are one instruction.)
[[gnu::always_inline]] inline std::int32_t dot_of_bytes(std::int32_t inputs, std::int32_t weights,
                                                        std::int32_t sum) {
  const auto x = static_cast<std::uint32_t>(inputs), w = static_cast<std::uint32_t>(weights);
  const std::int32_t even = __smlad(static_cast<int16x2_t>(__uxtb16(x)), __sxtb16(w), sum);
  return __smlad(static_cast<int16x2_t>(__uxtb16(std::rotr(x, 8))), __sxtb16(std::rotr(w, 8)),
                 even);
}
#else
[[gnu::always_inline]] inline std::int32_t dot_of_bytes(std::int32_t inputs, std::int32_t weights,
                                                        std::int32_t sum) {
  for (int shift = 0; shift < 32; shift += 8) {
    sum += (inputs >> shift & 0xff) * static_cast<std::int8_t>(weights >> shift);
  }
  return sum;
}
#endif

struct ScalarCodeUnit {
  using Sums = PortableBatch<std::int32_t>;
  static constexpr int input_bias = 0;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return Sums::map(&dot_of_bytes, x, w, sums);
  }
};

struct Scalar : ArchDefaults {
  static constexpr const char* name = "scalar";
  template <class T>
  using Batch = PortableBatch<T>;
  using Quad = PortableBatch<float>;  ///< four floats

  static constexpr Blocks blocks{.tile_widths = {{2, 8}, {4, 4}}, .chunk_tiles = 1};
  struct Codes : ByteDot<ScalarCodeUnit> {
    static constexpr Blocks blocks = Scalar::blocks;
  };
  // Microcontrollers have small stacks, and small memories for code.
  static constexpr std::size_t row_scratch_bytes = 2048;
  static constexpr std::size_t unpacked_part_floats = 512;
  static constexpr bool unrolls_vectors = false;
  static constexpr bool forms_weights = false;

  /// Four neighbouring elements of Column::size rows, turned.
  using Column = Quad;
  static std::array<Column, 4> turned(const float* from, std::size_t row_stride) {
    return transposed_4x4<Quad>(from, row_stride);
  }

  /// Lane-wise product modulo 2^64.
  static PortableBatch<std::uint64_t> multiply_low(const PortableBatch<std::uint64_t>& a,
                                                   std::uint64_t b) {
    return a * PortableBatch<std::uint64_t>(b);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
