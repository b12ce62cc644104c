// Phase shifters: φ' = C·(Q(φ) + σN). Q is what their driver can set, σN how far each of a chip
// deviates, C that heaters warm their neighbours too.
//
// Sources: Y. Shen et al., "Deep learning with coherent nanophotonic circuits", Nature Photonics
// 11, 441 (2017), Supplementary (phases with Gaussian errors and finite precision); M. Milanizadeh
// et al., "Canceling thermal cross-talk effects in photonic integrated circuits", Journal of
// Lightwave Technology 37, 1325 (2019) (neighbours' phases add up linearly).
#pragma once

#include <cstddef>
#include <numbers>

#include "../config.hpp"
#include "../detail/base/double_math.hpp"
#include "../detail/base/message.hpp"
#include "../noise.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// How a chip's phase shifters are driven, and how they deviate.
struct PhaseShifters {
  int bits = 0;            ///< of a driver with 2^bits levels a turn, 1 … 24; 0: any phase
  double deviation = 0.0;  ///< σ in radians, drawn once for each shifter of a chip
  double crosstalk = 0.0;  ///< the part of its neighbours' phases that a shifter takes on, 0 … 1

  /// Reports what is wrong with them.
  bool valid() const {
    if (bits >= 0 && bits <= 24 && deviation >= 0.0 && deviation < 1e3 && crosstalk >= 0.0 &&
        crosstalk <= 1.0) {
      return true;
    }
    detail::report_error(
        "lumina::PhaseShifters: bits must be in 0..24, the deviation in 0..1000 radians and the "
        "crosstalk in 0..1");
    return false;
  }

  /// The nearest level to a phase of [0, 2π).
  double level(double phase) const {
    if (bits == 0) return phase;
    const double levels = static_cast<double>(std::size_t{1} << bits);
    const double step = 2.0 * std::numbers::pi / levels;
    const double index = detail::nearest_integer(phase / step);
    return index >= levels ? 0.0 : detail::rounded_product(index, step);
  }

  /// Q(φ) + σN of shifter number `index`: the normal of (chip, unit, index).
  double driven(double phase, const NoiseKey& chip, std::size_t unit, std::size_t index) const {
    const double set = level(phase);
    if (deviation == 0.0) return set;
    const auto normal = static_cast<double>(standard_normal_at(chip, unit, index));
    return set + detail::rounded_product(deviation, normal);
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
