// The oracle of converters.hpp: each stage for one element (reference.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "config.hpp"
#include "converters.hpp"
#include "detail/base/scalar_math.hpp"
#include "noise.hpp"
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

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
