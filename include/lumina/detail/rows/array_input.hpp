// How inputs enter arrays: with which DAC, and what x̂ = 1 stands for, row by row.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/message.hpp"
#include "../base/range.hpp"
#include "../base/scalar_math.hpp"
#include "../isa/native.hpp"
#include "../simd/largest_magnitude.hpp"
#include "input_digits.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// x̂ of a code, which is counted from the lowest one: (code + lowest)·unit + offset.
struct InputScale {
  float unit, offset;
  std::int32_t lowest;

  /// A symmetric DAC's largest code is x̂ = 1, whatever its range.
  static InputScale of(const UniformQuantizer& dac, float range) {
    if (dac.is_symmetric()) return {1.0f / static_cast<float>(-dac.lowest()), 0.0f, dac.lowest()};
    return {dac.step() / range, dac.offset() / range, 0};
  }
};

/// One DAC for all rows.
class FixedInput {
 public:
  explicit FixedInput(const UniformQuantizer& dac)
      : dac_(dac), range_(std::max(std::fabs(dac.lo()), std::fabs(dac.hi()))) {}

  InputScale scale() const { return InputScale::of(dac_, range_); }
  /// A DAC that has the rows' codes, and its r.
  const UniformQuantizer& dac() const { return dac_; }
  float range() const { return range_; }
  InputDigits digits(const Slices& slices) const { return InputDigits(slices, dac_); }
  std::size_t iterations() const { return 0; }
  /// f(the DAC, r) of a row, of inputs that are an array's.
  template <class X, class F>
  [[gnu::always_inline]] void with_dac(const X*, std::size_t, std::size_t, const F& f) const {
    f(dac_, range_);
  }

 private:
  const UniformQuantizer& dac_;  // the caller's
  float range_;
};

/// Each row may have a range of its own.
class ManagedInput {
 public:
  explicit ManagedInput(const ManagedDac& dac) : dac_(dac) {}

  InputScale scale() const { return InputScale::of(dac(), dac_.range); }
  /// A DAC that has the rows' codes, and its r.
  RuntimeQuantizer dac() const { return quantizer(dac_.range); }
  float range() const { return dac_.range; }
  InputDigits digits(const Slices& slices) const { return InputDigits(slices, dac()); }
  std::size_t iterations() const { return static_cast<std::size_t>(dac_.bound_iterations); }
  /// `iteration`: how often r was doubled.
  template <class F>
  void with_dac(const float* x, std::size_t inputs, std::size_t iteration, const F& f) const {
    float range = dac_.range;
    if (dac_.noise_management == NoiseManagement::abs_max) {
      constexpr auto kInfinite =
          std::bit_cast<std::uint32_t>(std::numeric_limits<float>::infinity());
      const std::uint32_t largest = largest_magnitude_bits<Native::Batch<float>>(x, inputs);
      if (largest != 0 && largest < kInfinite) range = std::bit_cast<float>(largest);
    }
    // Where quantizers have steps, also doubled.
    range = std::clamp(range, 0x1p-100f, 0x1p+100f);
    for (std::size_t i = 0; i < iteration && range < 0x1p+120f; ++i) range *= 2.0f;
    f(quantizer(range), range);
  }

 private:
  RuntimeQuantizer quantizer(float range) const {
    return RuntimeQuantizer::symmetric(dac_.bits, range);
  }

  ManagedDac dac_;
};

/// The planes that an input has beside those of extra sums (kernels/sum_planes.hpp).
template <class Input>
inline constexpr unsigned byte_planes_of = 0;
template <class Input>
requires requires { Input::planes; }
inline constexpr unsigned byte_planes_of<Input> = Input::planes;
/// Whether it draws numbers (random_input.hpp).
template <class Input>
inline constexpr bool is_random_input = requires {
  typename Input::Row;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
