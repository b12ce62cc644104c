// From a kernel's sums to floats, for a pair of columns: as they are, or what sums of codes stand
// for (detail/epilogue/sums.hpp has the same for the CPU's vectors).
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../detail/simd/vectors.hpp"
#include "../../quantizer.hpp"
#include "../coded_weights.hpp"
#include "../platform/platform.hpp"
#include "pair.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Sums of floats need nothing more.
struct FloatSums {
  using Sum = float;

  struct Column {
    __device__ __forceinline__ Pair<float> operator()(const Pair<float>& sum) const { return sum; }
  };
  __device__ __forceinline__ Column column(int) const { return {}; }
};

/// Sums of codes of x, which `dac` made, times codes of w: fma(sum, step·scale,
/// (offset·scale)·Σ code(w)). Codes of x that have signs are multiplied without, counted from the
/// lowest one: what that is too much is added.
class CodeSums {
 public:
  using Sum = std::int32_t;

  CodeSums(const UniformQuantizer& dac, const CodedRows& weights)
      : scales_(weights.scales),
        code_sums_(weights.code_sums),
        step_(dac.step()),
        offset_(dac.offset()),
        lowest_(dac.lowest()) {}

  /// For two columns.
  struct Column {
    Pair<float> unit, base;
    Pair<std::int32_t> too_much;

    __device__ __forceinline__ Pair<float> operator()(const Pair<std::int32_t>& sum) const {
      return fused_multiply_add(nearest_floats(sum + too_much), unit, base);
    }
  };
  /// `column`: even; there are scales up to a multiple of kOutputMultiple.
  __device__ __forceinline__ Column column(int column) const {
    const auto scale = load_constant(reinterpret_cast<const Pair<float>*>(scales_ + column));
    const auto code_sum =
        load_constant(reinterpret_cast<const Pair<std::int32_t>*>(code_sums_ + column));
    return {product(Pair<float>(step_), scale),
            product(product(Pair<float>(offset_), scale), nearest_floats(code_sum)),
            code_sum * Pair<std::int32_t>(lowest_)};
  }

 private:
  const float* scales_;
  const std::int32_t* code_sums_;
  float step_, offset_;
  std::int32_t lowest_;
};

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
