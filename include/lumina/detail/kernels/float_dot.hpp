// What the microkernel multiplies (dot_product.hpp): floats.
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
  static constexpr std::size_t planes = 1;
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
