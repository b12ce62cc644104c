// The oracle of reports: plain loops (reference.hpp).
#pragma once

#include <cmath>
#include <cstddef>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "config.hpp"
#include "layer_report.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "reference_analog.hpp"
#include "tiled_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// What the arrays did, and Σ v² of what enters the digital stages.
struct Report {
  std::vector<ArrayReport> arrays;
  double sum_of_squares = 0.0;
};

template <std::size_t... I, class... Stages>
auto first_stages(const Epilogue<Stages...>& stages, std::index_sequence<I...>) {
  return epilogue(std::get<I>(stages.stages())...);
}

inline double square(float value) { return static_cast<double>(value) * value; }

/// Σ f(value) of four at a time, in pairs.
template <class F>
double sum_of_fours(std::vector<float> values, F f) {
  while (values.size() % 4 != 0) values.push_back(0.0f);
  double sum = 0.0;
  for (std::size_t i = 0; i < values.size(); i += 4) {
    sum += (f(values[i]) + f(values[i + 1])) + (f(values[i + 2]) + f(values[i + 3]));
  }
  return sum;
}

/// How often bound management has doubled r in the end.
template <class X, class Dac, int Bits, class... InArray>
std::size_t last_iteration(MatrixView<const X> x, const Dac& dac, const TiledWeights<Bits>& w,
                           const Epilogue<InArray...>& stages, std::size_t row,
                           std::size_t draws_of_call, const NoiseKey& key) {
  std::size_t i = 0;
  for (bool clipped = true; i < bound_iterations(dac); ++i) {
    clipped = false;
    for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
      const RowDac own = row_dac(x, row, w.first_input(tile), w.input_count(tile), dac, i);
      for (std::size_t column = 0; column < w.rows(); ++column) {
        const ArrayOutput output = array_output(x, w, row, column, tile, own);
        clipped |=
            through_array(output.value, row, column, tile,
                          i * draws_of_call + tile * Epilogue<InArray...>::normals_per_element,
                          stages, output.facts, key)
                .clipped;
      }
    }
    if (!clipped) break;
  }
  return i;
}

/// What a report says of a call of analog_gemm, whose last stage of an array is its ADC. (Of codes
/// used only where no row was repeated.)
template <class X, class Dac, int Bits, class... InArray, class... Behind>
Report report(MatrixView<const X> x, const Dac& dac, const TiledWeights<Bits>& w,
              const ArrayStages<InArray...>& in_array, const DigitalStages<Behind...>&,
              const NoiseKey& key) {
  constexpr std::size_t kDraws = Epilogue<InArray...>::normals_per_element;
  const std::size_t draws_of_call = w.tiles() * kDraws + Epilogue<Behind...>::normals_per_element;
  constexpr std::size_t kLast = sizeof...(InArray) - 1;
  const auto& adc = std::get<kLast>(in_array.stages.stages());
  const auto before_adc = first_stages(in_array.stages, std::make_index_sequence<kLast>());
  Report result;
  result.arrays.resize(w.tiles());
  std::vector<std::set<std::uint32_t>> dac_codes(w.tiles()), adc_codes(w.tiles());
  for (std::size_t row = 0; row < x.rows(); ++row) {
    const std::size_t i = last_iteration(x, dac, w, in_array.stages, row, draws_of_call, key);
    for (std::size_t block = 0; block < w.rows(); block += 128) {
      const std::size_t end = std::min(block + 128, w.rows());
      std::vector<float> sums(end - block);
      for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
        const RowDac own = row_dac(x, row, w.first_input(tile), w.input_count(tile), dac, i);
        ArrayReport& all = result.arrays[tile];
        std::vector<float> exact, errors, in_y, devices;
        for (std::size_t column = block; column < end; ++column) {
          const ArrayOutput output = array_output(x, w, row, column, tile, own);
          const std::size_t draw = i * draws_of_call + tile * kDraws;
          const float entering =
              through_array(output.value, row, column, tile, draw, before_adc, output.facts, key)
                  .value;
          const float leaving = adc(entering), error = leaving - output.value;
          const float worth = detail::product(w.scales(tile)[column], own.range);
          exact.push_back(output.value);
          devices.push_back(output.facts.squared_inputs);
          errors.push_back(error);
          in_y.push_back(detail::product(worth, error));
          ++all.outputs;
          ++all.adc.conversions;
          all.adc.below += entering < adc.lo() ? 1 : 0;
          all.adc.above += entering > adc.hi() ? 1 : 0;
          adc_codes[tile].insert(adc.encode(entering));
          sums[column - block] = std::fma(leaving, worth, sums[column - block]);
        }
        all.signal += sum_of_fours(exact, square);
        all.device_squares += sum_of_fours(devices, [](float v) { return static_cast<double>(v); });
        all.error += sum_of_fours(errors, square);
        all.output_error += sum_of_fours(in_y, square);
      }
      result.sum_of_squares += sum_of_fours(sums, square);
    }
    for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
      const RowDac own = row_dac(x, row, w.first_input(tile), w.input_count(tile), dac, 0);
      for (std::size_t k = 0; k < w.input_count(tile); ++k) {
        const float v = x(row, w.first_input(tile) + k);
        ConverterReport& converter = result.arrays[tile].dac;
        ++converter.conversions;
        converter.below += v < own.dac.lo() ? 1 : 0;
        converter.above += v > own.dac.hi() ? 1 : 0;
        dac_codes[tile].insert(own.dac.encode(v));
      }
    }
  }
  for (std::size_t tile = 0; tile < w.tiles(); ++tile) {
    result.arrays[tile].dac.codes_used = dac_codes[tile].size();
    result.arrays[tile].adc.codes_used = adc_codes[tile].size();
  }
  return result;
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
