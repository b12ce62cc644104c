// The oracle of layers on arrays: plain loops, short enough to check by eye (reference.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "analog_gemm.hpp"
#include "config.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "read_noise.hpp"
#include "reference.hpp"
#include "reference_converters.hpp"
#include "reference_sums.hpp"
#include "tiled_floats.hpp"
#include "tiled_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// A row's DAC at an array, and its range r.
struct RowDac {
  RuntimeQuantizer dac;
  float range;
  InputRandomness random = {};
};
template <class X, detail::AnyQuantizer Dac>
RowDac row_dac(MatrixView<const X>, std::size_t, std::size_t, std::size_t, const Dac& dac,
               std::size_t) {
  return {dac, std::max(std::fabs(dac.lo()), std::fabs(dac.hi()))};
}
/// `iteration`: how often bound management has doubled r.
inline RowDac row_dac(MatrixView<const float> x, std::size_t row, std::size_t begin,
                      std::size_t count, const ManagedDac& dac, std::size_t iteration) {
  float range = dac.range;
  if (dac.noise_management == NoiseManagement::abs_max) {
    float largest = 0.0f;
    bool finite = true;
    for (std::size_t k = begin; k < begin + count; ++k) {
      finite = finite && std::isfinite(x(row, k));
      largest = std::fmax(largest, std::fabs(x(row, k)));
    }
    if (finite && largest != 0.0f) range = largest;
  }
  range = std::clamp(range, 0x1p-100f, 0x1p+100f);
  for (std::size_t i = 0; i < iteration && range < 0x1p+120f; ++i) range *= 2.0f;
  return {RuntimeQuantizer::symmetric(dac.bits, range), range};
}

template <detail::RandomDac Dac, class X>
RowDac row_dac(MatrixView<const X> x, std::size_t row, std::size_t begin, std::size_t count,
               const Dac& random, std::size_t iteration) {
  return row_dac(x, row, begin, count, detail::ideal_dac(random), iteration);
}

inline std::size_t bound_iterations(const detail::UniformQuantizer&) { return 0; }
inline std::size_t bound_iterations(const ManagedDac& dac) {
  return static_cast<std::size_t>(dac.bound_iterations);
}

template <detail::RandomDac Dac>
std::size_t bound_iterations(const Dac& random) {
  return bound_iterations(detail::ideal_dac(random));
}

/// The value that goes through the stages of array number `tile` from draw `first_draw` on; whether
/// the last quantizer of the stages clipped it.
struct InArray {
  float value;
  bool clipped;
};
template <class... Stages>
InArray through_array(float value, std::size_t row, std::size_t column, std::size_t tile,
                      std::size_t first_draw, const Epilogue<Stages...>& epilogue,
                      const Facts<float>& facts, const NoiseKey& key) {
  InArray result{value, false};
  std::size_t draw = first_draw;
  const auto apply_stage = [&](const auto& stage) {
    using Stage = std::decay_t<decltype(stage)>;
    constexpr std::size_t count = detail::normals_of<Stage>;
    std::array<float, count + 1> normals{};
    for (std::size_t i = 0; i < count; ++i) {
      normals[i] = drawn_by<Stage>(key, row, column, draw, i);
    }
    draw += count;
    if constexpr (detail::Converts<Stage>) {
      result.clipped = !(result.value >= stage.lo() && result.value <= stage.hi());
    }
    const Element element{result.value, row, column, key.row_offset + row, normals.data(), tile};
    if constexpr (detail::wants_facts<Stage>) {
      result.value = apply(stage, element, facts);
    } else {
      result.value = apply(stage, element);
    }
  };
  std::apply([&](const auto&... stage) { (apply_stage(stage), ...); }, epilogue.stages());
  return result;
}

/// ŷ of an array and what its stages may want: sums of codes, exact, times what code 1 is worth.
struct ArrayOutput {
  float value;
  Facts<float> facts;
};
template <class X, int Bits>
ArrayOutput array_output(MatrixView<const X> x, const TiledWeights<Bits>& w, std::size_t row,
                         std::size_t column, std::size_t tile, const RowDac& dac) {
  // x̂ = code·unit + offset; of noisy codes each step is so much of a unit.
  const bool symmetric = dac.dac.is_symmetric();
  const float unit =
      symmetric ? 1.0f / static_cast<float>(-dac.dac.lowest()) : dac.dac.step() / dac.range;
  const float offset = symmetric ? 0.0f : dac.dac.lo() / dac.range;
  std::int64_t sum = 0, code_sum = 0, norm = 0;
  std::vector<std::uint8_t> codes(w.input_count(tile));
  std::vector<std::int32_t> weights(w.input_count(tile));
  for (std::size_t i = 0; i < w.input_count(tile); ++i) {
    const std::size_t k = w.first_input(tile) + i;
    const std::int64_t input = random_code(x(row, k), dac.dac, dac.random, row, k);
    weights[i] = w.code(column, k);
    codes[i] = static_cast<std::uint8_t>(input - dac.dac.lowest());
    sum += noisy_code(input, dac.random, row, k) * weights[i];
    code_sum += weights[i];
    norm += square_of_code(dac.dac, codes[i]);
  }
  const ExtraSums extra = extra_sums(codes.data(), weights.data(), codes.size(), dac.dac,
                                     w.code_value(), TiledWeights<Bits>::stored_bits);
  ArrayOutput result{};
  result.value = std::fma(
      static_cast<float>(sum),
      detail::product(unit / static_cast<float>(dac.random.steps), w.code_value()),
      detail::product(detail::product(offset, w.code_value()), static_cast<float>(code_sum)));
  result.facts = {extra.magnitudes,
                  extra.squared_inputs,
                  extra.squares,
                  {dac.range, detail::product(static_cast<float>(norm), 1.0f / 255.0f),
                   static_cast<float>(w.input_count(tile))},
                  extra.positions};
  return result;
}

inline ArrayOutput array_output(MatrixView<const float> x, const TiledFloats& w, std::size_t row,
                                std::size_t column, std::size_t tile, const RowDac& dac) {
  float sum = 0.0f;
  for (std::size_t i = 0; i < w.input_count(tile); ++i) {
    const std::size_t k = w.first_input(tile) + i;
    sum = detail::chain_multiply_add(dac.dac(x(row, k)), w.value(column, k), sum);
  }
  const float scale = w.scales(tile)[column];
  ArrayOutput result{};
  result.value =
      detail::product(detail::product(sum, scale > 0.0f ? 1.0f / scale : 0.0f), 1.0f / dac.range);
  return result;
}

inline float apply_noise(float variance, const Element& y) {
  return std::fma(std::sqrt(variance), y.normals[0], y.value);
}
inline float apply(const ReadNoise& stage, const Element& y, const Facts<float>& facts) {
  return apply_noise(detail::product(stage.stddev * stage.stddev, facts.squared_inputs), y);
}
inline float apply(const ProportionalReadNoise& stage, const Element& y,
                   const Facts<float>& facts) {
  return apply_noise(detail::product(stage.stddev * stage.stddev, facts.squares), y);
}
inline float apply(const ConstantReadNoise& stage, const Element& y, const Facts<float>& facts) {
  return apply_noise(detail::product(stage.stddev * stage.stddev, facts.row.sum_of_squares), y);
}
inline float apply(const BalancedShotNoise& stage, const Element& y, const Facts<float>& facts) {
  return apply_noise(detail::product(stage.strength * stage.strength, facts.magnitudes), y);
}
inline float apply(const IntensityNoise& stage, const Element& y) {
  return std::fma(detail::product(y.value, stage.stddev), y.normals[0], y.value);
}

/// lumina::analog_gemm; arguments are not checked.
template <class X, class Dac, class Weights, class... InArray, class... Behind, class Y>
requires(!detail::SlicesOfWeights<Weights>)  //
    void analog_gemm(MatrixView<const X> x, const Dac& dac, const Weights& w,
                     const ArrayStages<InArray...>& in_array,
                     const DigitalStages<Behind...>& behind, MatrixView<Y> y, const NoiseKey& key) {
  constexpr std::size_t kArrayDraws = Epilogue<InArray...>::normals_per_element;
  const std::size_t draws = w.tiles() * kArrayDraws + Epilogue<Behind...>::normals_per_element;
  for (std::size_t row = 0; row < y.rows(); ++row) {
    bool clipped = true;
    for (std::size_t i = 0; clipped && i <= bound_iterations(dac); ++i) {
      clipped = false;
      for (std::size_t column = 0; column < y.cols(); ++column) {
        float sum = 0.0f;
        for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
          RowDac own = row_dac(x, row, w.first_input(tile), w.input_count(tile), dac, i);
          own.random = input_randomness(dac, own.dac, own.range, key, i);
          const ArrayOutput output = array_output(x, w, row, column, tile, own);
          const reference::InArray converted =
              through_array(output.value, row, column, tile, i * draws + tile * kArrayDraws,
                            in_array.stages, output.facts, key);
          clipped = clipped || converted.clipped;
          sum = std::fma(converted.value, detail::product(w.scales(tile)[column], own.range), sum);
        }
        y(row, column) =
            finish<Y>(sum, row, column, behind.stages, key, i * draws + w.tiles() * kArrayDraws);
      }
    }
  }
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
