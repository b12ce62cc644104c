// The code that is nearest to a value: the quotient by the step as division rounds it, without a
// division, a test or a branch.
#pragma once

#include "../../config.hpp"
#include "../base/scalar_math.hpp"
#include "vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// clamp(rint((v − offset) / step), bottom, top) in every lane, where the difference and the
/// quotient are rounded to float, for any step > 0 and |bottom|, |top| < 2^16, where offset and
/// (top − bottom)·step are floats; a code of 0 is +0.
///
/// Where the machine has FMA: with d the difference, r = RN(1/step), q₀ = RN(d·r),
///
///     e = RN(d − q₀·step)      q = RN(q₀ + e·r)
///
/// (P. Markstein, "Computation of elementary functions on the IBM RISC System/6000 processor",
/// IBM J. Res. Dev. 34, 1990), and rint(q) is rint(RN(x)), x = d/step. Why: both round x to float,
/// q after a change of less than 2^-21 of its last place, so the codes could only differ where x is
/// so close to μ, half a last place above or below a tie T = k + 1/2. Let h be that half place.
///   1. |T| < 2^16 has 17 bits, so x is less than (1 − 2^-17) of the next power of two. Since
///      |step·r − 1| ≤ 2^-24·(step's significand)/2, d·r is less than (1 − 2^-18) of a last place
///      from μ, and q₀ = μ − h or μ + h: take the former, h may be negative.
///   2. So |e| is about |h|·step and a multiple of 2·|h|·ulp(step): 24 bits, it is exact.
///   3. x − μ = e/step − h is not 0: μ·step has an odd factor of 25 bits, d has not. So
///      j = e − h·step, a multiple of |h|·ulp(step), is at least that; and q₀ + e·r − μ is
///      h·(step·r − 1) + j·r. |step·r − 1| ≤ step·ulp(r)/2 < ulp(step)·r, as step < 2^24·ulp(step)
///      and r ≥ 2^23·ulp(r). So j·r prevails: q₀ + e·r is on the same side of μ as x.
/// That holds for every significand of step, and where nothing near a tie is denormal or too large.
/// So d and step are both multiplied by 2^±100 where step is not between 2^-100 and 2^100: exact,
/// but for what is too small to count. And d is limited to what the lowest and the highest code
/// stand for, so that nothing overflows, and needs no limit afterwards.
class NearestCode {
 public:
  /// 0 for all values.
  constexpr NearestCode() = default;
  constexpr NearestCode(float step, float offset, float bottom, float top)
      : scale_(scale_for(step)),
        minus_offset_(-(offset * scale_)),
        step_(step * scale_),
        minus_step_(-step_),
        inverse_(1.0f / step_),
        first_(limit_for(bottom)),
        last_(limit_for(top)) {}

  /// NaN stays NaN.
  template <class T>
  [[gnu::always_inline]] constexpr T code_or_nan(const T& v) const {
    return round_half_even(position(limited(distance(v))));
  }
  /// The code of NaN is 0.
  template <Vector Floats>
  [[gnu::always_inline]] constexpr Floats code(const Floats& v) const {
    return round_half_even(position(limited_number(distance(v))));
  }
  /// The same plus kRoundingShift: the code is in the last bits.
  template <Vector Floats>
  [[gnu::always_inline]] constexpr Floats raised_code(const Floats& v) const {
    return position(limited_number(distance(v))) + Floats(kRoundingShift);
  }
  /// The same of values that are not NaN.
  template <Vector Floats>
  [[gnu::always_inline]] constexpr Floats raised_code_of_number(const Floats& v) const {
    return position(limited(distance(v))) + Floats(kRoundingShift);
  }

 private:
  static constexpr float scale_for(float step) {
    if (!kHasFma) return 1.0f;
    return step < 0x1p-100f ? 0x1p+100f : step > 0x1p+100f ? 0x1p-100f : 1.0f;
  }
  /// Where codes end: for distances, or, where the quotient is a quotient, for that.
  constexpr float limit_for(float code) const { return kHasFma ? code * step_ : code; }

  /// (v − offset)·scale, rounded as v − offset is; a quotient, where that is as fast.
  template <class T>
  [[gnu::always_inline]] constexpr T distance(const T& v) const {
    if constexpr (kHasFma) {
      return fused_multiply_add(v, T(scale_), T(minus_offset_));
    } else {
      return (v + T(minus_offset_)) / T(step_);
    }
  }
  template <class T>
  [[gnu::always_inline]] constexpr T position(const T& distance) const {
    if constexpr (kHasFma) {
      const T near = product(distance, T(inverse_));
      const T error = fused_multiply_add(near, T(minus_step_), distance);
      return fused_multiply_add(error, T(inverse_), near);
    } else {
      return distance;
    }
  }

  template <Vector Floats>
  [[gnu::always_inline]] constexpr Floats limited(const Floats& distance) const {
    return clamp_keeping_nan(distance, Floats(first_), Floats(last_));
  }
  [[gnu::always_inline]] constexpr float limited(float distance) const {
    const float above = first_ > distance ? first_ : distance;
    return last_ < above ? last_ : above;
  }
  template <Vector Floats>
  [[gnu::always_inline]] constexpr Floats limited_number(const Floats& distance) const {
    // What is below 0, NaN too, becomes 0; where codes have signs it is added.
    const Floats zero(0.0f);
    const Floats upper = min_or_second(max_or_second(distance, zero), Floats(last_));
    if (first_ == 0.0f) [[likely]]
      return upper;
    return upper + max_or_second(min_or_second(distance, zero), Floats(first_));
  }

  float scale_ = 1.0f;
  float minus_offset_ = 0.0f;
  float step_ = 1.0f;
  float minus_step_ = -1.0f;
  float inverse_ = 1.0f;
  float first_ = 0.0f;
  float last_ = 0.0f;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
