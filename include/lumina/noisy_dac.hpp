// DACs in front of arrays (analog_gemm.hpp) that are not ideal: what they yield is a random number.
//
//   analog_gemm(x, NoisyDac(ManagedDac{8, 1.0f}, 0.01f), weights, array(…), digital(…), y, key);
//   analog_gemm(x, NoisyDac(StochasticDac(Quantizer<6>(0.0f, 1.0f)), 0.02f), weights, …);
//
// Backward they are what the ideal DAC is, straight through: neither noise nor rounding has a part
// in gradients.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "border.hpp"
#include "config.hpp"
#include "detail/random/xoshiro.hpp"
#include "quantizer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

template <class T>
concept IdealDac = AnyQuantizer<T> || std::same_as<T, ManagedDac>;

}  // namespace detail

/// A DAC, of floats, that rounds up with the probability with which an input lies above a code, as
/// StochasticQuantizer does (converters.hpp), with the uniform number
/// standard_uniform_at(input_key(key), row, input, 2·i + 1), i counting bound management's
/// repetitions.
template <detail::IdealDac Dac>
struct StochasticDac {
  explicit constexpr StochasticDac(const Dac& ideal) : dac(ideal) {}

  Dac dac;
};

namespace detail {

template <class T>
inline constexpr bool is_stochastic_dac = false;
template <class Dac>
inline constexpr bool is_stochastic_dac<StochasticDac<Dac>> = true;

}  // namespace detail

/// A DAC whose outputs have noise: x̂ = DAC(x) + stddev·N, in units of x̂, with the normal N that is
/// standard_normal_at(input_key(key), row, input, 2·i). All arrays of an input get the same,
/// however weights are cut.
///
/// The noisy input is held in 16 bits and multiplied exactly, so results have the same bits
/// everywhere: in 2^-13 … 2^-15 of x̂, the nearest one, and up to |x̂| of about 2, where it
/// saturates. Cost: a product more, and a normal an input and row. Sums that a stage wants (Sums)
/// are of inputs without noise. Errors of a call with it: stddev that is negative, infinite or NaN;
/// arrays of more inputs than 32 bits have room for, 516 with weights of 8 bits.
template <class Dac>
requires(detail::IdealDac<Dac> || detail::is_stochastic_dac<Dac>)  //
    struct NoisyDac {
  constexpr NoisyDac(const Dac& without_noise, float deviation)
      : dac(without_noise), stddev(deviation) {}

  Dac dac;
  float stddev;
};

/// The key of what inputs draw in a call with `key`: that of its outputs' noise, its stream
/// changed.
constexpr NoiseKey input_key(const NoiseKey& key) {
  constexpr std::uint64_t kInputs = 0x696e70757473;  // "inputs"
  return {key.seed, key.stream ^ detail::SplitMix64::mix(kInputs), key.row_offset};
}

namespace detail {

template <class T>
inline constexpr bool is_noisy_dac = false;
template <class Dac>
inline constexpr bool is_noisy_dac<NoisyDac<Dac>> = true;

template <class T>
concept RandomDac = is_noisy_dac<T> || is_stochastic_dac<T>;

/// Whether a DAC rounds at random; the one that does not.
template <class T>
inline constexpr bool rounds_at_random = is_stochastic_dac<T>;
template <class Dac>
inline constexpr bool rounds_at_random<NoisyDac<Dac>> = is_stochastic_dac<Dac>;

template <IdealDac Dac>
constexpr const Dac& ideal_dac(const Dac& dac) {
  return dac;
}
template <RandomDac Dac>
constexpr const auto& ideal_dac(const Dac& random) {
  return ideal_dac(random.dac);
}

}  // namespace detail

/// What analog_gemm takes in front of the arrays: a quantizer, a ManagedDac, or one of them that is
/// noisy or rounds at random.
template <class T>
concept ArrayDac = detail::IdealDac<T> || detail::RandomDac<T>;

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
