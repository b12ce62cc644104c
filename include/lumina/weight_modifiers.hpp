// More noises on weights for hardware-aware training, and ways to put them together: what the
// field's simulators call weight modifiers (aihwkit, WeightModifierType).
//
//   encode_weights(w, coded, 8, PerOutput{AdditiveWeightNoise{0.03f}}, key);
//   encode_weights(w, coded, 4, both(ProgrammingWeightNoise{}, DropConnect{0.01f}), key);
//   encode_weights(w, coded, 8, SparedInput{AdditiveWeightNoise{0.03f}, in - 1}, key);
//
// With m the largest |w| and n the weight's normal, a weight w becomes
//
//   PolynomialWeightNoise   w + m·σ(|w| / m)·n, σ a polynomial
//   ProgrammingWeightNoise  the same with σ in µS over g_max; a weight keeps its sign, as |…|
//   DiscretisedWeights      m·resolution·rint(w / (m·resolution)) + m·stddev·n
//   DoReFaWeights           resolution·rint(tanh(w)·clip / tanh(m) / resolution)
//
// All are straight through in the backward pass. Discretisation alone is what the bits of
// encode_weights do.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "config.hpp"
#include "detail/base/elementary.hpp"
#include "detail/base/message.hpp"
#include "detail/simd/elementary.hpp"
#include "detail/simd/vectors.hpp"
#include "epilogue.hpp"
#include "weight_noise.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The largest magnitude that a noise is relative to is that of the weight's own output ("per
/// column" of the array, "per channel"), not of w.
template <class Noise>
struct PerOutput {
  Noise noise;
  static constexpr bool per_output = true;

  constexpr explicit PerOutput(const Noise& of_output) : noise(of_output) {}
  constexpr auto perturbation(float largest_of_output) const {
    return noise.perturbation(largest_of_output);
  }
  bool valid_for(float largest) const { return noise.valid_for(largest); }
  constexpr float deviation(float highest_level, float largest_of_output) const {
    return detail::deviation_of(noise, highest_level, largest_of_output, largest_of_output);
  }
  auto gradient_stage() const { return noise.gradient_stage(); }
};

namespace detail {

/// The gradient by weights of which those of one input are as they were.
template <class GradientStage>
struct GradientSparesInput {
  GradientStage stage;
  std::size_t input;

  static constexpr std::size_t normals_per_element = normals_of<GradientStage>;
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& gradient, const Coordinates& at, const ActiveLanes& active,
                         const Normals& normals) const {
    const Floats noisy = stage.apply(gradient, at, active, normals);
    const std::size_t lane = input - at.column;
    if (lane >= Floats::size) return noisy;
    alignas(64) float lanes[Floats::size] = {};
    lanes[lane] = 1.0f;
    return select(Floats::load_aligned(lanes) > Floats(0.0f), gradient, noisy);
  }
};

}  // namespace detail

/// Of one input the weights stay as they are, not even on levels: the last one's, which hold the
/// bias, in the field's simulators. (Of the largest magnitude they are part.)
template <class Noise>
struct SparedInput {
  Noise noise;
  std::size_t input;
  static constexpr bool per_output = detail::is_per_output<Noise>;

  constexpr SparedInput(const Noise& of_others, std::size_t spared)
      : noise(of_others), input(spared) {}
  constexpr auto perturbation(float largest) const { return noise.perturbation(largest); }
  bool valid_for(float largest) const { return noise.valid_for(largest); }
  constexpr float deviation(float highest_level, float largest) const {
    return detail::deviation_of(noise, highest_level, largest, largest);
  }
  auto gradient_stage() const {
    return detail::GradientSparesInput<decltype(noise.gradient_stage())>{noise.gradient_stage(),
                                                                         input};
  }
};

/// One noise behind the other, with independent normals: draw 0 and, of the second, the draw behind
/// those of the first. Neither is itself two.
template <class First, class Second>
class TwoWeightNoises {
 public:
  static constexpr bool two_noises = true;

  constexpr TwoWeightNoises(const First& first, const Second& second)
      : first_(first), second_(second) {}
  constexpr const First& first() const { return first_; }
  constexpr const Second& second() const { return second_; }

  bool valid_for(float largest) const {
    return first_.valid_for(largest) && second_.valid_for(largest);
  }
  /// The second one's first, as it came last.
  auto gradient_stage() const {
    return detail::GradientOfTwo<decltype(first_.gradient_stage()),
                                 decltype(second_.gradient_stage())>{first_.gradient_stage(),
                                                                     second_.gradient_stage()};
  }

 private:
  First first_;
  Second second_;
};

template <WeightNoise First, WeightNoise Second>
TwoWeightNoises<First, Second> both(const First& first, const Second& second) {
  return {first, second};
}

namespace detail {

/// Coefficients of a polynomial, lowest power first; of a lower degree the last ones are 0.
using Polynomial = std::array<float, 5>;

inline bool valid_polynomial(const Polynomial& polynomial, float factor, float largest,
                             const char* what) {
  bool finite = factor >= 0.0f && std::isfinite(factor);
  double sum = 0.0;
  for (const float coefficient : polynomial) {
    finite = finite && std::isfinite(coefficient);
    sum += std::fabs(static_cast<double>(coefficient));
  }
  constexpr auto kLargest = static_cast<double>(std::numeric_limits<float>::max());
  if (finite && sum * static_cast<double>(factor) <= kLargest &&
      sum * static_cast<double>(factor) * static_cast<double>(largest) <= kLargest) {
    return true;
  }
  report_error((Message() << what
                          << ": coefficients, their factor, not negative, and what they make of "
                             "the largest weight must be finite")
                   .c_str());
  return false;
}

/// w + scale·σ(|w| / largest)·n with scale = largest·factor, or its magnitude with w's sign.
template <bool KeepsSign>
struct PolynomialPerturbation {
  Polynomial coefficients;
  float largest;  ///< not 0
  float scale;

  template <class Floats>
  constexpr Floats deviation(const Floats& weights) const {
    const Floats relative = quotient(abs(weights), Floats(largest));
    Floats sigma(coefficients[4]);
    for (std::size_t i = 4; i-- > 0;) {
      sigma = fused_multiply_add(sigma, relative, Floats(coefficients[i]));
    }
    return product(Floats(scale), sigma);
  }
  template <class Floats>
  constexpr Floats operator()(const Floats& weights, const Floats& normals) const {
    const Floats noisy = fused_multiply_add(deviation(weights), normals, weights);
    if constexpr (KeepsSign) {
      const Floats magnitude = abs(noisy), zero(0.0f);
      return select(weights < zero, zero - magnitude, magnitude);
    } else {
      return noisy;
    }
  }
  /// The largest |deviation| of weights up to the highest level: of 65 magnitudes from 0 on.
  constexpr float largest_deviation(float highest) const {
    float result = 0.0f;
    for (int i = 0; i <= 64; ++i) {
      const float weight = product(highest, static_cast<float>(i) / 64.0f);
      float sigma = coefficients[4];
      for (std::size_t power = 4; power-- > 0;) {
        sigma = fused_multiply_add(sigma, weight / largest, coefficients[power]);
      }
      result = std::max(result, std::fabs(product(scale, sigma)));
    }
    return result;
  }
};
template <bool KeepsSign>
constexpr PolynomialPerturbation<KeepsSign> polynomial_perturbation(const Polynomial& coefficients,
                                                                    float factor, float largest) {
  return {coefficients, largest > 0.0f ? largest : 1.0f, product(largest, factor)};
}

}  // namespace detail

/// w + m·σ(|w| / m)·n, σ(r) = stddev·(c₀ + c₁r + … + c₄r⁴), m the largest |w| (aihwkit: Poly).
/// Errors: a stddev that is negative, coefficients that are not finite, deviations that are not.
struct PolynomialWeightNoise {
  float stddev;
  detail::Polynomial coefficients;

  constexpr auto perturbation(float largest) const {
    return detail::polynomial_perturbation<false>(coefficients, stddev, largest);
  }
  bool valid_for(float largest) const {
    return detail::valid_polynomial(coefficients, stddev, largest, "lumina::PolynomialWeightNoise");
  }
  constexpr float deviation(float highest_level, float largest) const {
    return perturbation(largest).largest_deviation(highest_level);
  }
  detail::GradientPasses gradient_stage() const { return {}; }
};

/// As devices are programmed: σ(r) = stddev·(c₀ + c₁r + … + c₄r⁴) / g_max, the polynomial in µS.
/// What would cross 0 is mirrored, so that a weight keeps its sign (aihwkit: ProgNoise). As given,
/// PCM: 0.26348 + 1.9650r − 1.1731r² with g_max = 25 µS (Nandakumar et al., "Phase-change memory
/// models for deep learning training and inference", 2019; Joshi et al., "Accurate deep neural
/// network inference using computational phase-change memory", 2020).
/// Errors: also a g_max that is not positive.
struct ProgrammingWeightNoise {
  float stddev = 1.0f;
  detail::Polynomial coefficients = {0.26348f, 1.9650f, -1.1731f, 0.0f, 0.0f};
  float g_max = 25.0f;

  constexpr auto perturbation(float largest) const {
    return detail::polynomial_perturbation<true>(coefficients, stddev / g_max, largest);
  }
  bool valid_for(float largest) const {
    if (!(g_max > 0.0f)) {
      detail::report_error("lumina::ProgrammingWeightNoise: g_max must be positive");
      return false;
    }
    return detail::valid_polynomial(coefficients, stddev / g_max, largest,
                                    "lumina::ProgrammingWeightNoise");
  }
  constexpr float deviation(float highest_level, float largest) const {
    return perturbation(largest).largest_deviation(highest_level);
  }
  detail::GradientPasses gradient_stage() const { return {}; }
};

/// Multiples of resolution·m, m the largest |w|, with or without noise on them (aihwkit:
/// Discretize, DiscretizeAddNormal; resolution 1/127 is that of symmetric codes of 8 bits).
/// Errors: a resolution outside [2^-20, 1], a stddev as AdditiveWeightNoise's.
struct DiscretisedWeights {
  float resolution;
  float stddev = 0.0f;

  struct Perturbation {
    float step, deviation;
    template <class Floats>
    constexpr Floats operator()(const Floats& weights, const Floats& normals) const {
      const Floats levels =
          product(detail::round_half_even(quotient(weights, Floats(step))), Floats(step));
      return fused_multiply_add(Floats(deviation), normals, levels);
    }
  };
  constexpr Perturbation perturbation(float largest) const {
    const float step = product(resolution, largest);
    return {step > 0.0f ? step : 1.0f, product(stddev, largest)};
  }
  bool valid_for(float largest) const {
    if (!(resolution >= 0x1p-20f && resolution <= 1.0f)) {
      detail::report_error("lumina::DiscretisedWeights: resolution must be in [2^-20, 1]");
      return false;
    }
    return detail::valid_weight_deviation(stddev, largest, "lumina::DiscretisedWeights: stddev");
  }
  constexpr float deviation(float, float largest) const { return product(stddev, largest); }
  detail::GradientPasses gradient_stage() const { return {}; }
};

/// Weights through tanh onto multiples of the resolution, the largest one to ± clip (S. Zhou et
/// al., "DoReFa-Net: training low bitwidth convolutional neural networks with low bitwidth
/// gradients", 2016, equation 9, as aihwkit: DoReFa has it). Encoded, levels come before it and the
/// grid of 8 bits behind it; pack_weights has the multiples themselves.
/// Errors: a resolution outside [2^-20·clip, clip], a clip that is not positive or not finite.
struct DoReFaWeights {
  float resolution;
  float clip = 1.0f;

  struct Perturbation {
    float resolution, scale;
    template <class Floats>
    constexpr Floats operator()(const Floats& weights) const {
      const Floats bent = product(detail::hyperbolic_tangent(weights), Floats(scale));
      const Floats codes = detail::round_half_even(quotient(bent, Floats(resolution)));
      return product(codes, Floats(resolution));
    }
  };
  constexpr Perturbation perturbation(float largest) const {
    const float highest = detail::hyperbolic_tangent(largest);
    return {resolution, highest > 0x1p-100f ? clip / highest : 0.0f};
  }
  bool valid_for(float) const {
    if (clip > 0.0f && clip <= std::numeric_limits<float>::max() && resolution <= clip &&
        resolution >= 0x1p-20f * clip && resolution > 0.0f) {
      return true;
    }
    detail::report_error(
        "lumina::DoReFaWeights: clip must be positive and finite, resolution in [2^-20 clip, "
        "clip]");
    return false;
  }
  /// No noise, but weights may become larger than they were: up to clip, and a half step.
  constexpr float deviation(float highest_level, float) const {
    return std::max(0.0f, clip + 0.5f * resolution - highest_level) * 0.25f;
  }
  detail::GradientPasses gradient_stage() const { return {}; }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
