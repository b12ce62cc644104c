// The built-in stages: bias, activation, loss, noise. (Quantizers are stages too, quantizer.hpp.)
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/message.hpp"
#include "stage.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// y + bias[column]. The bias is not copied: it must live as long as the stage is used, so it is no
/// temporary.
struct AddBias {
  detail::KeptSpan<const float> bias;

  bool valid_for(std::size_t rows, std::size_t cols) const {
    if (bias.size() == cols) return true;
    detail::report_error((detail::Message()
                          << "lumina::AddBias: bias has " << bias.size()
                          << " elements, the output is " << detail::Shape{rows, cols})
                             .c_str());
    return false;
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    return values + load_columns<Floats>(bias, at, active);
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// max(y, 0); NaN stays NaN.
struct Relu {
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    return select(values < Floats(0.0f), Floats(0.0f), values);
  }
  template <class Floats>
  constexpr auto passes(const Floats& values) const {
    return values > Floats(0.0f);
  }
};

/// Optical loss: y · factor.
struct Attenuation {
  float factor;

  /// factor = 10^(−decibel / 10).
  static Attenuation from_decibel(float decibel) {
    return {static_cast<float>(std::pow(10.0, -static_cast<double>(decibel) / 10.0))};
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    return product(values, Floats(factor));
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return product(gradient, Floats(factor));
  }
};

namespace detail {

inline bool valid_strength(float strength, const char* what) {
  if (strength >= 0.0f && strength <= std::numeric_limits<float>::max()) return true;
  report_error((Message() << what << " must be finite and not negative").c_str());
  return false;
}

}  // namespace detail

/// Additive noise: y + stddev·N(0, 1).
struct GaussianNoise {
  float stddev;

  static constexpr std::size_t normals_per_element = 1;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::GaussianNoise: stddev");
  }
  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const std::array<Floats, 1>& normals) const {
    return fused_multiply_add(Floats(stddev), normals[0], values);
  }
  /// σ² of what is added, for independent().
  template <class Floats>
  constexpr Floats variance(const Floats&, const Coordinates&, const ActiveLanes&) const {
    return Floats(product(stddev, stddev));
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// Signal-dependent noise: y + strength·√|y|·N(0, 1). Straight through: the backward pass takes the
/// deviation for a constant, as is usual in noise-aware training.
struct ShotNoise {
  float strength;

  static constexpr std::size_t normals_per_element = 1;
  bool valid_for(std::size_t, std::size_t) const {
    return detail::valid_strength(strength, "lumina::ShotNoise: strength");
  }
  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const std::array<Floats, 1>& normals) const {
    const Floats deviation = product(Floats(strength), square_root(abs(values)));
    return fused_multiply_add(deviation, normals[0], values);
  }
  template <class Floats>
  constexpr Floats variance(const Floats& values, const Coordinates&, const ActiveLanes&) const {
    return product(Floats(product(strength, strength)), abs(values));
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

/// ShotNoise whose backward pass has the derivative of the deviation too: with the normal n that y
/// got, 1 + strength·n·sign(y) / (2·√|y|), which near 0 is as large as it likes; 1 at 0 itself.
struct ShotNoiseWithDerivative {
  float strength;

  static constexpr std::size_t normals_per_element = 1;
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return ShotNoise{strength}.valid_for(rows, cols);
  }
  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const std::array<Floats, 1>& normals) const {
    return ShotNoise{strength}.apply(values, at, active, normals);
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient, const Floats& values, const Coordinates&,
                            const ActiveLanes&, const std::array<Floats, 1>& normals) const {
    const Floats zero(0.0f), root = square_root(abs(values));
    const Floats slope = quotient(product(Floats(0.5f * strength), normals[0]), root);
    const Floats change = select(values > zero, slope, zero - slope);
    // At 0, and for NaN, the gradient itself: 0 times an infinite one would be NaN.
    return select(abs(values) > zero, fused_multiply_add(gradient, change, gradient), gradient);
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
