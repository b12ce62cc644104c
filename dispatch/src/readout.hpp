// The stages of a dispatched call as one, with its options chosen at run time: what is compiled for
// every instruction set should be few types.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include <lumina/lumina.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// y = ADC(v) + output_bias with dispatch::Readout's v, as the library's own stages compute it one
/// after the other. `Draws`: 0 without noise, 1 with noise, 2 with shot noise too.
template <std::size_t Draws>
struct ReadoutStage {
  static constexpr std::size_t normals_per_element = Draws;

  Attenuation gain, attenuation;
  ShotNoise shot_noise;
  GaussianNoise noise;
  RuntimeQuantizer adc;
  bool has_adc;
  const float* bias;         // [out], or none
  const float* output_bias;  // [out], or none
  detail::MagnitudeTracker* tracker;
  ForwardRecord* record;

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return shot_noise.valid_for(rows, cols) && noise.valid_for(rows, cols);
  }

  template <class Floats>
  [[gnu::always_inline]] Floats apply(const Floats& sums, const Coordinates& at,
                                      const ActiveLanes& active,
                                      const std::array<Floats, Draws>& normals) const {
    constexpr std::array<Floats, 0> none{};
    Floats v = gain.apply(sums, at, active, none);
    if (bias != nullptr) v = v + load_columns<Floats>({bias, at.column + active.count}, at, active);
    if constexpr (Draws == 2) {
      v = shot_noise.apply(v, at, active, std::array<Floats, 1>{normals[0]});
    }
    if constexpr (Draws != 0) {
      v = noise.apply(v, at, active, std::array<Floats, 1>{normals[Draws - 1]});
    }
    v = attenuation.apply(v, at, active, none);
    if constexpr (Floats::size == detail::Native::Batch<float>::size) {
      if (tracker != nullptr) tracker->add(v, at, active);
      if (record != nullptr) {
        record->template store<Floats::size>(
            0, at.row, at.column,
            has_adc ? detail::bits_of_mask<Floats>(adc.passes(v)) : ~std::uint32_t{0});
      }
    }
    if (has_adc) v = adc.apply(v, at, active, none);
    if (output_bias != nullptr) {
      v = v + load_columns<Floats>({output_bias, at.column + active.count}, at, active);
    }
    return v;
  }
};

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
