// ADCs that are not ideal: one that rounds at random, a ramp whose steps are not all alike, a
// successive approximation whose bits have not the weights that they should. Stages of array()
// (analog_gemm.hpp), or of any epilogue whose outputs are floats, in the place of a quantizer:
//
//   const SymmetricQuantizer<8> ideal(10.0f);
//   array(GaussianNoise{0.04f}, StochasticQuantizer(ideal))
//   array(ColumnOffset{Mismatch{0.02f, chip}}, RampAdc(ideal, thresholds))
//   array(SarAdc(ideal, Mismatch{0.01f, chip}))
//
// Each has the levels of an ideal quantizer, and errs in which of them a value gets. Without errors
// RampAdc and SarAdc yield the bits of the ideal one. What is the same for all codes of a column
// (the offset of its comparator, its gain) are stages in front (array_stages.hpp).
//
// NaN stays NaN. Backward each is what the ideal one is: straight through where the value lies in
// its range, lo() … hi().
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "array_stages.hpp"
#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/message.hpp"
#include "detail/base/number.hpp"
#include "detail/simd/stochastic_code.hpp"
#include "detail/simd/vectors.hpp"
#include "matrix.hpp"
#include "quantizer.hpp"
#include "stage.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// What converters have in common: the levels of an ideal one. Codes count from `lowest`, which is
/// negative where codes have signs, in steps of 1.
class ConverterStage {
 public:
  static constexpr bool converts = true;

  explicit constexpr ConverterStage(const UniformQuantizer& ideal)
      : lo_(ideal.lo()),
        hi_(ideal.hi()),
        offset_(ideal.offset()),
        step_(ideal.step()),
        lowest_(static_cast<float>(ideal.lowest())),
        highest_(static_cast<float>(ideal.highest())) {}

  constexpr float lo() const { return lo_; }
  constexpr float hi() const { return hi_; }
  constexpr float step() const { return step_; }
  /// What code 0 stands for.
  constexpr float offset() const { return offset_; }
  /// 1 … 16.
  constexpr int bits() const { return static_cast<int>(std::bit_width(thresholds())); }
  /// How many there are between its levels: 2^bits − 1, or 2^bits − 2 where codes have signs.
  constexpr std::uint32_t thresholds() const {
    return static_cast<std::uint32_t>(highest_ - lowest_);
  }
  constexpr float lowest() const { return lowest_; }
  constexpr float highest() const { return highest_; }

  /// Where a value lies among the codes, (v − offset) / step.
  template <class Floats>
  [[gnu::always_inline]] constexpr Floats position(const Floats& values) const {
    return quotient(values - Floats(offset_), Floats(step_));
  }
  /// What codes, with their signs, stand for.
  template <class Floats>
  [[gnu::always_inline]] constexpr Floats level(const Floats& codes) const {
    return fused_multiply_add(codes, Floats(step_), Floats(offset_));
  }
  template <class Floats>
  constexpr auto passes(const Floats& values) const {
    return (values >= Floats(lo_)) & (values <= Floats(hi_));
  }

 private:
  float lo_, hi_, offset_, step_, lowest_, highest_;
};

/// values, where they are NaN.
template <class Floats>
[[gnu::always_inline]] constexpr Floats unless_nan(const Floats& values, const Floats& otherwise) {
  return select(values <= values, otherwise, values);
}

}  // namespace detail

/// An ADC that rounds up with the probability with which a value lies above a code, so that its
/// error has no mean: with p the value's position among the codes, limited to them, and u the
/// uniform number of the element and draw (standard_uniform_at, noise.hpp),
///   code = ⌊p⌋ + (u ≤ p − ⌊p⌋)
/// A value on a level stays there. The variance is f·(1 − f) steps², f = p − ⌊p⌋.
class StochasticQuantizer : public detail::ConverterStage {
 public:
  explicit constexpr StochasticQuantizer(const detail::UniformQuantizer& ideal)
      : ConverterStage(ideal) {}

  static constexpr std::size_t normals_per_element = 1;
  static constexpr bool draws_uniform = true;

  template <class Floats>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const std::array<Floats, 1>& uniform) const {
    const Floats at =
        detail::clamp_keeping_nan(position(values), Floats(lowest()), Floats(highest()));
    return level(detail::stochastic_code(at, uniform[0]));
  }
};

/// A ramp, or single-slope, ADC: a counter runs while a ramp that all columns share rises through
/// `thresholds`; a code is how many of them the value has reached (v ≥ threshold). Its output is
/// the ideal quantizer's level of that code.
///
/// `thresholds`: one less than the ideal one has levels, ascending; equal ones are a missing code.
/// ramp_thresholds() has those of an ideal ramp. They are not copied.
/// Errors of a call with it: another number of thresholds; NaN; thresholds that descend.
class RampAdc : public detail::ConverterStage {
 public:
  RampAdc(const detail::UniformQuantizer& ideal, detail::KeptSpan<const float> thresholds)
      : ConverterStage(ideal), thresholds_(thresholds) {}

  constexpr std::span<const float> thresholds() const { return thresholds_; }

  bool valid_for(std::size_t, std::size_t) const {
    if (thresholds_.size() != ConverterStage::thresholds()) {
      return detail::report_false(detail::Message()
                                  << "lumina::RampAdc: there are " << thresholds_.size()
                                  << " thresholds; an ADC of " << static_cast<std::size_t>(bits())
                                  << " bits has " << std::size_t{ConverterStage::thresholds()});
    }
    for (std::size_t i = 0; i < thresholds_.size(); ++i) {
      if (thresholds_[i] >= thresholds_[i == 0 ? 0 : i - 1]) continue;
      return detail::report_false(detail::Message()
                                  << "lumina::RampAdc: threshold " << i << " is "
                                  << detail::Number{static_cast<double>(thresholds_[i])}
                                  << "; thresholds must ascend, and none may be NaN");
    }
    return true;
  }

  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    alignas(detail::kCacheLine) float lanes[Floats::size];
    values.store_aligned(lanes);
    count_reached<Floats::size>(lanes);
    const Floats codes = Floats::load_aligned(lanes) + Floats(lowest());
    return detail::unless_nan(values, level(codes));
  }

 private:
  /// Each value becomes the number of thresholds that it has reached: bisections side by side.
  template <std::size_t Lanes>
  constexpr void count_reached(float* values) const {
    const float* const thresholds = thresholds_.data();
    std::uint32_t reached[Lanes] = {};
    for (auto left = static_cast<std::uint32_t>(thresholds_.size()); left != 0;) {
      const std::uint32_t more = (left + 1) / 2;
      for (std::size_t i = 0; i < Lanes; ++i) {
        const bool is_reached = values[i] >= thresholds[reached[i] + more - 1];
        reached[i] += more & (0u - static_cast<std::uint32_t>(is_reached));
      }
      left -= more;
    }
    for (std::size_t i = 0; i < Lanes; ++i) values[i] = static_cast<float>(reached[i]);
  }

  detail::KeptSpan<const float> thresholds_;
};

/// The thresholds of an ideal ramp: for each code but the lowest the smallest float that the
/// quantizer gives it. Error: another number of them than the quantizer has levels, less one;
/// nothing is written then. The result: whether they were.
inline bool ramp_thresholds(const detail::UniformQuantizer& ideal, std::span<float> thresholds) {
  const detail::ConverterStage levels(ideal);
  if (thresholds.size() != levels.thresholds()) {
    return detail::report_false(detail::Message()
                                << "lumina::ramp_thresholds: there is room for "
                                << thresholds.size() << " thresholds; a quantizer of "
                                << static_cast<std::size_t>(levels.bits()) << " bits has "
                                << std::size_t{levels.thresholds()});
  }
  // Floats in ascending order are integers in ascending order; negative ones counted from −0 down.
  const auto value = [](std::int32_t order) {
    const std::int32_t bits = order < 0 ? std::numeric_limits<std::int32_t>::min() - order : order;
    return std::bit_cast<float>(bits);
  };
  constexpr auto kLargest = std::bit_cast<std::int32_t>(std::numeric_limits<float>::max());
  std::int32_t first = -kLargest;
  for (std::size_t i = 0; i < thresholds.size(); ++i) {
    std::int32_t last = kLargest;
    while (first < last) {
      const auto middle = static_cast<std::int32_t>((std::int64_t{first} + last) >> 1);
      if (ideal.encode(value(middle)) > i) {
        last = middle;
      } else {
        first = middle + 1;
      }
    }
    thresholds[i] = value(first);
  }
  return true;
}

/// The weights of a SarAdc's bits are those of an ideal one.
struct IdealBits {};

namespace detail {

constexpr float weight_of_bit(int bit) { return static_cast<float>(std::uint32_t{1} << bit); }

/// 2^bit units, each with a deviation of its own.
constexpr Mismatch mismatch_of_bit(const Mismatch& of_unit, int bit) {
  return {product(of_unit.stddev, square_root(weight_of_bit(bit))), of_unit.chip,
          of_unit.draw + static_cast<std::size_t>(bit)};
}

/// Of ideal weights, of a Mismatch and of ColumnVectors (SarAdc).
template <class Floats>
[[gnu::always_inline]] constexpr Floats bit_weights(const IdealBits&, int bit, int,
                                                    const Coordinates&, const ActiveLanes&) {
  return Floats(weight_of_bit(bit));
}
template <class Floats>
[[gnu::always_inline]] constexpr Floats bit_weights(const Mismatch& of_unit, int bit, int,
                                                    const Coordinates& at,
                                                    const ActiveLanes& active) {
  return mismatch_of_bit(of_unit, bit).of_columns<Floats>(weight_of_bit(bit), at, active);
}
template <class Floats>
[[gnu::always_inline]] constexpr Floats bit_weights(const ColumnVectors& given, int bit, int bits,
                                                    const Coordinates& at,
                                                    const ActiveLanes& active) {
  const auto own = static_cast<std::size_t>(bit), all = static_cast<std::size_t>(bits);
  Coordinates row = at;
  row.tile = std::min(at.tile, given.values.rows() / all - 1) * all + own;
  return given.of_columns<Floats>(0.0f, row, active);
}

inline bool bit_weights_valid(const IdealBits&, int, std::size_t, std::size_t) { return true; }
inline bool bit_weights_valid(const Mismatch& of_unit, int, std::size_t rows, std::size_t cols) {
  return of_unit.valid_for("lumina::SarAdc", rows, cols);
}
inline bool bit_weights_valid(const ColumnVectors& given, int bits, std::size_t rows,
                              std::size_t cols) {
  if (!given.valid_for("lumina::SarAdc", rows, cols)) return false;
  if (given.values.rows() % static_cast<std::size_t>(bits) != 0) {
    return report_false(Message() << "lumina::SarAdc: the bits' weights are "
                                  << Shape{given.values.rows(), given.values.cols()}
                                  << "; each array has a row for each of the ADC's "
                                  << static_cast<std::size_t>(bits) << " bits");
  }
  for (std::size_t row = 0; row < given.values.rows(); ++row) {
    for (std::size_t column = 0; column < cols; ++column) {
      const float weight = given.values(row, column);
      if (weight > 0.0f && weight <= std::numeric_limits<float>::max()) continue;
      return report_false(Message() << "lumina::SarAdc: the weight in row " << row << ", column "
                                    << column << " is " << Number{static_cast<double>(weight)}
                                    << "; it must be positive and finite");
    }
  }
  return true;
}

template <class T>
concept BitWeights = requires(const T weights, const Coordinates at, const ActiveLanes active) {
  bit_weights<Native::Batch<float>>(weights, 0, 1, at, active);
  bit_weights_valid(weights, 1, std::size_t{}, std::size_t{});
};

}  // namespace detail

/// A successive-approximation ADC: from the highest bit to the lowest it keeps a bit where the
/// value lies above the middle of the step below what bits kept so far and this one weigh together.
/// Its output is the ideal quantizer's level of the code.
///
/// What a bit weighs, in steps, is 2^bit where it is ideal; otherwise each column's own:
///   Mismatch σ     2^bit units with deviations σ of a unit: 2^bit + σ·√2^bit·N, N the normal of
///                  draw + bit; draws up to draw + bits − 1 are the ADC's
///   ColumnVectors  [arrays · bits, columns], or [bits, columns] for all arrays alike, the lowest
///   bit
///                  first. draw_bit_weights() draws those of a Mismatch, which as they are drawn
///                  again in each call take 4 ns a bit and output
/// Errors of a call with it: those of Mismatch and ColumnVectors; a number of rows that is no
/// multiple of the bits; a weight that is not positive and finite.
template <detail::BitWeights Weights = IdealBits>
class SarAdc : public detail::ConverterStage {
 public:
  explicit SarAdc(const detail::UniformQuantizer& ideal, const Weights& weights = {})
      : ConverterStage(ideal), weights_(weights) {}

  constexpr const Weights& weights() const { return weights_; }

  bool valid_for(std::size_t rows, std::size_t cols) const {
    return detail::bit_weights_valid(weights_, bits(), rows, cols);
  }

  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    const Floats position = this->position(values);
    Floats reached(lowest()), code(lowest());
    for (int bit = bits() - 1; bit >= 0; --bit) {
      const Floats tried = reached + detail::bit_weights<Floats>(weights_, bit, bits(), at, active);
      const Floats middle = tried - Floats(0.5f);
      const auto keep = [&](const auto& is_above) {
        reached = select(is_above, tried, reached);
        code = select(is_above, code + Floats(detail::weight_of_bit(bit)), code);
      };
      if (keeps_ties(bit)) {
        keep(position >= middle);
      } else {
        keep(position > middle);
      }
    }
    // With signs there is one code less than bits could have.
    return detail::unless_nan(values, level(min(code, Floats(highest()))));
  }

  /// Whether a value in the very middle keeps the bit: where the ideal one's code is even then.
  constexpr bool keeps_ties(int bit) const {
    const bool lowest_is_odd = lowest() < 0.0f;  // −(2^(bits−1) − 1), or 0
    return (bit == 0) == lowest_is_odd;
  }

 private:
  Weights weights_;
};

/// What a SarAdc of so many bits with a Mismatch draws, [arrays · bits, columns], for
/// ColumnVectors. Errors: bits outside 1 … 16; rows that are no multiple of them; those of
/// draw_columns(). The result: whether drawn.
inline bool draw_bit_weights(const Mismatch& of_unit, int bits, MatrixView<float> weights) {
  if (bits < 1 || bits > 16 || weights.rows() % static_cast<std::size_t>(bits) != 0) {
    return detail::report_false(detail::Message() << "lumina::draw_bit_weights: the weights are "
                                                  << detail::Shape{weights.rows(), weights.cols()}
                                                  << ", a row for each array and bit; bits are "
                                                  << detail::Number{static_cast<double>(bits)}
                                                  << " and must be in 1..16");
  }
  const auto step = static_cast<std::size_t>(bits);
  for (int bit = bits - 1; bit >= 0; --bit) {
    float* const first = weights.rows() == 0 || weights.data() == nullptr
                             ? weights.data()
                             : weights.row(static_cast<std::size_t>(bit));
    const MatrixView<float> own(first, weights.rows() / step, weights.cols(),
                                step * weights.row_stride());
    if (!draw_columns(detail::mismatch_of_bit(of_unit, bit), detail::weight_of_bit(bit), own)) {
      return false;
    }
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
