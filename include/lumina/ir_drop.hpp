// What wires take from an array's outputs, by a formula instead of a network: a stage of array()
// (analog_gemm.hpp), the first of them.
//
// The formula is aihwkit's (ir_drop of its IOParameters), whose presets have it; wires.hpp solves
// the network, for nothing per call, and is the one to take where nobody asks for the formula. With
// x̂ and ŵ in [−1, 1], n inputs, and γ the conductance of a segment of wire over that of a fully-on
// device:
//
//   a = n/γ·Σ|ŵ||x̂|,   c = a·(a·(0.05·a − 0.2) + 0.5)
//   ŷ − strength·c·Σ ŵ·x̂·(1 − (1 − k/n)²)          k = 0 … n − 1: input 0 is next to the ground
#pragma once

#include <array>
#include <cstddef>
#include <limits>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/number.hpp"
#include "detail/simd/vectors.hpp"
#include "stage.hpp"
#include "stages.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Straight through for gradients. x̂·(1 − (1 − k/n)²) and |x̂| are rounded to 8 bits, sums are
/// exact. Errors: a strength that is negative, infinite or NaN; a ratio that is not positive and
/// finite.
struct IrDrop {
  float strength = 1.0f;              ///< 1: the formula's own, 0: nothing
  float wire_to_device = 571428.57f;  ///< γ: that of 0.35 Ω a segment and devices of 5 µS

  static constexpr unsigned sums = Sums::magnitudes | Sums::positions;
  bool valid_for(std::size_t, std::size_t) const {
    if (!detail::valid_strength(strength, "lumina::IrDrop: strength")) return false;
    if (wire_to_device > 0.0f && wire_to_device <= std::numeric_limits<float>::max()) return true;
    detail::report_error((detail::Message()
                          << "lumina::IrDrop: wire_to_device is " << detail::Number{wire_to_device}
                          << "; it must be positive and finite")
                             .c_str());
    return false;
  }
  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const std::array<Floats, 0>&, const Facts<Floats>& facts) const {
    const Floats a = product(facts.magnitudes, Floats(facts.row.inputs / wire_to_device));
    const Floats inner = fused_multiply_add(a, Floats(0.05f), Floats(-0.2f));
    const Floats c = product(a, fused_multiply_add(a, inner, Floats(0.5f)));
    return values - product(product(c, Floats(strength)), facts.positions);
  }
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
