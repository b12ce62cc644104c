// The oracle of layers on arrays of sliced weights: plain loops, short enough to check by eye
// (reference.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "analog_slices.hpp"
#include "config.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference.hpp"
#include "reference_analog.hpp"
#include "reference_sums.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Which digit of weights and inputs a conversion has.
struct Conversion {
  std::size_t tile, slice, plane, number;
};

/// How a DAC's codes, with their signs, are cut: planes of `bits` bits, once or for each sign.
struct Digits {
  int bits;
  bool signs, two_passes;
  std::size_t planes_of_pass;

  Digits(const Slices& slices, const RuntimeQuantizer& dac) {
    signs = dac.is_symmetric();
    two_passes = signs && slices.signs == InputSigns::two_passes;
    const int all = signs ? dac.bits() - 1 : dac.bits();
    bits = slices.input_bits == 0 ? all : std::min(slices.input_bits, all);
    planes_of_pass = static_cast<std::size_t>((all + bits - 1) / bits);
  }
  std::size_t planes() const { return two_passes ? 2 * planes_of_pass : planes_of_pass; }
  std::int64_t largest() const { return (std::int64_t{1} << bits) - 1; }
  std::int64_t power(std::size_t plane) const {
    std::int64_t result = 1;
    for (std::size_t i = 0; i < plane % planes_of_pass; ++i) result *= largest() + 1;
    return result;
  }
  /// Digit of a code, and what it is worth.
  std::int64_t digit(std::int64_t code, std::size_t plane) const {
    if (two_passes)
      code = plane < planes_of_pass ? std::max<std::int64_t>(code, 0)
                                    : std::max<std::int64_t>(-code, 0);
    const std::int64_t digit = std::abs(code) / power(plane) % (largest() + 1);
    return code < 0 ? -digit : digit;
  }
  std::int64_t worth(std::size_t plane) const {
    return plane < planes_of_pass ? power(plane) : -power(plane);
  }
};

/// c of a conversion and what its stages may want.
template <class X, int Bits>
ArrayOutput conversion_output(MatrixView<const X> x, const SlicedWeights<Bits>& w, std::size_t row,
                              std::size_t column, const Conversion& at, const Digits& digits,
                              const RowDac& dac) {
  // The digits as codes of a converter of their own.
  const auto largest = static_cast<float>(digits.largest());
  const bool have_signs = digits.signs && !digits.two_passes;
  const RuntimeQuantizer own = have_signs ? RuntimeQuantizer::symmetric(digits.bits + 1, largest)
                                          : RuntimeQuantizer(digits.bits, 0.0f, largest);
  const int cell_bits = w.options().cell_bits;
  std::int64_t sum = 0, norm = 0;
  std::vector<std::uint8_t> codes;
  std::vector<std::int32_t> weights;
  for (std::size_t i = 0; i < w.input_count(at.tile); ++i) {
    const std::size_t k = w.first_input(at.tile) + i;
    const std::int64_t digit = digits.digit(input_code(x(row, k), dac.dac), at.plane);
    const std::int32_t code = w.whole().code(column, k);
    const std::int32_t slice =
        std::abs(code) >> (cell_bits * static_cast<int>(at.slice)) & ((1 << cell_bits) - 1);
    weights.push_back((code < 0 ? -slice : slice) << (7 - cell_bits));
    codes.push_back(static_cast<std::uint8_t>(digit - own.lowest()));
    sum += digit * (code < 0 ? -slice : slice);
    norm += square_of_code(own, codes.back());
  }
  const auto cell = static_cast<float>((1 << cell_bits) - 1);
  const ExtraSums extra = extra_sums(codes.data(), weights.data(), codes.size(), own,
                                     1.0f / static_cast<float>(1 << (7 - cell_bits)), 8);
  const float input = largest * largest;
  ArrayOutput result{};
  result.value = static_cast<float>(sum);
  result.facts = {
      detail::product(extra.magnitudes, input * cell),
      detail::product(extra.squared_inputs, input * cell),
      detail::product(extra.squares, input),
      {dac.range, detail::product(detail::product(static_cast<float>(norm), 1.0f / 255.0f),
                                  input * (cell * cell))}};
  return result;
}

/// An array's total in steps; whether a conversion clipped, and what share of it, by what
/// conversions are worth, went through those that did not.
struct SlicedTotal {
  float value;
  bool clipped;
  float open;
};
template <class X, int Bits, class Stages>
SlicedTotal sliced_total(MatrixView<const X> x, const SlicedWeights<Bits>& w, std::size_t row,
                         std::size_t column, std::size_t tile, const Digits& digits,
                         const RowDac& dac, std::size_t first_draw, const Stages& stages,
                         const NoiseKey& key) {
  using Own = typename detail::OfOneSlice<Stages>::Stages;
  SlicedTotal result{0.0f, false, 0.0f};
  std::int64_t exact = 0, open = 0, all = 0;
  for (std::size_t slice = 0; slice < w.slices(); ++slice) {
    for (std::size_t plane = 0; plane < digits.planes(); ++plane) {
      const std::size_t number = (tile * w.slices() + slice) * digits.planes() + plane;
      const ArrayOutput output =
          conversion_output(x, w, row, column, {tile, slice, plane, number}, digits, dac);
      const InArray converted = through_array(
          output.value, row, column, number, first_draw + number * Own::normals_per_element,
          detail::stages_of_slice(stages, slice), output.facts, key);
      const std::int64_t worth = digits.worth(plane)
                                 << (static_cast<std::size_t>(w.options().cell_bits) * slice);
      result.value = std::fma(converted.value, static_cast<float>(worth), result.value);
      result.clipped = result.clipped || converted.clipped;
      exact += static_cast<std::int64_t>(output.value) * worth;
      all += std::abs(worth);
      open += converted.clipped ? 0 : std::abs(worth);
    }
  }
  result.open = static_cast<float>(open) / static_cast<float>(all);
  // Nothing is converted: an exact sum.
  if constexpr (std::is_same_v<Own, Epilogue<>>) result.value = static_cast<float>(exact);
  return result;
}

/// lumina::analog_gemm of sliced weights; arguments are not checked.
template <class X, class Dac, int Bits, class InArray, class... Behind, class Y>
void analog_gemm(MatrixView<const X> x, const Dac& dac, const SlicedWeights<Bits>& w,
                 const InArray& in_array, const DigitalStages<Behind...>& behind, MatrixView<Y> y,
                 const NoiseKey& key) {
  using Stages =
      typename detail::OfOneSlice<std::remove_cvref_t<decltype(in_array.stages)>>::Stages;
  for (std::size_t row = 0; row < y.rows(); ++row) {
    bool clipped = true;
    for (std::size_t i = 0; clipped && i <= bound_iterations(dac); ++i) {
      clipped = false;
      for (std::size_t column = 0; column < y.cols(); ++column) {
        float sum = 0.0f;
        std::size_t behind_draw = 0;
        for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
          const RowDac own = row_dac(x, row, w.first_input(tile), w.input_count(tile), dac, i);
          const Digits digits(w.options(), own.dac);
          behind_draw = w.tiles() * w.slices() * digits.planes() * Stages::normals_per_element;
          const std::size_t draws = behind_draw + Epilogue<Behind...>::normals_per_element;
          const SlicedTotal total =
              sliced_total(x, w, row, column, tile, digits, own, i * draws, in_array.stages, key);
          clipped = clipped || total.clipped;
          const float device = w.whole().code_value();
          const float unit = own.dac.is_symmetric() ? 1.0f / static_cast<float>(-own.dac.lowest())
                                                    : own.dac.step() / own.range;
          const float offset = own.dac.is_symmetric() ? 0.0f : own.dac.lo() / own.range;
          const auto codes = static_cast<float>(w.whole().code_sums(tile)[column]);
          const float value = std::fma(total.value, detail::product(unit, device),
                                       detail::product(detail::product(offset, device), codes));
          sum = std::fma(value, detail::product(w.whole().scales(tile)[column], own.range), sum);
          if (tile + 1 == w.tiles()) behind_draw += i * draws;
        }
        y(row, column) = finish<Y>(sum, row, column, behind.stages, key, behind_draw);
      }
    }
  }
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
