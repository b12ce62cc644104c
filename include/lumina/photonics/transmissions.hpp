// Weights as transmissions of light, which are positive and never 0: micro-rings and modulators.
// A weight is the difference of two of them,
//
//   w = s·(T⁺ − T⁻) / (T_max − T_min),   T± of T_min + (T_max − T_min)·max(± w/s, 0)
//
// or one alone, for weights that are not negative: w = s·T, T in [T_min, T_max]. s is max |w| of an
// output (or, per_matrix, of w).
//
//   lumina::transmission_weights(w, MicroRing{.shifters = {.bits = 8}}, chip, weights);
//
// It happens when weights are programmed, and costs a call nothing. In double, by roundings in a
// fixed order: the same bits on every machine with IEEE doubles.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <vector>

#include "../coded_weights.hpp"
#include "../config.hpp"
#include "../detail/base/double_math.hpp"
#include "../detail/base/message.hpp"
#include "../detail/rows/photonic_checks.hpp"
#include "../matrix.hpp"
#include "../noise.hpp"
#include "phase_shifters.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// All-pass micro-rings, whose transmission at a round trip's phase φ is
///
///   T(φ) = (a² + r² − 2·a·r·cos φ) / (1 + a²·r² − 2·a·r·cos φ),   least on resonance, φ = 0
///
/// Rings of an output are neighbours along its bus and warm each other. Source: W. Bogaerts et al.,
/// "Silicon microring resonators", Laser & Photonics Reviews 6, 47 (2012).
struct MicroRing {
  double amplitude = 0.9;  ///< a: what is left of the amplitude after a round trip, in (0, 1)
  double coupling = 0.9;   ///< r: what the coupler lets pass, in (0, 1); a = r is critical
  PhaseShifters shifters = {};

  bool valid() const {
    const auto inside = [](double x) { return x > 0.0 && x < 1.0; };
    if (inside(amplitude) && inside(coupling)) return shifters.valid();
    detail::report_error("lumina::MicroRing: amplitude and coupling must be between 0 and 1");
    return false;
  }

  double transmission(double phase) const { return at_cosine(detail::sine_cosine(phase).cosine); }
  double lowest() const { return at_cosine(1.0); }
  double highest() const { return at_cosine(-1.0); }

  /// The phase in [0, π] with this transmission, the nearest one where there is none.
  double phase(double transmission) const {
    const double a2 = squared(amplitude), r2 = squared(coupling);
    const double t = std::clamp(transmission, lowest(), highest());
    const double above =
        (a2 + r2) - detail::rounded_product(t, 1.0 + detail::rounded_product(a2, r2));
    const double cosine = std::clamp(above / detail::rounded_product(twice(), 1.0 - t), -1.0, 1.0);
    const double sine = __builtin_sqrt(detail::rounded_product(1.0 - cosine, 1.0 + cosine));
    return detail::angle(sine, cosine);
  }

  /// Transmissions wanted of the rings of a bus; those that it has. Ring k of unit u deviates by
  /// the normal of (chip, u, k).
  void program(std::span<double> transmissions, const NoiseKey& chip, std::size_t unit) const {
    std::vector<double> phases(transmissions.size());
    for (std::size_t k = 0; k < phases.size(); ++k) {
      phases[k] = shifters.driven(phase(transmissions[k]), chip, unit, k);
    }
    for (std::size_t k = 0; k < phases.size(); ++k) {
      double neighbours = k > 0 ? phases[k - 1] : 0.0;
      if (k + 1 < phases.size()) neighbours += phases[k + 1];
      transmissions[k] =
          transmission(phases[k] + detail::rounded_product(shifters.crosstalk, neighbours));
    }
  }

 private:
  static double squared(double x) { return detail::rounded_product(x, x); }
  double twice() const { return 2.0 * detail::rounded_product(amplitude, coupling); }
  double at_cosine(double cosine) const {
    const double a2 = squared(amplitude), r2 = squared(coupling);
    const double part = detail::rounded_product(twice(), cosine);
    return ((a2 + r2) - part) / ((1.0 + detail::rounded_product(a2, r2)) - part);
  }
};

/// Modulators (absorbing cells, interferometers) that let between 1 / extinction_ratio and all of
/// the light pass: in 2^bits equal steps from end to end, each off by σN, within these ends.
struct IntensityModulator {
  double extinction_ratio = 100.0;  ///< a ratio, no decibels; above 1: infinite is none
  int bits = 0;                     ///< 2^bits levels, 1 … 24; 0: any transmission
  double deviation = 0.0;           ///< σ of the transmission, drawn once for each of a chip

  bool valid() const {
    if (extinction_ratio > 1.0 && bits >= 0 && bits <= 24 && deviation >= 0.0 && deviation < 1e3) {
      return true;
    }
    detail::report_error(
        "lumina::IntensityModulator: the extinction ratio must be above 1, bits in 0..24 and the "
        "deviation in 0..1000");
    return false;
  }
  double lowest() const { return 1.0 / extinction_ratio; }
  double highest() const { return 1.0; }

  void program(std::span<double> transmissions, const NoiseKey& chip, std::size_t unit) const {
    const double range = 1.0 - lowest();
    const auto steps = static_cast<double>((std::size_t{1} << bits) - 1);
    for (std::size_t k = 0; k < transmissions.size(); ++k) {
      double t = transmissions[k];
      if (bits != 0) {
        const double index =
            detail::nearest_integer(detail::rounded_product((t - lowest()) / range, steps));
        t = lowest() + detail::rounded_product(range, index / steps);
      }
      if (deviation != 0.0) {
        const auto normal = static_cast<double>(standard_normal_at(chip, unit, k));
        t += detail::rounded_product(deviation, normal);
      }
      transmissions[k] = std::clamp(t, lowest(), 1.0);
    }
  }
};

/// What transmission_weights programs: between lowest() and highest(), a row of an array at a time.
template <class D>
concept TransmissionDevice = requires(const D& device, std::span<double> row, const NoiseKey& chip,
                                      std::size_t unit) {
  { device.valid() } -> std::convertible_to<bool>;
  { device.lowest() } -> std::convertible_to<double>;
  { device.highest() } -> std::convertible_to<double>;
  device.program(row, chip, unit);
};

/// How many devices a weight has.
enum class Transmissions {
  difference,  ///< two: units 2·output and 2·output + 1 of the chip
  single,      ///< one: unit 2·output; weights below T_min, negative ones too, become T_min
};

/// `result` [out, in] = the weights w [out, in] that the devices of a chip have. Errors, before
/// anything is written: those of the device; another shape of the result, missing data, overlapping
/// matrices, a weight that is infinite or NaN. The result: whether they were programmed.
template <TransmissionDevice Device>
bool transmission_weights(MatrixView<const float> w, const Device& device, const NoiseKey& chip,
                          MatrixView<float> result, Transmissions kind = Transmissions::difference,
                          WeightScale how = WeightScale::per_output) {
  if (!device.valid() ||
      !detail::photonic_weights_valid("transmission_weights", w, result, w.cols())) {
    return false;
  }
  const double lowest = device.lowest(), range = device.highest() - lowest;
  std::vector<double> row(w.cols()), other(w.cols());
  for (std::size_t out = 0; out < w.rows(); ++out) {
    const double scale = how == WeightScale::per_output ? detail::largest_weight(w, out, 1)
                                                        : detail::largest_weight(w, 0, w.rows());
    const auto targets = [&](std::vector<double>& to, double sign) {
      for (std::size_t k = 0; k < to.size(); ++k) {
        const double part = scale > 0.0 ? sign * static_cast<double>(w(out, k)) / scale : 0.0;
        to[k] = kind == Transmissions::single
                    ? std::clamp(part, lowest, device.highest())
                    : lowest + detail::rounded_product(range, std::max(part, 0.0));
      }
    };
    targets(row, 1.0);
    device.program(row, chip, 2 * out);
    if (kind == Transmissions::difference) {
      targets(other, -1.0);
      device.program(other, chip, 2 * out + 1);
      for (std::size_t k = 0; k < row.size(); ++k) row[k] = (row[k] - other[k]) / range;
    }
    for (std::size_t k = 0; k < row.size(); ++k) {
      result(out, k) = static_cast<float>(detail::rounded_product(scale, row[k]));
    }
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
