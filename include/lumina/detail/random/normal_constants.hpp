// Polynomials of the Box–Muller transform: minimax fits by Remez exchange (tools/fit_normal.py
// prints them), lowest power first.
#pragma once

#include <cstdint>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Bits of 2/3: the significand's interval is [2/3, 4/3).
inline constexpr std::int32_t kLogPivotBits = 0x3f2aaaab;
/// Sign and exponent of a float.
inline constexpr std::int32_t kExponentMask = -(std::int32_t{1} << 23);

/// −2·ln 2 / 2^23: an exponent counts in its place, 23 bits up.
inline constexpr float kMinusTwoLn2 = -0x1.62e43p-23f;

/// −2·ln(1 + f) / f for f in [−1/3, 1/3]; relative error of the fit 1.1e-6.
inline constexpr float kLogCoefficients[7] = {-0x1.fffffcp+0f, 0x1.0002fp+0f,   -0x1.5560b4p-1f,
                                              0x1.fcc1d6p-2f,  -0x1.958f24p-2f, 0x1.8d782cp-2f,
                                              -0x1.5d7f16p-2f};

/// sin(π·x) / x in x² for x in [−1/2, 1/2]; relative error of the fit 9.4e-7.
inline constexpr float kSineCoefficients[4] = {0x1.921f9cp+1f, -0x1.4ab628p+2f, 0x1.4594d8p+1f,
                                               -0x1.1de616p-1f};

/// cos(π·x) in x² for x in [−1/2, 1/2]; absolute error of the fit 4.7e-8.
inline constexpr float kCosineCoefficients[5] = {0x1.fffffep-1f, -0x1.3bd3a6p+2f, 0x1.03bd06p+2f,
                                                 -0x1.54f61ap+0f, 0x1.c1f066p-3f};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
