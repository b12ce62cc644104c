// The oracle of array_stages.hpp and independent.hpp: each stage for one element (reference.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <tuple>

#include "array_stages.hpp"
#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "independent.hpp"
#include "ir_drop.hpp"
#include "noise.hpp"
#include "read_noise.hpp"
#include "reference.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// A column's own number.
inline float of_column(const ColumnVectors& vectors, float, const Element& y) {
  return vectors.values(std::min(y.tile, vectors.values.rows() - 1), y.column);
}
inline float of_column(const Mismatch& mismatch, float mean, const Element& y) {
  const float normal = standard_normal_at(mismatch.chip, y.tile, y.column, mismatch.draw);
  return std::fma(mismatch.stddev, normal, mean);
}

template <class Source>
float apply(const ColumnGain<Source>& stage, const Element& y) {
  return detail::product(y.value, of_column(stage.gain, 1.0f, y));
}
template <class Source>
float apply(const ColumnOffset<Source>& stage, const Element& y) {
  return y.value + of_column(stage.offset, 0.0f, y);
}
template <class Source>
float apply(const ColumnAsymmetry<Source>& stage, const Element& y) {
  if (!(y.value < 0.0f)) return y.value;
  return std::fma(y.value, of_column(stage.asymmetry, 0.0f, y), y.value);
}
template <class Source>
float apply(const OutputNonlinearity<Source>& stage, const Element& y) {
  const float n = std::fabs(of_column(stage.nonlinearity, stage.mean, y));
  const float factor =
      stage.factors.empty() ? 1.0f : stage.factors[std::min(y.tile, stage.factors.size() - 1)];
  const float bent = 1.0f + detail::product(n, std::fabs(y.value));
  return detail::product(y.value, factor) / bent;
}

inline float apply(const IrDrop& stage, const Element& y, const Facts<float>& facts) {
  const float a = detail::product(facts.magnitudes, facts.row.inputs / stage.wire_to_device);
  const float c = detail::product(a, std::fma(a, std::fma(a, 0.05f, -0.2f), 0.5f));
  return y.value - detail::product(detail::product(c, stage.strength), facts.positions);
}

/// The variance of a noise that independent() merges.
inline float variance(const GaussianNoise& noise, const Element&) {
  return noise.stddev * noise.stddev;
}
inline float variance(const ShotNoise& noise, const Element& y) {
  return detail::product(noise.strength * noise.strength, std::fabs(y.value));
}
inline float variance(const ReadNoise& noise, const Element&, const Facts<float>& facts) {
  return detail::product(noise.stddev * noise.stddev, facts.squared_inputs);
}
inline float variance(const ProportionalReadNoise& noise, const Element&,
                      const Facts<float>& facts) {
  return detail::product(noise.stddev * noise.stddev, facts.squares);
}
inline float variance(const ConstantReadNoise& noise, const Element&, const Facts<float>& facts) {
  return detail::product(noise.stddev * noise.stddev, facts.row.sum_of_squares);
}
inline float variance(const BalancedShotNoise& noise, const Element&, const Facts<float>& facts) {
  return detail::product(noise.strength * noise.strength, facts.magnitudes);
}
/// Any other noise: its own.
template <class Noise>
float variance(const Noise& noise, const Element& y, const Facts<float>& facts) {
  if constexpr (detail::wants_facts<Noise>) {
    const Coordinates at{y.row, y.column, y.global_row, y.tile};
    return noise.variance(y.value, at, ActiveLanes{1}, facts);
  } else {
    return variance(noise, y);
  }
}
template <class... Noises>
float apply(const Independent<Noises...>& stage, const Element& y, const Facts<float>& facts = {}) {
  float sum = 0.0f;
  std::apply([&](const auto&... noise) { ((sum = sum + variance(noise, y, facts)), ...); },
             stage.noises());
  return std::fma(std::sqrt(sum), y.normals[0], y.value);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
