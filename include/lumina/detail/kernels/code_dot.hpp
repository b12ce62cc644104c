// What the microkernel multiplies (dot_product.hpp): codes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../isa/blocks.hpp"
#include "../layout/code_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Codes: a word holds, for one output, 4, 8 or 16 weights of StoredBits = 8, 4 or 2 bits. The
/// sums are exact, and 2^(8 − StoredBits) times the dot products: weights are multiplied where they
/// lie in their bytes, at the upper end.
template <class Architecture, int StoredBits>
struct CodeDot {
  using Arch = Architecture;
  using Codes = typename Arch::Codes;
  using Input = typename Codes::Input;
  using Word = std::int32_t;
  using Sum = std::int32_t;
  using Sums = typename Arch::template Batch<std::int32_t>;
  using Weights = typename Codes::Weights;
  static constexpr Blocks blocks = Codes::blocks;
  static constexpr int stored_bits = StoredBits;
  static constexpr std::size_t planes = 1;
  static constexpr double worth_threads = 1 << 22;
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
