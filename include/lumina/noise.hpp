// The noise of one element: a pure function of (seed, stream, row, column).
//
// docs/numerics.md defines the stream so that it can be written again elsewhere. This header is
// that definition in plain scalar code; detail/random/ computes the same bits in vectors.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/polynomial.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/layout/float_panels.hpp"
#include "detail/random/noise_field.hpp"
#include "detail/random/normal_constants.hpp"
#include "detail/random/xoshiro.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Box–Muller on two 32-bit words: the radius from one, the angle from the other.
struct NormalPair {
  float cosine, sine;
};

/// As a signed integer a word has a magnitude, from which comes u in (0, 1], never 0 (the smallest
/// is 2^-32), and a sign, which u does not depend on.
constexpr float uniform_of_steps(float signed_steps) {
  return fused_multiply_add(__builtin_fabsf(signed_steps), 0x1p-31f, 0x1p-32f);
}
constexpr float uniform_of_word(std::uint32_t word) {
  return uniform_of_steps(static_cast<float>(static_cast<std::int32_t>(word)));
}

constexpr NormalPair box_muller(std::uint32_t radius_word, std::uint32_t angle_word) {
  // The radius word's sign turns the angle by π. (u ≥ 2^-32: the largest radius is 6.66.)
  const auto signed_steps = static_cast<float>(static_cast<std::int32_t>(radius_word));
  const float u = uniform_of_steps(signed_steps);

  // −2·ln u, with u = 2^e · (1 + f), 1 + f in [2/3, 4/3), and e in the place of u's exponent.
  const auto bits = std::bit_cast<std::int32_t>(u);
  const std::int32_t exponent = (bits - kLogPivotBits) & kExponentMask;
  const float f = std::bit_cast<float>(bits - exponent) - 1.0f;
  const float log_ratio = polynomial<kLogCoefficients>(f);
  const float radius = square_root(
      fused_multiply_add(static_cast<float>(exponent), kMinusTwoLn2, product(log_ratio, f)));
  const float signed_radius =
      (std::bit_cast<std::uint32_t>(signed_steps) >> 31) != 0 ? -radius : radius;

  // The angle word is x·π with x in [−1/2, 1/2).
  const float x = static_cast<float>(static_cast<std::int32_t>(angle_word)) * 0x1p-32f;
  const float x2 = product(x, x);
  const float cosine = polynomial<kCosineCoefficients>(x2);
  const float sine = product(x, polynomial<kSineCoefficients>(x2));
  return {product(signed_radius, cosine), product(signed_radius, sine)};
}

}  // namespace detail

namespace detail {

/// Word `word` (0 … 15) of a step of the generator of a row and column block: the lanes' outputs,
/// each one's low half first. Steps count from 0; two of them make 32 normals.
class NoiseWords {
 public:
  constexpr NoiseWords(const NoiseKey& key, std::size_t row, std::size_t col, std::size_t draw,
                       std::size_t word, std::size_t step)
      : shift_(word % 2 == 0 ? 0 : 32) {
    // Lane l is an Xoshiro256++ whose state is the outputs 4·l … 4·l + 3 of a SplitMix64.
    const NoiseField::Row field_row = NoiseField(key, draw).row(key.row_offset + row);
    const std::size_t lane = word / 2;
    SplitMix64 seeder{field_row.seed_of(col / kBlockColumns) + 4 * lane * SplitMix64::increment};
    for (std::uint64_t& s : state_) s = seeder();
    for (std::size_t i = 0; i < step; ++i) xoshiro256pp_next<WordOperations>(state_);
  }
  /// That of the step, then those of the next ones.
  constexpr std::uint32_t operator()() {
    return static_cast<std::uint32_t>(xoshiro256pp_next<WordOperations>(state_) >> shift_);
  }

 private:
  std::uint64_t state_[4] = {};
  int shift_;
};

}  // namespace detail

/// The normal N(0, 1) that every kernel adds at (row, col) of an output, with the same bits on
/// every machine. `row` counts within the call; key.row_offset is added to it. `draw`: which of
/// the element's independent normals (the first noise stage of an epilogue uses 0).
/// |result| < 6.67.
constexpr float standard_normal_at(const NoiseKey& key, std::size_t row, std::size_t col,
                                   std::size_t draw = 0) {
  using namespace detail;
  // Each block of 32 columns takes two steps: radii, then angles.
  const std::size_t block = col % kBlockColumns / kNormalsPerRound;
  NoiseWords words(key, row, col, draw, col % (kNormalsPerRound / 2), 2 * block);
  const std::uint32_t radius_word = words();
  const NormalPair pair = box_muller(radius_word, words());
  return col % kNormalsPerRound < kNormalsPerRound / 2 ? pair.cosine : pair.sine;
}

/// The uniform number in (0, 1] at (row, col), with the same bits on every machine: what the words
/// of standard_normal_at are where a draw yields uniform numbers instead (say, which devices are
/// stuck). Its steps are 2^-31 below 2^-7 and 2^-24 near 1, its smallest value is 2^-32. A draw
/// is used for one or the other, never for both.
constexpr float standard_uniform_at(const NoiseKey& key, std::size_t row, std::size_t col,
                                    std::size_t draw = 0) {
  using namespace detail;
  // Each 16 columns take a step.
  NoiseWords words(key, row, col, draw, col % (kNormalsPerRound / 2),
                   col % kBlockColumns / (kNormalsPerRound / 2));
  return uniform_of_word(words());
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
