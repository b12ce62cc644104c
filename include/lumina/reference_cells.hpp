// The oracle of cells: plain loops, short enough to check by eye (reference.hpp).
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "cells.hpp"
#include "config.hpp"
#include "detail/base/elementary.hpp"
#include "detail/base/scalar_math.hpp"
#include "noise.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// max(target + σ·N, 0)
inline float programmed_around(float target, float deviation, float normal) {
  return std::fmax(std::fma(deviation, normal, target), 0.0f);
}
inline float limited(float value, float lo, float hi) {
  return std::fmin(std::fmax(value, lo), hi);
}

/// σ_p, µS.
inline float deviation(const Pcm& cell, float g) {
  const float r = detail::product(g, 1.0f / cell.g_max);
  return detail::product(std::fma(std::fma(-1.1731f, r, 1.9650f), r, 0.26348f), cell.g_max / 25.0f);
}
inline float deviation(const PcmJoshi2020& cell, float g) {
  const float at_25 = detail::product(g, 25.0f / cell.g_max);
  return detail::product(std::fma(std::fma(-0.00178767f, at_25, 0.07585724f), at_25, 0.28638599f),
                         cell.g_max / 25.0f);
}
inline float deviation(const ReRamMilo2021&, float g) { return std::fma(-0.009107f, g, 4.782321f); }
inline float deviation(const ReRamWan2022&, float g) {
  return std::fma(std::fma(std::fma(1.536e-4f, g, -1.167e-2f), g, 0.2374f), g, 1.053f);
}
inline float deviation(const PolynomialCell& cell, float g) {
  float sum = cell.coefficients[4];
  for (int i = 3; i >= 0; --i) sum = std::fma(sum, g, cell.coefficients[i]);
  return std::fmax(sum, 0.0f);
}

/// g(t) of Pcm and PcmJoshi2020.
inline float pcm_at(double seconds, float g_max, float target, float programmed, float drift_normal,
                    float read_normal) {
  using detail::exponential, detail::natural_logarithm, detail::product;
  const float drift_time = natural_logarithm(static_cast<float>((seconds + 20.0) / 20.0));
  const float read_root =
      std::sqrt(natural_logarithm(static_cast<float>((seconds + 20.0 + 250e-9) / (2.0 * 250e-9))));

  const float log = natural_logarithm(std::fmax(product(target, 1.0f / g_max), 1e-7f));
  const float mean = limited(std::fma(-0.0155f, log, 0.0244f), 0.049f, 0.1f);
  const float spread = limited(std::fma(-0.0125f, log, -0.0059f), 0.008f, 0.045f);
  const float exponent = std::fabs(std::fma(spread, drift_normal, mean));
  const float drifted = product(programmed, exponential(product(exponent, -drift_time)));

  const float log_programmed = natural_logarithm(product(programmed, 1.0f / g_max));
  const float strength =
      std::fmin(product(0.0088f, exponential(product(-0.65f, log_programmed))), 0.2f);
  return programmed_around(drifted, product(product(drifted, strength), read_root), read_normal);
}

/// What a device has of this target, and with these draws.
template <class Cell>
requires requires(const Cell& cell) { deviation(cell, 0.0f); }
float conductance(const Cell& cell, float target, std::optional<double> seconds,
                  const float* drawn) {
  const float programmed = programmed_around(target, deviation(cell, target), drawn[0]);
  if constexpr (detail::ChangesWithTime<Cell>) {
    if (seconds) return pcm_at(*seconds, cell.g_max, target, programmed, drawn[1], drawn[2]);
  }
  return programmed;
}
template <class Cell>
float conductance(const StuckAt<Cell>& cell, float target, std::optional<double> seconds,
                  const float* drawn) {
  const float uniform = drawn[Cell::draws.size()];
  if (uniform > 1.0f - cell.p_on) return cell.g_max;
  if (uniform < cell.p_off) return cell.g_min;
  return conductance(cell.cell, target, seconds, drawn);
}

/// What device number `device` of (row, column) has.
template <class Cell>
float conductance(const Cell& cell, float target, std::optional<double> seconds,
                  const NoiseKey& chip, std::size_t row, std::size_t column,
                  std::size_t device = 0) {
  NoiseKey reading = chip;
  if (seconds) {
    reading.stream ^= detail::SplitMix64::mix(std::bit_cast<std::uint64_t>(*seconds + 0.0));
  }
  float drawn[Cell::draws.size()];
  for (std::size_t i = 0; i < Cell::draws.size(); ++i) {
    const std::size_t draw = device * Cell::draws.size() + i;
    const NoiseKey& key = Cell::draws[i] == Draw::reading ? reading : chip;
    drawn[i] = Cell::draws[i] == Draw::uniform ? standard_uniform_at(key, row, column, draw)
                                               : standard_normal_at(key, row, column, draw);
  }
  return conductance(cell, target, seconds, drawn);
}

/// lumina::conductances; arguments are not checked.
template <class Cell>
void conductances(const Cell& cell, std::span<const float> targets, std::span<float> result,
                  std::optional<double> seconds, const NoiseKey& key) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    result[i] = conductance(cell, targets[i], seconds, key, 0, i);
  }
}

/// The target of device 0 (g⁺) or 1 (g⁻) of ŵ.
inline float target(const Cells& cells, float g_max, float weight, std::size_t device) {
  const float own = limited(device == 0 ? weight : -weight, -1.0f, 1.0f);
  const float range = g_max - cells.g_min, half = 0.5f * range;
  if (cells.pair == Pair::differential) {
    return std::fmin(std::fma(std::fmax(own, 0.0f), range, cells.g_min), g_max);
  }
  return limited(std::fma(own, half, cells.g_min + half), cells.g_min, g_max);
}
/// ŵ that a pair is read as.
inline float weight(const Cells& cells, float g_max, float plus, float minus) {
  const float range = g_max - cells.g_min, half = 0.5f * range;
  if (cells.pair != Pair::offset) return detail::product(plus - minus, 1.0f / range);
  return detail::product(plus - (cells.g_min + half), 1.0f / half);
}

/// The ŵ that the devices of w(row, column) are read as, whose array has this scale.
template <class Cell>
float programmed_weight(const Cell& cell, const Cells& cells, int bits, float w, float scale,
                        std::optional<double> seconds, const NoiseKey& chip, std::size_t row,
                        std::size_t column) {
  float relative = scale == 0.0f ? 0.0f : w / scale;
  if (bits != 0) {
    const auto levels = static_cast<float>((1 << (bits - 1)) - 1);
    relative = std::nearbyint(detail::product(limited(relative, -1.0f, 1.0f), levels)) / levels;
  }
  float g[2] = {};
  for (std::size_t device = 0; device < cells.devices(); ++device) {
    g[device] = conductance(cell, target(cells, cell.g_max, relative, device), seconds, chip, row,
                            column, device);
  }
  return weight(cells, cell.g_max, g[0], g[1]);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
