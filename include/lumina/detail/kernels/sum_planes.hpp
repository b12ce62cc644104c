// Sums that a stage may want beside Σ w·x, from the same panel in the same pass: which there are,
// and what each multiplies. Every sum has a plane of the inputs, which lies beside the codes' own
// as another row: plane p of row r is virtual row r·planes + p. Plane 0 has the codes, whose sum
// is the product (or their high bytes, and then comes a plane of low ones); then come those that
// are asked for, in the order of their constants, but that of positions, which multiplies the same
// weights, first.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Sets of sums are these, or-ed.
inline constexpr unsigned kMagnitudeSums = 1;     ///< Σ |w|·|x|
inline constexpr unsigned kSquaredInputSums = 2;  ///< Σ |w|·x²
inline constexpr unsigned kSquareSums = 4;        ///< Σ w²·x²
inline constexpr unsigned kPositionSums = 8;  ///< Σ w·x·(1 − (1 − k / n)²) over inputs k of n
/// Those of magnitudes and squares.
inline constexpr unsigned kAllExtraSums = kMagnitudeSums | kSquaredInputSums | kSquareSums;
/// No sum of its own: plane 0 has the high bytes of inputs in 16 bits, and the next one the low
/// bytes, so the product is 256 times the first sum plus the second.
inline constexpr unsigned kLowByteSums = 16;

/// What a plane multiplies: codes as they are, their magnitudes or their squares; of inputs also
/// codes weighted by their position.
enum class PlaneForm { codes, magnitudes, squares, positions };

/// The rows that one row of x becomes.
constexpr std::size_t plane_count(unsigned set) {
  return 1 + static_cast<std::size_t>(std::popcount(set));
}
/// The plane of a sum that the set has.
constexpr std::size_t plane_of(unsigned set, unsigned sum) {
  const std::size_t of_codes = ((set & kLowByteSums) != 0 ? 1u : 0u);
  if (sum == kLowByteSums) return 1;
  if (sum == kPositionSums) return 1 + of_codes;
  return plane_count(set & (sum - 1)) + of_codes + ((set & kPositionSums) != 0 ? 1u : 0u);
}
/// The sum that is made of a plane; 0: the product.
constexpr unsigned sum_of_plane(unsigned set, std::size_t plane) {
  for (unsigned sum = 1; sum <= kLowByteSums; sum <<= 1) {
    if ((set & sum) != 0 && plane_of(set, sum) == plane) return sum;
  }
  return 0;
}
constexpr PlaneForm weights_of_plane(unsigned set, std::size_t plane) {
  const unsigned sum = sum_of_plane(set, plane);
  return sum == 0 || sum == kPositionSums || sum == kLowByteSums ? PlaneForm::codes
         : sum == kSquareSums                                    ? PlaneForm::squares
                                                                 : PlaneForm::magnitudes;
}
constexpr PlaneForm inputs_of_plane(unsigned set, std::size_t plane) {
  const unsigned sum = sum_of_plane(set, plane);
  return sum == 0 || sum == kLowByteSums ? PlaneForm::codes
         : sum == kPositionSums          ? PlaneForm::positions
         : sum == kMagnitudeSums         ? PlaneForm::magnitudes
                                         : PlaneForm::squares;
}

/// The set whose planes have the same weights: kernels do not see what inputs are.
constexpr unsigned set_of_weights(unsigned set) {
  return (set & (kMagnitudeSums | kSquaredInputSums)) == kMagnitudeSums
             ? set ^ (kMagnitudeSums | kSquaredInputSums)
             : set;
}

/// A weight's square in 7 bits: of its signed byte as it is multiplied, −127 … 127. (Codes of 4 and
/// 2 bits lie at the upper end of their bytes, so that theirs is exact: 2·code², 32·code².)
constexpr std::int32_t rounded_square(std::int32_t byte) { return (byte * byte + 64) >> 7; }

/// What 1 in a sum of magnitudes, of the weights' codes and the inputs' planes, is in |ŵ||x̂| or
/// |ŵ|x̂²; code 1 stands for `code_value` in ŵ.
constexpr float magnitude_unit(float code_value) { return code_value / 255.0f; }
/// What 1 in a sum of codes and positions is in ŵ·x̂.
constexpr float position_unit(float code_value) { return code_value / 127.0f; }
/// What 1 in a sum of rounded_square() is in ŵ²x̂². The byte is code·2^(8 − stored), so code² is
/// square·2^7 / 2^(16 − 2·stored).
constexpr float square_unit(float code_value, int stored_bits) {
  const float codes = stored_bits == 8 ? 0x1p7f : stored_bits == 4 ? 0x1p-1f : 0x1p-5f;
  return code_value * code_value * codes / 255.0f;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
