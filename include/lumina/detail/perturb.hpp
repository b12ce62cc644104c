// Weights with noise: made block by block while they are packed, so that nobody keeps a copy.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "../config.hpp"
#include "../matrix.hpp"
#include "../noise.hpp"
#include "arch/native.hpp"
#include "noise_lanes.hpp"
#include "pack.hpp"
#include "simd.hpp"
#include "unroll.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// w [out, in] with perturbation(weights, normals) for each vector of weights. The normal of
/// w(row, col) is standard_normal_at(key, row, col).
template <class Perturbation>
class PerturbedRows {
 public:
  PerturbedRows(MatrixView<const float> w, const Perturbation& perturbation, const NoiseKey& key)
      : w_(w),
        perturbation_(perturbation),
        row_offset_(key.row_offset),
        field_state_(noise_field_state(key, 0)) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t cols() const { return w_.cols(); }

  /// As PlainRows: blocks of 128 inputs, a noise panel, in 16 KiB on the stack.
  template <class F>
  void for_each_block(std::size_t first, std::size_t count, F f) const {
    alignas(kCacheLine) float block[kPanelColumns * kStride];
    for (std::size_t begin = 0; begin < w_.cols(); begin += kStride) {
      const std::size_t inputs = std::min(kStride, w_.cols() - begin);
      constexpr std::size_t kTogether = Native::epilogue_rows;
      std::size_t row = 0;
      for (; row + kTogether <= count; row += kTogether) {
        perturb<kTogether>(first + row, begin, inputs, block + row * kStride);
      }
      for (; row < count; ++row) perturb<1>(first + row, begin, inputs, block + row * kStride);
      f(MatrixView<const float>(block, count, inputs, kStride));
    }
  }

 private:
  using Floats = Native::Batch<float>;
  using Lanes = NoiseLanes<Native>;
  static constexpr std::size_t kStride = kNoisePanelColumns;

  /// Rows [first, first + Rows), whose generators run side by side, and inputs [begin, begin +
  /// inputs) of one noise panel; rows of `to` are kStride floats apart.
  template <std::size_t Rows>
  void perturb(std::size_t first, std::size_t begin, std::size_t inputs, float* to) const {
    std::array<Lanes, Rows> generators;
    unroll<Rows>([&](auto row) __attribute__((always_inline)) {
      const std::uint64_t row_state = noise_row_state(field_state_, row_offset_ + first + row);
      generators[row] = Lanes(noise_panel_state(row_state, begin / kStride));
    });
    for (std::size_t in_panel = 0; in_panel < inputs; in_panel += kNoiseBlockColumns) {
      std::array<typename Lanes::Block, Rows> normals;
      unroll<Rows>([&](auto row) __attribute__((always_inline)) {
        normals[row] = generators[row].next_block();
      });
      unroll<Rows * Lanes::block_vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr std::size_t row = i / Lanes::block_vectors, vector = i % Lanes::block_vectors;
        const std::size_t at = in_panel + vector * Floats::size;
        if (at >= inputs) return;
        const float* const from = w_.row(first + row) + begin + at;
        const Floats weights = at + Floats::size <= inputs ? Floats::load_unaligned(from)
                                                           : load_first<Floats>(from, inputs - at);
        perturbation_(weights, normals[row][vector]).store_aligned(to + row * kStride + at);
      });
    }
  }

  MatrixView<const float> w_;
  Perturbation perturbation_;
  std::uint64_t row_offset_;
  std::uint64_t field_state_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
