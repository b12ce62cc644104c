// Rows of weights with noise: made while they are packed, so that nobody keeps a copy.
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
#include "../random/noise_generator.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// w [out, in] with perturbation(weights, normals) for each vector of weights. The normal of
/// w(row, col) is standard_normal_at(key, row, col).
template <class Perturbation>
class NoisyRows : public FloatRows {
 public:
  static constexpr std::size_t row_multiple = kBlockColumns;  // a generator begins there

  NoisyRows(MatrixView<const float> w, const Perturbation& perturbation, const NoiseKey& key)
      : w_(w), perturbation_(perturbation), row_offset_(key.row_offset), field_(key) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t depth() const { return w_.cols(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    for (std::size_t begin = 0; begin < inputs.size; begin += kBlockColumns) {
      const Range now{inputs.begin + begin, std::min(kBlockColumns, inputs.size - begin)};
      constexpr std::size_t kRows = Native::epilogue_rows;
      std::size_t row = 0;
      for (; row + kRows <= rows.size; row += kRows) {
        perturb<kRows>(rows.begin + row, now, to + row * stride + begin, stride);
      }
      for (; row < rows.size; ++row) {
        perturb<1>(rows.begin + row, now, to + row * stride + begin, stride);
      }
    }
  }

 private:
  using Floats = Native::Batch<float>;
  using Generator = NoiseGenerator<Native>;

  /// Rows [first, first + Rows), whose generators run side by side, and inputs of one column block;
  /// rows of `to` are `stride` floats apart.
  template <std::size_t Rows>
  void perturb(std::size_t first, const Range& inputs, float* to, std::size_t stride) const {
    std::array<Generator, Rows> generators;
    unroll<Rows>([&](auto row) __attribute__((always_inline)) {
      generators[row] =
          Generator(field_.row(row_offset_ + first + row).seed_of(inputs.begin / kBlockColumns));
    });
    for (std::size_t in_block = 0; in_block < inputs.size; in_block += kNormalsPerRound) {
      std::array<typename Generator::Round, Rows> normals;
      unroll<Rows>([&](auto row) __attribute__((always_inline)) {
        normals[row] = generators[row].next_round();
      });
      unroll<Rows * Generator::round_vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr std::size_t row = i / Generator::round_vectors,
                              vector = i % Generator::round_vectors;
        const std::size_t at = in_block + vector * Floats::size;
        if (at >= inputs.size) return;
        const float* const from = w_.row(first + row) + inputs.begin + at;
        const Floats weights = at + Floats::size <= inputs.size
                                   ? Floats::load_unaligned(from)
                                   : load_first<Floats>(from, inputs.size - at);
        perturbation_(weights, normals[row][vector]).store_aligned(to + row * stride + at);
      });
    }
  }

  MatrixView<const float> w_;
  Perturbation perturbation_;
  std::uint64_t row_offset_;
  NoiseField field_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
