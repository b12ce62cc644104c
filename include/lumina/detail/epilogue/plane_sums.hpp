// From the extra sums of planes (kernels/sum_planes.hpp) to floats.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../kernels/sum_planes.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Σ|ŵ||x̂|, Σ|ŵ|x̂² and Σŵ²x̂² of the sums that PlaneDot<…, Set> makes, in units of the weights and
/// inputs: a weight's code 1 stands for `code_value` in ŵ (1 / max_code where the largest one is
/// 1). Never negative. Where code_value is 2^-n, or all weights 0 or ±max_code, only the 8 bits of
/// x̂'s planes and of squares are rounded, and the sum once to float.
template <class Arch, int StoredBits, unsigned Set>
class PlaneSums {
 public:
  using Codes = typename Arch::Codes;

  /// Σ|code| and Σ rounded_square() of each column (packing/panel_sums.hpp), up to a multiple of
  /// 128 of them: read only where inputs are multiplied less Codes::input_bias.
  PlaneSums(float code_value, const std::int32_t* magnitude_sums, const std::int32_t* square_sums)
      : code_value_(code_value), magnitude_sums_(magnitude_sums), square_sums_(square_sums) {}

  /// Of a column block.
  class Values {
   public:
    using Floats = typename Arch::template Batch<float>;
    using Ints = typename Arch::template Batch<std::int32_t>;

    Values(float code_value, const std::int32_t* magnitude_sums, const std::int32_t* square_sums)
        : magnitude_unit_(magnitude_unit(code_value)),
          square_unit_(square_unit(code_value, StoredBits)),
          magnitude_sums_(magnitude_sums),
          square_sums_(square_sums) {}

    /// `Sum`: one of the set. `sums`: of the virtual row that is its plane.
    template <unsigned Sum>
    [[gnu::always_inline]] Floats value(const std::int32_t* sums, std::size_t column) const {
      static_assert((Set & Sum) == Sum, "lumina: no plane has this sum");
      constexpr bool kSquared = Sum == kSquareSums;
      Ints sum = Ints::load_aligned(sums + column);
      if constexpr (!kSquared && StoredBits != 8) sum = sum >> (8 - StoredBits);
      if constexpr (Codes::input_bias != 0) {
        const std::int32_t* const of_weights = kSquared ? square_sums_ : magnitude_sums_;
        sum = sum + Ints::load_aligned(of_weights + column) * Ints(Codes::input_bias);
      }
      return product(nearest_floats(sum), Floats(kSquared ? square_unit_ : magnitude_unit_));
    }
    /// The same, where `sums` are those of the product: the first of a row of x's virtual rows,
    /// `stride` from one to the next.
    template <unsigned Sum>
    [[gnu::always_inline]] Floats value(const std::int32_t* sums, std::size_t stride,
                                        std::size_t column) const {
      return value<Sum>(sums + plane_of(Set, Sum) * stride, column);
    }

   private:
    float magnitude_unit_, square_unit_;
    const std::int32_t* magnitude_sums_;
    const std::int32_t* square_sums_;
  };
  Values values(std::size_t block) const {
    if constexpr (Codes::input_bias == 0) return {code_value_, nullptr, nullptr};
    const std::size_t first = block * kBlockColumns;
    return {code_value_, magnitude_sums_ + first, square_sums_ + first};
  }

 private:
  float code_value_;
  const std::int32_t* magnitude_sums_;
  const std::int32_t* square_sums_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
