// The oracle of converters.hpp, each stage for one element (reference.hpp), and of noisy_dac.hpp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "config.hpp"
#include "converters.hpp"
#include "detail/base/scalar_math.hpp"
#include "noise.hpp"
#include "noisy_dac.hpp"
#include "quantizer.hpp"
#include "reference.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Where a value lies among the codes, and what a code stands for.
inline float position(const detail::ConverterStage& adc, float value) {
  return (value - adc.offset()) / adc.step();
}
inline float level(const detail::ConverterStage& adc, float code) {
  return std::fma(code, adc.step(), adc.offset());
}

inline float apply(const StochasticQuantizer& stage, const Element& y) {
  if (y.value != y.value) return y.value;
  const float at = std::fmin(std::fmax(position(stage, y.value), stage.lowest()), stage.highest());
  const float below = std::floor(at);
  return level(stage, y.normals[0] <= at - below ? below + 1.0f : below);
}

inline float apply(const RampAdc& stage, const Element& y) {
  if (y.value != y.value) return y.value;
  float code = stage.lowest();
  for (const float threshold : stage.thresholds()) {
    if (y.value >= threshold) code += 1.0f;
  }
  return level(stage, code);
}

/// What a bit of a SarAdc weighs in the element's column.
inline float bit_weight(const IdealBits&, int bit, int, const Element&) {
  return static_cast<float>(1 << bit);
}
inline float bit_weight(const Mismatch& of_unit, int bit, int, const Element& y) {
  const auto units = static_cast<float>(1 << bit);
  const float normal = standard_normal_at(of_unit.chip, y.tile, y.column,
                                          of_unit.draw + static_cast<std::size_t>(bit));
  return std::fma(detail::product(of_unit.stddev, std::sqrt(units)), normal, units);
}
inline float bit_weight(const ColumnVectors& given, int bit, int bits, const Element& y) {
  const std::size_t all = static_cast<std::size_t>(bits), arrays = given.values.rows() / all;
  return given.values(std::min(y.tile, arrays - 1) * all + static_cast<std::size_t>(bit), y.column);
}

template <class Weights>
float apply(const SarAdc<Weights>& stage, const Element& y) {
  if (y.value != y.value) return y.value;
  const float at = position(stage, y.value);
  float reached = stage.lowest(), code = stage.lowest();
  for (int bit = stage.bits() - 1; bit >= 0; --bit) {
    const float tried = reached + bit_weight(stage.weights(), bit, stage.bits(), y);
    const float middle = tried - 0.5f;
    if (at > middle || (at == middle && stage.keeps_ties(bit))) {
      reached = tried;
      code += static_cast<float>(1 << bit);
    }
  }
  return level(stage, std::fmin(code, stage.highest()));
}

/// What is random about a DAC in front of arrays: how many steps of fixed point a code has, what
/// the noise's deviation is in them, whether codes are rounded at random, and with which draws.
struct InputRandomness {
  std::int64_t steps = 1;
  float deviation = 0.0f;
  bool stochastic = false;
  NoiseKey key = {};
  std::size_t iteration = 0;
};
/// `range`: r of the DAC.
template <class Dac>
InputRandomness input_randomness(const Dac& dac, const RuntimeQuantizer& ideal, float range,
                                 const NoiseKey& key, std::size_t iteration) {
  InputRandomness result;
  result.key = input_key(key);
  result.iteration = iteration;
  result.stochastic = detail::rounds_at_random<Dac>;
  if constexpr (detail::is_noisy_dac<Dac>) {
    const int bits = ideal.bits();
    result.steps = ideal.is_symmetric() ? 1 << (15 - bits) : 1 << (14 - bits);
    const float codes =
        ideal.is_symmetric() ? static_cast<float>((1 << (bits - 1)) - 1) : range / ideal.step();
    result.deviation = std::fmin(
        detail::product(dac.stddev, static_cast<float>(result.steps) * codes), 0x1.fffffep127f);
  }
  return result;
}

/// A DAC's code of x, with its sign if it has one, rounded at random.
inline std::int64_t stochastic_code(float x, const RuntimeQuantizer& dac, float uniform) {
  if (x != x) return 0;
  const auto lowest = static_cast<float>(dac.lowest()), highest = static_cast<float>(dac.highest());
  const float at = std::fmin(std::fmax((x - dac.offset()) / dac.step(), lowest), highest);
  const float below = std::floor(at);
  return static_cast<std::int64_t>(uniform <= at - below ? below + 1.0f : below);
}

/// The code that a DAC makes of input `k`, or that it is.
template <class X>
std::int64_t random_code(X x, const RuntimeQuantizer& dac, const InputRandomness& random,
                         std::size_t row, std::size_t k) {
  if constexpr (std::is_same_v<X, float>) {
    if (random.stochastic) {
      const std::size_t draw = 2 * random.iteration + 1;
      return stochastic_code(x, dac, standard_uniform_at(random.key, row, k, draw));
    }
  }
  return input_code(x, dac);
}
/// The code in steps, with its noise.
inline std::int64_t noisy_code(std::int64_t code, const InputRandomness& random, std::size_t row,
                               std::size_t k) {
  if (random.steps == 1) return code;
  const float normal = standard_normal_at(random.key, row, k, 2 * random.iteration);
  const float noisy = std::fma(random.deviation, normal, static_cast<float>(code * random.steps));
  return std::lrint(std::fmin(std::fmax(noisy, -32767.0f), 32767.0f));
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
