// Phase-change memory: programming noise, drift and 1/f read noise.
//
// With r = g / g_max of the target g, N of three draws, all conductances in µS and
// t₀ = 20 s, t_r = 250 ns:
//
//   programmed   g' = max(g + σ_p(r)·N, 0)
//   drift        g_d = g'·((t + t₀) / t₀)^−ν,   ν = |ν̄ + σ_ν·N|,   with r at least 1e-7
//                  ν̄   = −0.0155·ln r + 0.0244, limited to [0.049, 0.1]
//                  σ_ν = −0.0125·ln r − 0.0059, limited to [0.008, 0.045]
//   read         g(t) = max(g_d·(1 + Q·√ln((t + t₀ + t_r) / (2·t_r))·N), 0)
//                  Q = min(0.0088 / (g' / g_max)^0.65, 0.2)
//
// t counts from the end of programming. σ_ν and ν̄ are of the chip; N of a reading is of the chip
// and the time, and frozen for it: the same time again is the same reading.
//
// Sources: V. Joshi et al., "Accurate deep neural network inference using computational
// phase-change memory", Nature Communications 11, 2473 (2020), Methods and Supplementary Note 2;
// S. R. Nandakumar et al., "Precision of synaptic weights programmed in phase-change memory devices
// for deep learning inference", ICECS 2020 (σ_p); M. Le Gallo et al., "Collective structural
// relaxation in phase-change memory devices", Advanced Electronic Materials 4, 1700627 (2018)
// (drift). The constants are those that aihwkit's PCMLikeNoiseModel has.
#pragma once

#include <array>
#include <cstddef>

#include "../config.hpp"
#include "../detail/base/elementary.hpp"
#include "../detail/base/polynomial.hpp"
#include "../detail/base/scalar_math.hpp"
#include "../detail/simd/elementary.hpp"
#include "../detail/simd/polynomial.hpp"
#include "../detail/simd/vectors.hpp"
#include "cell_model.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// All times in seconds.
struct PcmConstants {
  static constexpr double t0 = 20.0;              ///< from programming to the first reading
  static constexpr double read_time = 250e-9;     ///< t_r
  static constexpr float least_relative = 1e-7f;  ///< of r, for the logarithm

  // ν̄ and σ_ν: slope by ln r, value at r = 1, lowest, highest.
  static constexpr float drift_mean[4] = {-0.0155f, 0.0244f, 0.049f, 0.1f};
  static constexpr float drift_deviation[4] = {-0.0125f, -0.0059f, 0.008f, 0.045f};

  // Q.
  static constexpr float read_factor = 0.0088f, read_exponent = -0.65f, read_most = 0.2f;
};

/// What all devices have in common at a time.
struct PcmMoment {
  float drift_time;  ///< ln((t + t₀) / t₀)
  float read_root;   ///< √ln((t + t₀ + t_r) / (2·t_r))
  float inverse;     ///< 1 / g_max

  /// Quotients in double, rounded to float.
  static PcmMoment at(double seconds, float g_max) {
    using C = PcmConstants;
    const double since = seconds + C::t0;
    const auto drift_ratio = static_cast<float>(since / C::t0);
    const auto read_ratio = static_cast<float>((since + C::read_time) / (2.0 * C::read_time));
    return {natural_logarithm(drift_ratio), __builtin_sqrtf(natural_logarithm(read_ratio)),
            1.0f / g_max};
  }
};

/// slope·ln r + offset, limited.
template <class Floats>
[[gnu::always_inline]] inline Floats line_of_log(const float (&line)[4], const Floats& log) {
  const Floats value = fused_multiply_add(Floats(line[0]), log, Floats(line[1]));
  return min_or_second(max_or_second(value, Floats(line[2])), Floats(line[3]));
}

/// g(t). The arguments of exp and log are such that their short forms do.
template <class Floats>
[[gnu::always_inline]] inline Floats pcm_at(const PcmMoment& moment, const Floats& targets,
                                            const Floats& programmed, const Floats& drift_normals,
                                            const Floats& read_normals) {
  using C = PcmConstants;
  const Floats least(C::least_relative);
  const Floats log =
      logarithm_of_normal(max_or_second(product(targets, Floats(moment.inverse)), least));
  // |ν| < 0.41, and the logarithm of the latest time is 43.
  const Floats exponent = abs(fused_multiply_add(line_of_log(C::drift_deviation, log),
                                                 drift_normals, line_of_log(C::drift_mean, log)));
  const Floats drifted =
      product(programmed, exponential_of_small(product(exponent, Floats(-moment.drift_time))));

  // (Where r' is below `least`, Q has long been at its most.)
  const Floats log_programmed =
      logarithm_of_normal(max_or_second(product(programmed, Floats(moment.inverse)), least));
  const Floats power = exponential_of_small(product(Floats(C::read_exponent), log_programmed));
  const Floats strength =
      min_or_second(product(Floats(C::read_factor), power), Floats(C::read_most));
  const Floats deviations = product(product(drifted, strength), Floats(moment.read_root));
  return programmed_around(drifted, deviations, read_normals);
}

/// A PCM cell whose σ_p, at the g_max of its publication, is a polynomial of degree 2. Derived has
/// that: kDeviation, kPublishedMaximum and whether it is one of r or of g (kOfRelative), and name.
template <class Derived>
struct PcmCell {
  static constexpr std::array draws{Draw::programming, Draw::drift, Draw::reading};

  bool valid() const { return g_max_valid(g_max(), Derived::name); }

  /// σ_p, in µS, of a float or of vectors: where g_max is another one than that of the
  /// publication, that of the same r, times what g_max is larger.
  template <class Floats>
  [[gnu::always_inline]] Floats deviation(const Floats& targets) const {
    const float to_argument = Derived::kArgumentOfFullyOn / g_max();
    const float from_published = g_max() / Derived::kPublishedMaximum;
    const Floats argument = product(targets, Floats(to_argument));
    return product(polynomial(Derived::kDeviation, argument), Floats(from_published));
  }
  float largest_deviation() const {
    return detail::largest_deviation(g_max(), [this](float g) { return deviation(g); });
  }

  template <class Floats>
  [[gnu::always_inline]] Floats programmed(const Floats& targets,
                                           const std::array<Floats, 3>& drawn) const {
    return programmed_around(targets, deviation(targets), drawn[0]);
  }
  PcmMoment moment(double seconds) const { return PcmMoment::at(seconds, g_max()); }
  template <class Floats>
  [[gnu::always_inline]] Floats at(const PcmMoment& moment, const Floats& targets,
                                   const Floats& programmed,
                                   const std::array<Floats, 3>& drawn) const {
    return pcm_at(moment, targets, programmed, drawn[1], drawn[2]);
  }

 private:
  float g_max() const { return static_cast<const Derived&>(*this).g_max; }
};

}  // namespace detail

/// σ_p = 0.26348 + 1.9650·r − 1.1731·r² µS at g_max = 25 µS (Nandakumar 2020; aihwkit).
/// Error: a g_max that is not positive and finite.
struct Pcm : detail::PcmCell<Pcm> {
  float g_max = 25.0f;

  Pcm() = default;
  explicit constexpr Pcm(float fully_on) : g_max(fully_on) {}

  static constexpr const char* name = "Pcm";
  static constexpr float kDeviation[3] = {0.26348f, 1.9650f, -1.1731f};
  static constexpr float kArgumentOfFullyOn = 1.0f, kPublishedMaximum = 25.0f;
};

/// σ_p = −0.00178767·g² + 0.07585724·g + 0.28638599 µS at g_max = 25 µS: a fit to figure 3b of
/// Joshi et al. 2020 (CrossSim's). Drift and reading as Pcm.
/// Error: a g_max that is not positive and finite.
struct PcmJoshi2020 : detail::PcmCell<PcmJoshi2020> {
  float g_max = 25.0f;

  PcmJoshi2020() = default;
  explicit constexpr PcmJoshi2020(float fully_on) : g_max(fully_on) {}

  static constexpr const char* name = "PcmJoshi2020";
  static constexpr float kDeviation[3] = {0.28638599f, 0.07585724f, -0.00178767f};
  static constexpr float kArgumentOfFullyOn = 25.0f, kPublishedMaximum = 25.0f;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
