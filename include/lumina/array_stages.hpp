// What the columns of an array and their read-out do that is the same for every row: gains,
// offsets, an asymmetry, a nonlinearity, each column's own. Stages of array() (analog_gemm.hpp), or
// of any epilogue; in which order they stand is the caller's (the field's: nonlinearity, asymmetry,
// output noise, ADC).
//
//   const Mismatch of_gain{0.02f, chip};                       // σ, and the key of the chip
//   array(ColumnGain{of_gain}, GaussianNoise{0.04f}, adc)
//
// Each column's number comes from a vector, one for all arrays or one for each (ColumnVectors), or
// is drawn from the key of the chip: a pure function of (chip, array, column), so there is nothing
// to store. Drawing takes a stage about 2 ns an output, for generators must be seeded for each
// vector; draw_columns() draws the same numbers once, and a stage that reads them takes 0.05.
//
// In the backward pass all of them are straight through, for who trains knows the chip's mismatch
// as little as its noise.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <type_traits>

#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/isa/native.hpp"
#include "detail/random/noise_field.hpp"
#include "detail/random/noise_generator.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "stage.hpp"
#include "stages.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// A number for each column: values(array, column), [arrays, columns], or [1, columns] for all
/// arrays alike. The values are not copied. Errors of a stage with them: other columns than those
/// of the output; no rows; missing data. (Arrays beyond the last row have its values.)
struct ColumnVectors {
  detail::KeptView<const float> values;

  bool valid_for(const char* stage, std::size_t rows, std::size_t cols) const {
    if (values.rows() != 0 && values.cols() == cols && (values.data() != nullptr || cols == 0)) {
      return true;
    }
    detail::report_error((detail::Message()
                          << stage << ": the columns' values are "
                          << detail::Shape{values.rows(), values.cols()}
                          << (values.data() == nullptr ? ", their data is missing" : "")
                          << "; the output is " << detail::Shape{rows, cols})
                             .c_str());
    return false;
  }
  /// Those of a vector of columns; `mean` is a Mismatch's.
  template <class Floats>
  [[gnu::always_inline]] constexpr Floats of_columns(float, const Coordinates& at,
                                                     const ActiveLanes& active) const {
    const std::size_t row = std::min(at.tile, values.rows() - 1);
    return load_columns<Floats>({values.row(row), values.cols()}, at, active);
  }
};

/// A number for each column drawn once for a chip: mean + stddev·N, the normal that
/// standard_normal_at(chip, array, column, draw) is. Stages that shall be independent have keys or
/// draws of their own. Errors of a stage with it: a stddev that is negative, infinite or NaN.
struct Mismatch {
  float stddev;
  NoiseKey chip;
  std::size_t draw = 0;

  bool valid_for(const char*, std::size_t, std::size_t) const {
    return detail::valid_strength(stddev, "lumina::Mismatch: stddev");
  }
  template <class Floats>
  [[gnu::always_inline]] constexpr Floats of_columns(float mean, const Coordinates& at,
                                                     const ActiveLanes& active) const {
    return fused_multiply_add(Floats(stddev), normals<Floats>(at, active), Floats(mean));
  }

 private:
  template <class Floats>
  constexpr Floats normals(const Coordinates& at, const ActiveLanes& active) const {
    if constexpr (std::is_same_v<Floats, detail::Native::Batch<float>>) {
      if (at.column % Floats::size == 0) {
        detail::NoiseGenerator<detail::Native> generator(
            detail::NoiseField(chip, draw)
                .row(chip.row_offset + at.tile)
                .seed_of(at.column / detail::kBlockColumns));
        const std::size_t in_block = at.column % detail::kBlockColumns;
        auto round = generator.next_round();
        for (std::size_t i = 0; i < in_block / detail::kNormalsPerRound; ++i) {
          round = generator.next_round();
        }
        return round[in_block % detail::kNormalsPerRound / Floats::size];
      }
    }
    alignas(detail::kCacheLine) float lanes[Floats::size] = {};
    for (std::size_t i = 0; i < Floats::size; ++i) {
      if (i < active.count) lanes[i] = standard_normal_at(chip, at.tile, at.column + i, draw);
    }
    return Floats::load_aligned(lanes);
  }
};

/// What a Mismatch draws, [arrays, columns], for ColumnVectors: mean + stddev·N for each column.
/// Errors: a stddev that is negative, infinite or NaN; missing data. The result: whether drawn.
inline bool draw_columns(const Mismatch& mismatch, float mean, MatrixView<float> values) {
  if (!mismatch.valid_for("lumina::draw_columns", values.rows(), values.cols())) return false;
  if (values.data() == nullptr && values.rows() != 0 && values.cols() != 0) {
    detail::report_error((detail::Message() << "lumina::draw_columns: the values are "
                                            << detail::Shape{values.rows(), values.cols()}
                                            << ", their data is missing")
                             .c_str());
    return false;
  }
  using Floats = detail::Native::Batch<float>;
  for (std::size_t row = 0; row < values.rows(); ++row) {
    for (std::size_t column = 0; column < values.cols(); column += Floats::size) {
      const ActiveLanes active{std::min(Floats::size, values.cols() - column)};
      const auto drawn = mismatch.of_columns<Floats>(mean, {0, column, 0, row}, active);
      detail::store_first(drawn, values.row(row) + column, active.count);
    }
  }
  return true;
}

namespace detail {

/// A column's own number: ColumnVectors or a Mismatch.
template <class T>
concept ColumnSource = requires(const T source, const Coordinates at, const ActiveLanes active) {
  { source.valid_for("", std::size_t{}, std::size_t{}) } -> std::convertible_to<bool>;
  source.template of_columns<Native::Batch<float>>(0.0f, at, active);
};

/// The backward pass of all stages here.
struct StraightThrough {
  template <class Floats>
  constexpr Floats backward(const Floats& gradient) const {
    return gradient;
  }
};

}  // namespace detail

/// ŷ·gain of the column: that of the vectors, or 1 + σ·N.
template <detail::ColumnSource Source>
struct ColumnGain : detail::StraightThrough {
  Source gain;

  explicit ColumnGain(const Source& source) : gain(source) {}
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return gain.valid_for("lumina::ColumnGain", rows, cols);
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    return product(values, gain.template of_columns<Floats>(1.0f, at, active));
  }
};

/// ŷ + offset of the column: that of the vectors, or σ·N, in currents of a fully-on device.
template <detail::ColumnSource Source>
struct ColumnOffset : detail::StraightThrough {
  Source offset;

  explicit ColumnOffset(const Source& source) : offset(source) {}
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return offset.valid_for("lumina::ColumnOffset", rows, cols);
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    return values + offset.template of_columns<Floats>(0.0f, at, active);
  }
};

/// Negative currents have another gain than positive ones: ŷ < 0 ? ŷ·(1 + a) : ŷ, a that of the
/// vectors, or σ·N.
template <detail::ColumnSource Source>
struct ColumnAsymmetry : detail::StraightThrough {
  Source asymmetry;

  explicit ColumnAsymmetry(const Source& source) : asymmetry(source) {}
  bool valid_for(std::size_t rows, std::size_t cols) const {
    return asymmetry.valid_for("lumina::ColumnAsymmetry", rows, cols);
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    const Floats zero(0.0f);
    const Floats negative = min(values, zero);
    const Floats change = asymmetry.template of_columns<Floats>(0.0f, at, active);
    return select(values < zero, fused_multiply_add(negative, change, values), values);
  }
};

/// A read-out that saturates: ŷ·f / (1 + |n_j·ŷ|), with n_j that of the vectors, or
/// |n̄·(1 + spread·N)| where a Mismatch of stddev n̄·spread is given with the mean n̄: the S-shape of
/// the field's simulators (aihwkit: out_nonlinearity, its spread over outputs, and the calibration
/// of its slope), where n̄ is the nonlinearity over the ADC's bound.
///
/// `factors`: f for each array, [arrays]; none: 1. slope_factor() makes one.
/// Errors: a mean that is negative, infinite or NaN; those of the source.
template <detail::ColumnSource Source>
struct OutputNonlinearity : detail::StraightThrough {
  Source nonlinearity;
  float mean;
  detail::KeptSpan<const float> factors;

  explicit OutputNonlinearity(const Source& source, float mean_of_all = 0.0f,
                              detail::KeptSpan<const float> factor_of_array = {})
      : nonlinearity(source), mean(mean_of_all), factors(factor_of_array) {}

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return detail::valid_strength(mean, "lumina::OutputNonlinearity: mean") &&
           nonlinearity.valid_for("lumina::OutputNonlinearity", rows, cols);
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    const float factor = factors.empty() ? 1.0f : factors[std::min(at.tile, factors.size() - 1)];
    const Floats own = abs(nonlinearity.template of_columns<Floats>(mean, at, active));
    const Floats bent = Floats(1.0f) + product(own, abs(values));
    return quotient(product(values, Floats(factor)), bent);
  }

  /// (1 + mean|n_j|·slope·bound)², the mean over an array's columns: what makes up for the loss at
  /// slope·bound (aihwkit: out_nonlinearity's slope calibration). The mean is a sum in double over
  /// ascending columns.
  float slope_factor(std::size_t array, std::size_t columns, float slope, float bound) const {
    using Floats = detail::Native::Batch<float>;
    double sum = 0.0;
    for (std::size_t column = 0; column < columns; column += Floats::size) {
      const ActiveLanes active{std::min(Floats::size, columns - column)};
      alignas(detail::kCacheLine) float lanes[Floats::size];
      abs(nonlinearity.template of_columns<Floats>(mean, {0, column, 0, array}, active))
          .store_aligned(lanes);
      for (std::size_t i = 0; i < active.count; ++i) sum += static_cast<double>(lanes[i]);
    }
    const double average = columns == 0 ? 0.0 : sum / static_cast<double>(columns);
    const auto lost = static_cast<float>(average * static_cast<double>(product(slope, bound)));
    return product(1.0f + lost, 1.0f + lost);
  }
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
