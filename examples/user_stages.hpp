// Stages of your own: what a device does that the library does not know.
//
// Behind each column of this crossbar stands an amplifier. Its gain is off by an amount that
// belongs to the column, jitters from one read-out to the next, and it saturates.
#pragma once

#include <lumina/epilogue.hpp>

#include <array>
#include <cstddef>
#include <span>

/// y · gain[column] · (1 + jitter·N(0, 1)); `gain` must live as long as the stage is used.
struct Amplifier {
  std::span<const float> gain;
  float jitter;

  static constexpr std::size_t normals_per_element = 1;
  template <class Floats>
  constexpr Floats apply(const Floats& y, const lumina::Coordinates& at,
                         const lumina::ActiveLanes& active,
                         const std::array<Floats, 1>& normals) const {
    const Floats amplified = lumina::product(y, lumina::load_columns<Floats>(gain, at, active));
    return lumina::fused_multiply_add(lumina::product(Floats(jitter), normals[0]), amplified,
                                      amplified);
  }
};

/// y / (1 + |y| / limit): nearly y when small, never beyond ± limit.
struct Saturation {
  float limit;

  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& y, const lumina::Coordinates&, const lumina::ActiveLanes&,
                         const Normals&) const {
    return lumina::quotient(y, Floats(1.0f) + lumina::quotient(abs(y), Floats(limit)));
  }
};
