// From a kernel's sums to floats: as they are, or what sums of codes stand for.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../quantizer.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/scalar_math.hpp"
#include "../kernels/views.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Sums of floats need nothing more.
template <class Arch>
struct IdentitySums {
  struct Values {
    using Floats = typename Arch::template Batch<float>;
    [[gnu::always_inline]] Floats operator()(const float* sums, std::size_t column) const {
      return Floats::load_aligned(sums + column);
    }
  };
  Values values(std::size_t) const { return {}; }
};

/// Sums of codes of x, which `dac` made, times codes of w.
template <class Arch, int StoredBits>
class DequantizedSums {
 public:
  using Codes = typename Arch::Codes;

  DequantizedSums(const UniformQuantizer& dac, const CodePanels<StoredBits>& weights)
      : dac_(dac), scales_(weights.scales), code_sums_(weights.code_sums) {}

  /// fma(sum, unit, base) for a column block: what one code of x times one of w is worth, and what
  /// x = dac.offset() makes.
  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;

    Values(const UniformQuantizer& dac, const float* scales, const std::int32_t* code_sums) {
      const Floats step(dac.step()), offset(dac.offset());
      for (std::size_t i = 0; i < kBlockColumns; i += Floats::size) {
        const Floats scale = Floats::load_aligned(scales + i);
        const Ints code_sum = Ints::load_aligned(code_sums + i);
        product(step, scale).store_aligned(unit_ + i);
        product(product(offset, scale), nearest_floats(code_sum)).store_aligned(base_ + i);
        if constexpr (Codes::input_bias != 0) {
          (code_sum * Ints(Codes::input_bias)).store_aligned(bias_ + i);
        }
      }
    }
    [[gnu::always_inline]] Floats operator()(const std::int32_t* sums, std::size_t column) const {
      Ints sum = Ints::load_aligned(sums + column);
      if constexpr (StoredBits != 8) sum = sum >> (8 - StoredBits);
      if constexpr (Codes::input_bias != 0) sum = sum + Ints::load_aligned(bias_ + column);
      return fused_multiply_add(nearest_floats(sum), Floats::load_aligned(unit_ + column),
                                Floats::load_aligned(base_ + column));
    }

   private:
    alignas(kCacheLine) float unit_[kBlockColumns];
    alignas(kCacheLine) float base_[kBlockColumns];
    alignas(kCacheLine) std::int32_t bias_[Codes::input_bias != 0 ? kBlockColumns : 1];
  };
  Values values(std::size_t block) const {
    const std::size_t first = block * kBlockColumns;
    return {dac_, scales_ + first, code_sums_ + first};
  }

  /// Codes of x that have signs are multiplied without: counted from the lowest one. Their sums
  /// begin at what that is too much, which the sums of w's codes know; true where that is not 0.
  bool begin(std::size_t block, const Range& rows, const SumBlock<std::int32_t>& sums) const {
    if (!dac_.is_symmetric()) return false;
    using Ints = typename Arch::template Batch<std::int32_t>;
    const std::int32_t* const code_sums = code_sums_ + block * kBlockColumns;
    const Ints lowest(dac_.lowest() * (1 << (8 - StoredBits)));
    for (std::size_t i = 0; i < kBlockColumns; i += Ints::size) {
      const Ints first = Ints::load_aligned(code_sums + i) * lowest;
      for (std::size_t row = 0; row < rows.size; ++row) {
        first.store_aligned(sums.first + row * sums.stride + i);
      }
    }
    return true;
  }

 private:
  const UniformQuantizer& dac_;  // the caller's
  const float* scales_;
  const std::int32_t* code_sums_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
