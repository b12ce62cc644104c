// What each ISA's translation unit exports. No type of lumina's appears: they belong to one ISA.
#pragma once

#include <cstddef>

struct Problem {
  std::size_t batch, in, out;
  const float* x;  // [batch, in]
  const float* w;  // [out, in]
};

// Everything that must have the same bits on every ISA, one after the other: the fused product
// [batch, out], then as many normals, uniforms, quantized values and outputs of the coded engine,
// each [batch, out] too. Says whether the unit is compiled with FMA.
using Unit = bool(const Problem& problem, float* results);
inline constexpr std::size_t results_per_output = 5;

inline constexpr float adc_lo = -4.0f, adc_hi = 4.0f;
inline constexpr float adc_step = (adc_hi - adc_lo) / 63.0f;  // six bits
