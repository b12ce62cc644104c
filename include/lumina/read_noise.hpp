// Noise that an array's devices add while they are read: stages of array() (analog_gemm.hpp), in
// units of x̂ and ŵ. Each draws one normal N an element, and is straight through for gradients.
#pragma once

#include <array>
#include <cstddef>

#include "config.hpp"
#include "detail/simd/vectors.hpp"
#include "stage.hpp"
#include "stages.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// y + √variance·N, where Noise has variance(values, at, active, facts).
template <class Noise>
struct NoiseOfSums {
  static constexpr std::size_t normals_per_element = 1;

  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const std::array<Floats, 1>& normals, const Facts<Floats>& facts) const {
    const Floats variance = static_cast<const Noise&>(*this).variance(values, at, active, facts);
    return fused_multiply_add(square_root(variance), normals[0], values);
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

constexpr float square(float value) { return product(value, value); }

}  // namespace detail

/// PCM's read noise, a deviation of each product that grows with √|ŵ|: ŷ + stddev·√(Σ|ŵ|·x̂²)·N.
/// (M. J. Rasch et al., "A flexible and fast PyTorch toolkit for simulating training and inference
/// on analog crossbar arrays", AICAS 2021: w_noise of type PCM_READ; 0.0175 is its preset's.)
/// Error: a stddev that is negative, infinite or NaN; as all below.
struct ReadNoise : detail::NoiseOfSums<ReadNoise> {
  float stddev;

  explicit ReadNoise(float deviation) : stddev(deviation) {}
  static constexpr unsigned sums = Sums::squared_inputs;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::ReadNoise: stddev");
  }
  template <class Floats>
  constexpr Floats variance(const Floats&, const Coordinates&, const ActiveLanes&,
                            const Facts<Floats>& facts) const {
    return product(Floats(detail::square(stddev)), facts.squared_inputs);
  }
};

/// A deviation of each product that is proportional to its weight: ŷ + stddev·√(Σŵ²·x̂²)·N.
struct ProportionalReadNoise : detail::NoiseOfSums<ProportionalReadNoise> {
  float stddev;

  explicit ProportionalReadNoise(float deviation) : stddev(deviation) {}
  static constexpr unsigned sums = Sums::squares;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::ProportionalReadNoise: stddev");
  }
  template <class Floats>
  constexpr Floats variance(const Floats&, const Coordinates&, const ActiveLanes&,
                            const Facts<Floats>& facts) const {
    return product(Floats(detail::square(stddev)), facts.squares);
  }
};

/// A deviation of each weight that is the same for all: ŷ + stddev·‖x̂‖·N. (aihwkit's w_noise of
/// type ADDITIVE_CONSTANT.)
struct ConstantReadNoise : detail::NoiseOfSums<ConstantReadNoise> {
  float stddev;

  explicit ConstantReadNoise(float deviation) : stddev(deviation) {}
  static constexpr bool row_facts = true;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::ConstantReadNoise: stddev");
  }
  template <class Floats>
  constexpr Floats variance(const Floats&, const Coordinates&, const ActiveLanes&,
                            const Facts<Floats>& facts) const {
    return Floats(detail::product(detail::square(stddev), facts.row.sum_of_squares));
  }
};

/// Shot noise of a balanced detector, which goes with both currents and not with their difference:
/// ŷ + strength·√(Σ|ŵ||x̂|)·N. (ShotNoise has √|ŷ|.)
struct BalancedShotNoise : detail::NoiseOfSums<BalancedShotNoise> {
  float strength;

  explicit BalancedShotNoise(float deviation) : strength(deviation) {}
  static constexpr unsigned sums = Sums::magnitudes;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(strength, "lumina::BalancedShotNoise: strength");
  }
  template <class Floats>
  constexpr Floats variance(const Floats&, const Coordinates&, const ActiveLanes&,
                            const Facts<Floats>& facts) const {
    return product(Floats(detail::square(strength)), facts.magnitudes);
  }
};

/// A laser's relative intensity noise: ŷ·(1 + stddev·N), one N for all outputs of a row and array.
struct IntensityNoise {
  float stddev;

  static constexpr std::size_t normals_per_element = 1;
  static constexpr bool normals_of_row = true;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::IntensityNoise: stddev");
  }
  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const std::array<Floats, 1>& normals) const {
    return fused_multiply_add(product(values, Floats(stddev)), normals[0], values);
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
