// DACs in front of arrays: what is wrong with one, or with arrays behind it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../noisy_dac.hpp"
#include "../../quantizer.hpp"
#include "../../stages.hpp"
#include "../base/message.hpp"
#include "../base/number.hpp"
#include "../rows/random_input.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Reports a DAC that arrays cannot have, or one of more bits than they take, 8 with codes and 16
/// with floats.
template <AnyQuantizer Dac>
bool array_dac_valid(const Dac& dac, int most_bits = 8) {
  if (bits_of(dac) <= most_bits) return true;
  return report_false(Message() << "lumina::analog_gemm: the DAC has "
                                << static_cast<std::size_t>(bits_of(dac)) << " bits; arrays take "
                                << static_cast<std::size_t>(most_bits) << " at most");
}
inline bool array_dac_valid(const ManagedDac& dac, int most_bits = 8) {
  const auto refuse = [](auto what, const auto& is, auto needed) __attribute__((noinline)) {
    return report_false(Message() << "lumina::analog_gemm: ManagedDac: " << what
                                  << Number{static_cast<double>(is)} << needed);
  };
  if (dac.bits < 2 || dac.bits > most_bits) {
    return refuse("it has ", dac.bits,
                  most_bits == 8 ? " bits; arrays take 2..8" : " bits; arrays take 2..16");
  }
  if (!(dac.range >= 0x1p-100f && dac.range <= 0x1p+100f)) {
    return refuse("range is ", dac.range, "; it must be positive and finite, from 2^-100 to 2^100");
  }
  if (dac.bound_iterations < 0 || dac.bound_iterations > 1000) {
    return refuse("bound_iterations is ", dac.bound_iterations, "; it must be in 0..1000");
  }
  return true;
}

template <RandomDac Dac>
bool array_dac_valid(const Dac& random, int most_bits = 8) {
  if constexpr (is_noisy_dac<Dac>) {
    if (!valid_strength(random.stddev, "lumina::NoisyDac: stddev")) return false;
  }
  return array_dac_valid(ideal_dac(random), most_bits);
}

/// Reports arrays w, the largest of which has so many inputs, whose sums 32 bits have no room for:
/// noisy inputs have 16 bits.
template <int Bits, class Dac>
bool array_sums_fit(const Dac&, const Shape& w, std::size_t largest) {
  if constexpr (is_noisy_dac<Dac>) {
    constexpr std::size_t kMost = std::numeric_limits<std::int32_t>::max() /
                                  (FinePoint::kLargest * ((std::int32_t{1} << (Bits - 1)) - 1));
    if (largest > kMost) {
      return report_false(Message()
                          << "lumina::analog_gemm: w is " << w << ", an array of which has "
                          << largest << " inputs; behind a NoisyDac, and with weights of "
                          << std::size_t{Bits} << " bits, it has " << kMost << " at most");
    }
  }
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
