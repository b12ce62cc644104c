// What the microkernel multiplies: floats. A dot product names its elements and says how one vector
// of sums takes one more product.
//
//   Input, Word, Sum       elements of the rows, of a panel, of the sums
//   Sums, Weights          a vector of sums; the weights that it is multiplied with
//   inputs_per_step        inputs that one row of words covers
//   parts                  products of one step: weights<part>(words), input<part>(x)
//   steps_in_round         how far the loop over the depth is unrolled
//   worth_threads          multiplications that are worth several threads: about 10 µs of work
//   blocks                 how its work is cut (isa/blocks.hpp)
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../isa/blocks.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Floats: a word is a weight, a step one input.
template <class Architecture>
struct FloatDot {
  using Arch = Architecture;
  using Input = float;
  using Word = float;
  using Sum = float;
  using Sums = typename Arch::template Batch<float>;
  using Weights = Sums;
  static constexpr Blocks blocks = Arch::blocks;
  static constexpr double worth_threads = 1 << 20;
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

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
