// A tile of few rows of x with weights that nobody has packed: turned in registers and multiplied
// there, which for so few rows is less work than to write them to memory and to read them again.
#pragma once

#include <array>
#include <cstddef>
#include <utility>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/unroll.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

struct UnpackedOperands {
  const float* x;
  std::size_t x_stride;
  std::size_t steps;  ///< inputs, a multiple of kUnpackedInputs
  const float* w;     ///< the first of 32 outputs
  std::size_t w_stride;
  bool continue_sums;  ///< add to the sums that are there
  std::size_t sums_stride;
};

/// As many inputs as a cache line holds: it is read while it is near.
inline constexpr std::size_t kUnpackedInputs = kCacheLine / sizeof(float);

/// sums[row][output] = Σ x[row][k]·w[output][k] of 32 outputs, one chain over ascending k for each.
template <class Arch, std::size_t Rows>
void multiply_unpacked(const UnpackedOperands& operands, float* sums) {
  using Column = typename Arch::Column;
  constexpr std::size_t vectors = kPanelColumns / Column::size;
  // Two vectors of outputs take turns, so that one's chain does not wait for itself. More of them
  // would be more rows of w, which push each other out of the cache where their distance is a
  // multiple of 4 KiB.
  constexpr std::size_t kTurns = 2;
  const std::size_t x_stride = operands.x_stride, w_stride = operands.w_stride;
  const std::size_t sums_stride = operands.sums_stride;

  const float* w[vectors];
  unroll<vectors>([&](auto vector) __attribute__((always_inline)) {
    w[vector] = operands.w + vector * Column::size * w_stride;
  });
  Column chain[Rows][vectors];
  unroll<Rows * vectors>([&](auto i) __attribute__((always_inline)) {
    constexpr std::size_t row = i / vectors, vector = i % vectors;
    const float* const from = sums + row * sums_stride + vector * Column::size;
    chain[row][vector] = operands.continue_sums ? Column::load_unaligned(from) : Column(0.0f);
  });

  const float* x = operands.x;
  for (std::size_t k = 0; k < operands.steps; k += kUnpackedInputs) {
    unroll<vectors * kUnpackedInputs / 4>([&](auto i) __attribute__((always_inline)) {
      constexpr std::size_t fours = kUnpackedInputs / 4 * kTurns;
      constexpr std::size_t vector = i / fours * kTurns + i % kTurns;
      constexpr std::size_t first = i % fours / kTurns * 4;
      const std::array<Column, 4> weights = Arch::turned(w[vector] + first, w_stride);
      unroll<4 * Rows>([&](auto j) __attribute__((always_inline)) {
        constexpr std::size_t input = j / Rows, row = j % Rows;
        chain[row][vector] = chain_multiply_add(Column(x[row * x_stride + first + input]),
                                                weights[input], chain[row][vector]);
      });
    });
    unroll<vectors>([&](auto vector)
                        __attribute__((always_inline)) { w[vector] += kUnpackedInputs; });
    x += kUnpackedInputs;
  }

  unroll<Rows * vectors>([&](auto i) __attribute__((always_inline)) {
    constexpr std::size_t row = i / vectors, vector = i % vectors;
    chain[row][vector].store_unaligned(sums + row * sums_stride + vector * Column::size);
  });
}

using UnpackedKernel = void (*)(const UnpackedOperands&, float* sums);

/// The kernel for 1 … Arch::unpacked_rows rows.
template <class Arch>
UnpackedKernel unpacked_kernel(std::size_t rows) {
  static constexpr auto table = []<std::size_t... I>(std::index_sequence<I...>) {
    return std::array<UnpackedKernel, sizeof...(I)>{&multiply_unpacked<Arch, I + 1>...};
  }
  (std::make_index_sequence<Arch::unpacked_rows>{});
  return table[rows - 1];
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
