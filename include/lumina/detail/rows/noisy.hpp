// Rows of weights with noise: made while they are packed, so that nobody keeps a copy.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <utility>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../random/noise_generator.hpp"
#include "../simd/largest_magnitude.hpp"
#include "../simd/vectors.hpp"
#include "matrix.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The largest magnitude that a noise of weights is relative to is that of the output.
template <class Noise>
inline constexpr bool is_per_output = false;
template <class Noise>
requires requires { Noise::per_output; }
inline constexpr bool is_per_output<Noise> = Noise::per_output;

template <class Noise>
inline constexpr bool spares_an_input = requires(const Noise& noise) {
  noise.input;
};
template <class Noise>
requires requires { Noise::two_noises; }
inline constexpr bool spares_an_input<Noise> =
    spares_an_input<std::remove_cvref_t<decltype(std::declval<Noise>().first())>> ||
    spares_an_input<std::remove_cvref_t<decltype(std::declval<Noise>().second())>>;
template <class Noise>
inline constexpr bool any_per_output = is_per_output<Noise>;
template <class Noise>
requires requires { Noise::two_noises; }
inline constexpr bool any_per_output<Noise> =
    is_per_output<std::remove_cvref_t<decltype(std::declval<Noise>().first())>> ||
    is_per_output<std::remove_cvref_t<decltype(std::declval<Noise>().second())>>;

/// How the noise of each row of w is made: noise.perturbation(largest magnitude), that of all of w,
/// or of the row where the noise says `per_output`.
template <class Noise>
class Perturbations {
 public:
  using Perturbation = std::remove_cvref_t<decltype(std::declval<Noise>().perturbation(0.0f))>;

  /// `largest`: max |w| of all of w.
  Perturbations(MatrixView<const float> w, const Noise& noise, float largest)
      : w_(w), noise_(noise), of_all_(noise.perturbation(largest)) {}

  Perturbation of_row(std::size_t row) const {
    if constexpr (is_per_output<Noise>) {
      return noise_.perturbation(std::bit_cast<float>(
          largest_magnitude_bits<Native::Batch<float>>(w_.row(row), w_.cols())));
    } else {
      return of_all_;
    }
  }

  /// The input whose weights stay as they are; none: one that there is not.
  std::size_t spared_input() const {
    if constexpr (requires { noise_.input; }) return noise_.input;
    return ~std::size_t{0};
  }

  MatrixView<const float> weights() const { return w_; }

 private:
  MatrixView<const float> w_;
  Noise noise_;
  Perturbation of_all_;
};

/// Rows of weights with perturbation(weights, normals) for each vector of weights, or, where no
/// noise is drawn, perturbation(weights). The normal of weight (row, col) is
/// standard_normal_at(key, row, col, draw). `Rows`: those of w, or what became of them.
template <class Noise, RowSource Rows = MatrixRows>
class NoisyRows : public FloatRows {
 public:
  static constexpr std::size_t row_multiple = kBlockColumns;  // a generator begins there
  using Perturbation = typename Perturbations<Noise>::Perturbation;

  NoisyRows(const Rows& rows, const Perturbations<Noise>& perturbations, const NoiseKey& key,
            std::size_t draw = 0)
      : rows_(rows),
        perturbations_(perturbations),
        row_offset_(key.row_offset),
        field_(key, draw) {}

  std::size_t rows() const { return rows_.rows(); }
  std::size_t depth() const { return rows_.depth(); }

  /// The perturbations of a panel's rows, and what `Rows` wants to know of them.
  struct Facts {
    FactsOf<Rows> inner;
    std::array<std::optional<Perturbation>, kPanelColumns> of_row;
  };
  Facts facts(const Range& rows) const {
    Facts result{facts_of(rows_, rows), {}};
    for (std::size_t row = 0; row < rows.size; ++row) {
      result.of_row[row].emplace(perturbations_.of_row(rows.begin + row));
    }
    return result;
  }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    read(rows, inputs, to, stride, facts(rows));
  }
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride,
            const Facts& facts) const {
    if constexpr (!InPlaceRows<Rows>) {
      read_with_facts(rows_, rows, inputs, to, stride, facts.inner);
    }
    for (std::size_t begin = 0; begin < inputs.size; begin += kBlockColumns) {
      const Range now{inputs.begin + begin, std::min(kBlockColumns, inputs.size - begin)};
      constexpr std::size_t kRows = Native::epilogue_rows;
      std::size_t row = 0;
      for (; row + kRows <= rows.size; row += kRows) {
        perturb<kRows>(rows.begin + row, now, to + row * stride + begin, stride,
                       &facts.of_row[row]);
      }
      for (; row < rows.size; ++row) {
        perturb<1>(rows.begin + row, now, to + row * stride + begin, stride, &facts.of_row[row]);
      }
    }
    const std::size_t spared = perturbations_.spared_input() - inputs.begin;
    if (spared >= inputs.size) return;
    for (std::size_t row = 0; row < rows.size; ++row) {
      to[row * stride + spared] = perturbations_.weights()(rows.begin + row, inputs.begin + spared);
    }
  }

 private:
  using Floats = Native::Batch<float>;
  using Generator = NoiseGenerator<Native>;
  static constexpr bool kDraws = std::is_invocable_v<Perturbation, Floats, Floats>;

  /// Rows [first, first + Rows), whose generators run side by side, and inputs of one column block;
  /// rows of `to` are `stride` floats apart.
  template <std::size_t Count>
  void perturb(std::size_t first, const Range& inputs, float* to, std::size_t stride,
               const std::optional<Perturbation>* perturbations) const {
    const float* from = to;
    std::size_t from_stride = stride;
    if constexpr (InPlaceRows<Rows>) {
      const auto own = rows_.in_place({first, Count});
      from = own.first + inputs.begin;
      from_stride = own.stride;
    }
    std::array<Generator, Count> generators;
    if constexpr (kDraws) {
      unroll<Count>([&](auto row) __attribute__((always_inline)) {
        generators[row] =
            Generator(field_.row(row_offset_ + first + row).seed_of(inputs.begin / kBlockColumns));
      });
    }
    for (std::size_t in_block = 0; in_block < inputs.size; in_block += kNormalsPerRound) {
      std::array<typename Generator::Round, Count> normals;
      if constexpr (kDraws) {
        unroll<Count>([&](auto row) __attribute__((always_inline)) {
          normals[row] = generators[row].next_round();
        });
      }
      unroll<Count * Generator::round_vectors>([&](auto i) __attribute__((always_inline)) {
        constexpr std::size_t row = i / Generator::round_vectors,
                              vector = i % Generator::round_vectors;
        const std::size_t at = in_block + vector * Floats::size;
        if (at >= inputs.size) return;
        const float* const weights_at = from + row * from_stride + at;
        const Floats weights = at + Floats::size <= inputs.size
                                   ? Floats::load_unaligned(weights_at)
                                   : load_first<Floats>(weights_at, inputs.size - at);
        Floats result;
        if constexpr (kDraws) {
          result = (*perturbations[row])(weights, normals[row][vector]);
        } else {
          result = (*perturbations[row])(weights);
        }
        result.store_aligned(to + row * stride + at);
      });
    }
  }

  Rows rows_;
  Perturbations<Noise> perturbations_;
  std::uint64_t row_offset_;
  NoiseField field_;
};

/// The key of an array's weights: those of other arrays are in other rows of the noise field.
inline NoiseKey key_of_tile(const NoiseKey& key, std::size_t tile) {
  return {key.seed, key.stream, key.row_offset + (std::uint64_t{tile} << 40)};
}

/// Rows with a noise, or with two, of which the first has draw 0, the second draw 1.
template <class Rows, class Noise>
auto noisy_rows(const Rows& rows, MatrixView<const float> w, const Noise& noise, float largest,
                const NoiseKey& key) {
  if constexpr (requires { noise.two_noises; }) {
    using First = std::remove_cvref_t<decltype(noise.first())>;
    using Second = std::remove_cvref_t<decltype(noise.second())>;
    const NoisyRows<First, Rows> first(rows, {w, noise.first(), largest}, key, 0);
    return NoisyRows<Second, NoisyRows<First, Rows>>(first, {w, noise.second(), largest}, key, 1);
  } else {
    return NoisyRows<Noise, Rows>(rows, {w, noise, largest}, key);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
