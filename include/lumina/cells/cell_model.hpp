// What a cell is: a device that holds a conductance, in µS, and how far it is from what it should
// hold: when it has been programmed, and some time later.
//
// A cell is a small value type with
//
//   float g_max;                          what a fully-on device has
//   static constexpr std::array draws{Draw::programming, …};
//                                         what a device draws, each with a number of its own
//   bool valid() const;                   reports what is wrong and returns false
//   float largest_deviation() const;      the largest σ of a programmed conductance
//   template <class Floats>
//   Floats programmed(const Floats& targets, const std::array<Floats, draws.size()>& drawn) const;
//
// and, where its conductance changes with time,
//
//   Moment moment(double seconds) const;  what all devices have in common then
//   template <class Floats>
//   Floats at(const Moment& moment, const Floats& targets, const Floats& programmed,
//             const std::array<Floats, draws.size()>& drawn) const;
//
// Floats is a vector of devices, as in a stage (stage.hpp); targets are in [0, g_max]. A cell
// without at() keeps what has been programmed. Everything is a function of the chip's key, the
// device and the time: a chip may be looked at at any times, in any order. Cells of one's own
// compose like those of the library.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <optional>
#include <cstdint>
#include <limits>

#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/number.hpp"
#include "../detail/base/scalar_math.hpp"
#include "../detail/isa/native.hpp"
#include "../detail/simd/vectors.hpp"
#include "../elementary.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// What a device draws, for ever or for a while.
enum class Draw {
  programming,  ///< N(0, 1), once per chip
  uniform,      ///< uniform in (0, 1], once per chip
  drift,        ///< N(0, 1), once per chip; only asked for where the conductance at a time is
  reading,      ///< N(0, 1), once for each time that it is looked at
};

namespace detail {

/// Whose conductance changes with time.
template <class Cell>
concept ChangesWithTime = requires(const Cell cell, double seconds) {
  cell.moment(seconds);
};

/// The time of a reading is at most this: 3·10^12 years.
inline constexpr double kLatestSeconds = 1e20;

}  // namespace detail

/// What conductances() and Programmed take.
template <class T>
concept CellModel = std::copyable<T> &&
    requires(const T cell, const detail::Native::Batch<float> targets,
             const std::array<detail::Native::Batch<float>, T::draws.size()> drawn) {
  { cell.g_max } -> std::convertible_to<float>;
  { cell.valid() } -> std::convertible_to<bool>;
  { cell.largest_deviation() } -> std::convertible_to<float>;
  { T::draws[0] } -> std::convertible_to<Draw>;
  { cell.programmed(targets, drawn) } -> std::convertible_to<detail::Native::Batch<float>>;
  requires !detail::ChangesWithTime<T> || requires {
    {
      cell.at(cell.moment(1.0), targets, targets, drawn)
      } -> std::convertible_to<detail::Native::Batch<float>>;
  };
};

namespace detail {

/// g' = max(g + σ·N, 0), in µS.
template <class Floats>
[[gnu::always_inline]] inline Floats programmed_around(const Floats& targets,
                                                       const Floats& deviations,
                                                       const Floats& normals) {
  return max_or_second(fused_multiply_add(deviations, normals, targets), Floats(0.0f));
}

/// The largest of deviation(g), in µS, for g = g_max·i / 256.
template <class Deviation>
float largest_deviation(float g_max, const Deviation& deviation) {
  float largest = 0.0f;
  for (int i = 0; i <= 256; ++i) {
    const float sigma = deviation(g_max * (static_cast<float>(i) * 0x1p-8f));
    if (sigma > largest) largest = sigma;
  }
  return largest;
}

/// Reports a g_max that is not positive and finite.
inline bool g_max_valid(float g_max, const char* cell) {
  if (g_max > 0.0f && g_max <= std::numeric_limits<float>::max()) return true;
  report_error((Message() << "lumina::" << cell << ": g_max is " << Number{g_max}
                          << " microsiemens; it must be positive and finite")
                   .c_str());
  return false;
}

/// The time; 0 for none. (In a place of its own: inlined, g++ 12 takes it for uninitialised.)
[[gnu::noinline]] inline double seconds_or_0(const std::optional<double>& seconds) {
  return seconds ? *seconds : 0.0;
}

/// Reports a time that is negative, NaN or too late.
inline bool seconds_valid(double seconds, const char* call) {
  if (seconds >= 0.0 && seconds <= kLatestSeconds) return true;
  report_error((Message() << "lumina::" << call << ": " << Number{seconds}
                          << " seconds; the time must be between 0 and 1e20")
                   .c_str());
  return false;
}

}  // namespace detail

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
