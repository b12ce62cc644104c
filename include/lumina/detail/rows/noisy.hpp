// Weights with noise: made block by block while they are packed, so that nobody keeps a copy.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../packing/float_panels.hpp"
#include "../random/noise_generator.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// w [out, in] with perturbation(weights, normals) for each vector of weights. The normal of
/// w(row, col) is standard_normal_at(key, row, col).
template <class Perturbation>
class NoisyRows {
 public:
  NoisyRows(MatrixView<const float> w, const Perturbation& perturbation, const NoiseKey& key)
      : w_(w), perturbation_(perturbation), field_(key) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t cols() const { return w_.cols(); }

  /// As PlainRows: blocks of 128 inputs, a column block, in 16 KiB on the stack.
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
  using Generator = NoiseGenerator<Native>;
  static constexpr std::size_t kStride = kBlockColumns;

  /// Rows [first, first + Rows), whose generators run side by side, and inputs [begin, begin +
  /// inputs) of one column block; rows of `to` are kStride floats apart.
  template <std::size_t Rows>
  void perturb(std::size_t first, std::size_t begin, std::size_t inputs, float* to) const {
    std::array<Generator, Rows> generators;
    unroll<Rows>([&](auto row) __attribute__((always_inline)) {
      generators[row] = Generator(field_.row(first + row).seed_of(begin / kStride));
    });
    for (std::size_t in_panel = 0; in_panel < inputs; in_panel += kNormalsPerRound) {
      std::array<typename Generator::Round, Rows> normals;
      unroll<Rows>([&](auto row) __attribute__((always_inline)) {
        normals[row] = generators[row].next_round();
      });
      unroll<Rows * Generator::round_vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr std::size_t row = i / Generator::round_vectors,
                              vector = i % Generator::round_vectors;
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
  NoiseField field_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
