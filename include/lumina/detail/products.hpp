// What the microkernel multiplies: floats, or codes. A policy names its elements and says how one
// vector of sums takes one more product.
//
//   Input, Word, Sum       elements of the inputs, of a panel, of the sums
//   Sums, Weights          a vector of sums; the weights that it is multiplied with
//   inputs_per_step        inputs that one row of words covers
//   parts                  products of one step: weights<part>(words), input<part>(x)
//   steps_in_round         how far the loop over the depth is unrolled
//   Blocks                 block sizes
#pragma once

#include <cstddef>
#include <cstdint>

#include "../config.hpp"
#include "simd.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Floats: a word is a weight, a step one input.
template <class Arch>
struct FloatProducts {
  using Input = float;
  using Word = float;
  using Sum = float;
  using Sums = typename Arch::template Batch<float>;
  using Weights = Sums;
  using Blocks = Arch;
  static constexpr std::size_t inputs_per_step = 1;
  static constexpr std::size_t parts = 1;
  static constexpr std::size_t steps_in_round = 4;

  template <std::size_t Part>
  [[gnu::always_inline]] static Weights weights(const float* words) {
    return Sums::load_aligned(words);
  }
  template <std::size_t Part>
  [[gnu::always_inline]] static Sums input(const float* x) {
    return Sums(*x);
  }
  [[gnu::always_inline]] static Sums multiply_add(const Sums& input, const Weights& weights,
                                                  const Sums& sums) {
    return chain_multiply_add(input, weights, sums);
  }
};

/// Inputs that four-byte words of weights with StoredBits bits each cover.
template <int StoredBits>
inline constexpr std::size_t kCodesPerWord = 32 / StoredBits;

/// Codes: a word holds, for one output, 4, 8 or 16 weights of StoredBits = 8, 4 or 2 bits. The
/// sums are exact, and 2^(8 − StoredBits) times the dot products: weights are multiplied where they
/// lie in their bytes, at the upper end.
template <class Arch, int StoredBits>
struct CodeProducts {
  using Codes = typename Arch::Codes;
  using Input = typename Codes::Input;
  using Word = std::int32_t;
  using Sum = std::int32_t;
  using Sums = typename Arch::template Batch<std::int32_t>;
  using Weights = typename Codes::Weights;
  using Blocks = Codes;
  static constexpr std::size_t inputs_per_step = kCodesPerWord<StoredBits>;
  static constexpr std::size_t parts = inputs_per_step / 4 * Codes::parts;
  static constexpr std::size_t steps_in_round = parts >= 4 ? 1 : 4 / parts;

  template <std::size_t Part>
  [[gnu::always_inline]] static Weights weights(const std::int32_t* words) {
    return Codes::template weights<Part % Codes::parts>(
        unpack<Part / Codes::parts>(Sums::load_aligned(words)));
  }
  template <std::size_t Part>
  [[gnu::always_inline]] static auto input(const Input* x) {
    return Codes::template input<Part % Codes::parts>(x + Part / Codes::parts * 4);
  }
  template <class Inputs>
  [[gnu::always_inline]] static Sums multiply_add(const Inputs& input, const Weights& weights,
                                                  const Sums& sums) {
    return Codes::multiply_add(input, weights, sums);
  }

  /// Group number Group of four weights in each word: one in each byte, at its upper end.
  template <std::size_t Group>
  [[gnu::always_inline]] static Sums unpack(const Sums& words) {
    if constexpr (StoredBits == 8) {
      return words;
    } else {
      constexpr int kShift = 8 - StoredBits * (static_cast<int>(Group) + 1);
      constexpr std::uint32_t kByte = 0xffu << (8 - StoredBits) & 0xffu;
      const Sums mask(static_cast<std::int32_t>(kByte * 0x01010101u));
      if constexpr (kShift == 0) {
        return words & mask;
      } else {
        return (words << kShift) & mask;
      }
    }
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
