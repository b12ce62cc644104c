// The stages of a dispatched call, with their options chosen at run time: what is compiled for
// every instruction set, and for GPUs, should be few types. They compute as the library's own
// stages one after the other.
#pragma once

#include <array>
#include <cstddef>

#include <lumina/quantizer.hpp>
#include <lumina/stage.hpp>
#include <lumina/stages.hpp>

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// A value for each output, if there are any.
struct OptionalBias {
  const float* values;  // [out], or none

  template <class Floats, class Normals>
  [[gnu::always_inline]] constexpr Floats apply(const Floats& v, const Coordinates& at,
                                                const ActiveLanes& active, const Normals&) const {
    if (values == nullptr) return v;
    return v + load_columns<Floats>({values, at.column + active.count}, at, active);
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// Readout's v. `Draws`: 0 without noise, 1 with noise, 2 with shot noise too.
template <std::size_t Draws>
struct ReadoutStage {
  static constexpr std::size_t normals_per_element = Draws;

  Attenuation gain, attenuation;
  ShotNoise shot_noise;
  GaussianNoise noise;
  OptionalBias bias;

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return shot_noise.valid_for(rows, cols) && noise.valid_for(rows, cols);
  }

  template <class Floats>
  [[gnu::always_inline]] constexpr Floats apply(const Floats& sums, const Coordinates& at,
                                                const ActiveLanes& active,
                                                const std::array<Floats, Draws>& normals) const {
    constexpr std::array<Floats, 0> none{};
    Floats v = bias.apply(gain.apply(sums, at, active, none), at, active, none);
    if constexpr (Draws == 2) {
      v = shot_noise.apply(v, at, active, std::array<Floats, 1>{normals[0]});
    }
    if constexpr (Draws != 0) {
      v = noise.apply(v, at, active, std::array<Floats, 1>{normals[Draws - 1]});
    }
    return attenuation.apply(v, at, active, none);
  }
  /// Straight through: noise has no part in it.
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return attenuation.backward(gain.backward(gradient));
  }
};

/// An ADC, if there is one: the gate that a record is of.
struct OptionalAdc {
  RuntimeQuantizer adc;
  bool is_there;

  template <class Floats, class Normals>
  [[gnu::always_inline]] constexpr Floats apply(const Floats& v, const Coordinates&,
                                                const ActiveLanes&, const Normals&) const {
    return is_there ? adc.quantize_lanes(v) : v;
  }
  template <class Floats>
  [[gnu::always_inline]] constexpr auto passes(const Floats& v) const {
    return is_there ? adc.passes(v) : Floats(0.0f) <= Floats(0.0f);
  }
};

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
