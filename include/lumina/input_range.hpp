// Ranges of converters that follow what they see, and ranges that are learned.
//
// Given ones are the caller's; percentiles are magnitude_histogram.hpp's. Here:
//
//   MovingRange r;   r.add(deviation_range(x, 3.0f));      // mean over batches, or exponential
//   LearnedRange{}.gradient(sums, r)                       // from backward()'s InputRangeSums
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/isa/native.hpp"
#include "detail/simd/largest_magnitude.hpp"
#include "detail/simd/moments.hpp"
#include "matrix.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// max |x|; infinite or NaN where a value is.
inline float largest_range(MatrixView<const float> x) {
  std::uint32_t largest = 0;
  for (std::size_t row = 0; row < x.rows(); ++row) {
    const std::uint32_t of_row =
        detail::largest_magnitude_bits<detail::Native::Batch<float>>(x.row(row), x.cols());
    largest = largest < of_row ? of_row : largest;
  }
  return std::bit_cast<float>(largest);
}

/// `deviations` standard deviations of x, the sample's (n − 1), summed in double in a fixed order.
/// (aihwkit: init_std_alpha.)
inline float deviation_range(MatrixView<const float> x, float deviations) {
  detail::Moments moments;
  moments.add(x);
  return static_cast<float>(moments.deviation() * static_cast<double>(deviations));
}

/// A range that follows one value a batch: the largest magnitude, a quantile, some deviations.
class MovingRange {
 public:
  /// `weight` of the newest batch: r += weight·(value − r), the first one being r itself; 0: the
  /// mean of all batches. Error: a weight outside [0, 1]; it is 0 then.
  explicit MovingRange(float weight = 0.0f) : weight_(weight) {
    if (weight >= 0.0f && weight <= 1.0f) return;
    detail::report_error("lumina::MovingRange: the weight of a batch must be in [0, 1]");
    weight_ = 0.0f;
  }

  /// The next batch's value.
  void add(float value) {
    ++batches_;
    const float weight = batches_ == 1     ? 1.0f
                         : weight_ == 0.0f ? 1.0f / static_cast<float>(batches_)
                                           : weight_;
    range_ = detail::fused_multiply_add(weight, value - range_, range_);
  }

  float range() const { return range_; }  ///< 0 before the first batch
  std::uint64_t batches() const { return batches_; }

 private:
  float weight_;
  float range_ = 0.0f;
  std::uint64_t batches_ = 0;
};

/// What backward() sums for the range r of a DAC over [−r, r] or [0, r], d being the gradient by
/// x's values before the DAC's gate:
///
///   gradient   Σ over x ≥ r of min(d, 0) − Σ over x ≤ −r of max(d, 0)
///
/// Only what would widen the range counts; what narrows it is LearnedRange's decay. Over [0, r] the
/// second sum is missing. The order of the sums is fixed: the same bits at any number of threads
/// and on every instruction set. Batches in shards: add up all three.
struct InputRangeSums {
  float gradient = 0.0f;
  std::uint64_t inside = 0;  ///< inputs with |x| < r
  std::uint64_t count = 0;   ///< all inputs
};

/// How a learned range (aihwkit: learn_input_range; Le Gallo et al., "Using the IBM analog
/// in-memory hardware acceleration kit for neural network training and inference", 2023) takes its
/// gradient.
struct LearnedRange {
  float decay = 0.001f;  ///< narrows it, where enough inputs are inside
  double share = 0.95;   ///< enough: more than this share of all
  bool relative = true;  ///< the gradient is multiplied with the range

  /// By r: what an optimiser descends along.
  float gradient(const InputRangeSums& sums, float range) const {
    const float own = relative ? detail::product(sums.gradient, range) : sums.gradient;
    const bool enough = static_cast<double>(sums.inside) > share * static_cast<double>(sums.count);
    return enough ? detail::fused_multiply_add(decay, range, own) : own;
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
