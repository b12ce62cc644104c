// Polynomials of the Box–Muller transform: minimax fits by Remez exchange (tools/fit_normal.py
// prints them), lowest power first.
#pragma once

#include <cstdint>

#include "../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Bits of 2/3: the significand's interval is [2/3, 4/3).
inline constexpr std::int32_t kLogPivotBits = 0x3f2aaaab;

/// −2·ln 2.
inline constexpr float kMinusTwoLn2 = -1.38629436f;

/// −2·ln(1 + f) / f for f in [−1/3, 1/3]; relative error of the fit 1.7e-7.
inline constexpr float kLogCoefficients[8] = {
    -0x1.fffffap+0f, 0x1.ffffd6p-1f, -0x1.55618ap-1f, 0x1.0013fap-1f,
    -0x1.956702p-2f, 0x1.50488cp-2f, -0x1.5e6fdep-2f, 0x1.3ab07cp-2f};

/// sin(π·x) / x in x² for x in [−1/2, 1/2]; relative error of the fit 5.3e-9.
inline constexpr float kSineCoefficients[5] = {0x1.921fb6p+1f, -0x1.4abbc2p+2f, 0x1.4668b0p+1f,
                                               -0x1.324ccap-1f, 0x1.3daff6p-4f};

/// cos(π·x) in x² for x in [−1/2, 1/2]; absolute error of the fit 4.7e-8.
inline constexpr float kCosineCoefficients[5] = {0x1.fffffep-1f, -0x1.3bd3a6p+2f, 0x1.03bd06p+2f,
                                                 -0x1.54f61ap+0f, 0x1.c1f066p-3f};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
