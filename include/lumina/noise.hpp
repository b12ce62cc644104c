// The noise of one element: a pure function of (seed, stream, row, column).
//
// docs/numerics.md defines the stream so that it can be written again elsewhere. This header is
// that definition in plain scalar code; detail/random/ computes the same bits in vectors.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/layout/float_panels.hpp"
#include "detail/random/noise_field.hpp"
#include "detail/random/normal_constants.hpp"
#include "detail/random/xoshiro.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Horner's rule, each step rounded once; coefficients lowest power first.
template <std::size_t Count>
float polynomial(const float (&coefficients)[Count], float x) {
  float sum = coefficients[Count - 1];
  for (std::size_t i = Count - 1; i > 0; --i) {
    sum = fused_multiply_add(sum, x, coefficients[i - 1]);
  }
  return sum;
}

/// Box–Muller on two 32-bit words: the radius from one, the angle from the other.
struct NormalPair {
  float cosine, sine;
};

inline NormalPair box_muller(std::uint32_t radius_word, std::uint32_t angle_word) {
  // As a signed integer the radius word has a magnitude, from which u in (0, 1] comes, never 0 (the
  // smallest is 2^-32, so the largest radius is 6.66), and a sign, which turns the angle by π.
  const auto signed_steps = static_cast<float>(static_cast<std::int32_t>(radius_word));
  const float u = fused_multiply_add(__builtin_fabsf(signed_steps), 0x1p-31f, 0x1p-32f);

  // −2·ln u, with u = 2^e · (1 + f), 1 + f in [2/3, 4/3), and e in the place of u's exponent.
  const auto bits = std::bit_cast<std::int32_t>(u);
  const std::int32_t exponent = (bits - kLogPivotBits) & kExponentMask;
  const float f = std::bit_cast<float>(bits - exponent) - 1.0f;
  const float log_ratio = polynomial(kLogCoefficients, f);
  const float radius = __builtin_sqrtf(
      fused_multiply_add(static_cast<float>(exponent), kMinusTwoLn2, product(log_ratio, f)));
  const float signed_radius = std::signbit(signed_steps) ? -radius : radius;

  // The angle word is x·π with x in [−1/2, 1/2).
  const float x = static_cast<float>(static_cast<std::int32_t>(angle_word)) * 0x1p-32f;
  const float x2 = product(x, x);
  const float cosine = polynomial(kCosineCoefficients, x2);
  const float sine = product(x, polynomial(kSineCoefficients, x2));
  return {product(signed_radius, cosine), product(signed_radius, sine)};
}

}  // namespace detail

/// The normal N(0, 1) that every kernel adds at (row, col) of an output, with the same bits on
/// every machine. `row` counts within the call; key.row_offset is added to it. `draw`: which of
/// the element's independent normals (the first noise stage of an epilogue uses 0).
/// |result| < 6.67.
inline float standard_normal_at(const NoiseKey& key, std::size_t row, std::size_t col,
                                std::size_t draw = 0) {
  using namespace detail;
  const NoiseField::Row field_row = NoiseField(key, draw).row(key.row_offset + row);
  const std::size_t word = col % (kNormalsPerRound / 2);  // 16 32-bit words in a step
  const std::size_t lane = word / 2;

  // Lane l is an Xoshiro256++ whose state is the outputs 4·l … 4·l + 3 of a SplitMix64.
  SplitMix64 seeder{field_row.seed_of(col / kBlockColumns) + 4 * lane * SplitMix64::increment};
  std::uint64_t state[4];
  for (std::uint64_t& s : state) s = seeder();

  // Each block of 32 columns takes two steps: radii, then angles.
  const std::size_t block = col % kBlockColumns / kNormalsPerRound;
  for (std::size_t step = 0; step < 2 * block; ++step) xoshiro256pp_next<WordOperations>(state);
  const std::uint64_t radius_lane = xoshiro256pp_next<WordOperations>(state);
  const std::uint64_t angle_lane = xoshiro256pp_next<WordOperations>(state);
  const int shift = word % 2 == 0 ? 0 : 32;
  const NormalPair pair = box_muller(static_cast<std::uint32_t>(radius_lane >> shift),
                                     static_cast<std::uint32_t>(angle_lane >> shift));
  return col % kNormalsPerRound < kNormalsPerRound / 2 ? pair.cosine : pair.sine;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
