// What the microkernel multiplies (dot_product.hpp): integers of 16 bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../isa/blocks.hpp"
#include "../isa/integer_dot.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Whether an architecture multiplies pairs of 16 bits as fast as, or instead of, bytes.
template <class Arch>
inline constexpr bool kHasPairs = requires {
  typename Arch::Pairs;
};

/// Two inputs of 16 bits, and two codes in a word. The sums must fit.
template <class Architecture>
struct PairsDot {
  using Arch = Architecture;
  using Unit = typename Arch::Pairs;
  using Input = std::int16_t;
  using Word = std::int32_t;
  using Sum = std::int32_t;
  using Sums = typename Arch::template Batch<std::int32_t>;
  using Weights = Sums;
  static constexpr Blocks blocks = Arch::Codes::blocks;
  static constexpr std::size_t planes = 1;
  static constexpr double worth_threads = 1 << 21;
  static constexpr std::size_t inputs_per_step = 2;
  static constexpr std::size_t parts = 1;
  static constexpr std::size_t steps_in_round = 4;

  template <std::size_t>
  [[gnu::always_inline]] static Weights weights(const std::int32_t* words) {
    return Sums::load_aligned(words);
  }
  template <std::size_t>
  [[gnu::always_inline]] static Sums input(const Input* x) {
    return broadcast_word<Sums>(x);
  }
  [[gnu::always_inline]] static Sums multiply_add(const Sums& input, const Weights& weights,
                                                  const Sums& sums) {
    return Unit::dot(input, weights, sums);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
