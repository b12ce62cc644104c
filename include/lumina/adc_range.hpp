// Ranges of ADCs behind arrays of sliced weights, in steps: what one level of a cell yields at one
// level of an input (analog_slices.hpp).
//
//   largest      every current that there can be; loses nothing where there are enough levels
//   granular     the next step of the ADC that is 2^n of the currents' steps
//   calibrated   a percentile of the currents that were seen (calibrate_slices), as either of them
#pragma once

#include <limits>

#include "config.hpp"
#include "quantizer.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// The levels on either side of 0; none where there cannot be so many bits.
constexpr float adc_levels(int bits) {
  return bits < 2 || bits > 16 ? 0.0f : static_cast<float>((1 << (bits - 1)) - 1);
}

}  // namespace detail

/// An ADC of 2 … 16 bits over ±limit, `limit` above 0: of the largest_current(), or less. Where it
/// has a level for each step up to there, its levels are the steps, so that it loses nothing: with
/// 1 + log₂(limit + 1) bits, one of them for the sign.
constexpr RuntimeQuantizer full_range_adc(int bits, float limit) {
  const float levels = detail::adc_levels(bits);
  return RuntimeQuantizer::symmetric(bits, limit > 0.0f && limit < levels ? levels : limit);
}

/// The same whose step is 2^n steps, the smallest n ≥ 0 with which it reaches `limit`.
constexpr RuntimeQuantizer granular_adc(int bits, float limit) {
  if (!(limit > 0.0f && limit <= std::numeric_limits<float>::max())) {
    return full_range_adc(bits, limit);  // reported
  }
  float reach = detail::adc_levels(bits);
  while (reach > 0.0f && reach < limit) reach *= 2.0f;
  return RuntimeQuantizer::symmetric(bits, reach);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
