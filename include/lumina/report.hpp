// What a layer's arrays do in a call: how much noise they add, what their converters clip, what it
// costs in energy and time.
//
//   LayerReport report;
//   for (each batch) analog_gemm(x, dac, weights, array(…, adc), digital(…), y, report, key);
//   report.arrays()[0].snr_db();   report.energy_joules(costs);   report.latency_seconds(costs);
//
// y has the bits that it has without a report. Sums are of doubles, of four outputs in pairs, of
// these in 128 outputs, and of these in all rows, in ascending order: the same for any number of
// threads, on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>
#include <utility>

#include "analog_gemm.hpp"
#include "config.hpp"
#include "detail/epilogue/report_taps.hpp"
#include "detail/rows/array_input.hpp"
#include "executor.hpp"
#include "layer_report.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "tiled_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Stages of an array with taps between them: behind the dot product, in front of an ADC that is
/// the last one, and in the end.
template <class... Stages>
auto tapped(const Epilogue<Stages...>& stages, const ReportMemory& memory,
            const ReportScales& scales) {
  const ArrayTap first{memory};
  const OutputErrorTap last{memory, scales};
  if constexpr (sizeof...(Stages) == 0) {
    return epilogue(first, last);
  } else {
    constexpr std::size_t kLast = sizeof...(Stages) - 1;
    const auto& adc = std::get<kLast>(stages.stages());
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
      if constexpr (AnyQuantizer<std::remove_cvref_t<decltype(adc)>>) {
        return epilogue(first, std::get<I>(stages.stages())..., ConverterTap{memory, adc}, adc,
                        last);
      } else {
        return epilogue(first, std::get<I>(stages.stages())..., adc, last);
      }
    }
    (std::make_index_sequence<kLast>());
  }
}

template <class... Stages>
auto tapped_outputs(const Epilogue<Stages...>& stages, const ReportMemory& memory) {
  return std::apply([&](const auto&... stage) { return epilogue(OutputTap{memory}, stage...); },
                    stages.stages());
}

/// How many codes a converter has.
template <AnyQuantizer Converter>
std::size_t codes_of(const Converter& converter) {
  return (std::size_t{1} << bits_of(converter)) - (converter.is_symmetric() ? 1 : 0);
}
inline std::size_t codes_of(const ManagedDac& dac) { return (std::size_t{1} << dac.bits) - 1; }

/// Those of the last stage, if it is a converter; otherwise none.
template <class... Stages>
std::size_t codes_of_last(const Epilogue<Stages...>& stages) {
  if constexpr (sizeof...(Stages) != 0) {
    const auto& last = std::get<sizeof...(Stages) - 1>(stages.stages());
    if constexpr (AnyQuantizer<std::remove_cvref_t<decltype(last)>>) {
      return codes_of(last);
    }
  }
  return 0;
}

/// What a DAC does with an array's inputs of a row.
template <class X>
void count_inputs(const X* x, std::size_t inputs, const UniformQuantizer& dac,
                  ConverterReport& report, std::uint8_t* used) {
  report.conversions += inputs;
  if constexpr (std::is_same_v<X, float>) {
    using Floats = Native::Batch<float>;
    ReportCounts counts{};
    std::size_t k = 0;
    for (; k + Floats::size <= inputs; k += Floats::size) {
      count_conversions(Floats::load_unaligned(x + k), {Floats::size}, dac, counts, used);
    }
    if (k < inputs) {
      count_conversions(load_first<Floats>(x + k, inputs - k), {inputs - k}, dac, counts, used);
    }
    report.add(counts.below, counts.above, counts.not_numbers);
  } else {
    for (std::size_t k = 0; k < inputs; ++k) {
      if (x[k] < report.codes) used[x[k]] = 1;
    }
  }
}

}  // namespace detail

/// analog_gemm, and adds to `report` what the arrays did; a report of a layer with another number
/// of arrays, or of codes, begins anew. The weights are coded ones. Where bound management repeats
/// a row, the last time counts, but for the DAC, of which the first does, and the codes used, of
/// which all do. Cost: a product more, Σ|ŵ|x̂²; about 4 ns an output and array; another look
/// at x; for each row and 128 outputs 48·(arrays + 1) + 128 bytes, which the report keeps. Errors,
/// and the result: analog_gemm's; the report is as before then.
template <detail::CodedInput X, ArrayDac Dac, int Bits, detail::CodedOutput Y, class... InArray,
          class... Behind, class Executor = Serial>
bool analog_gemm(X&& x, const Dac& dac, const TiledWeights<Bits>& weights,
                 const ArrayStages<InArray...>& in_array, const DigitalStages<Behind...>& behind,
                 Y&& y, LayerReport& report, const NoiseKey& key = {},
                 const Executor& executor = {}) {
  const auto inputs = detail::as_view_of<const float, const std::uint8_t>(x);
  const auto outputs = detail::as_view_of<float, std::uint8_t, std::uint16_t>(y);
  if (!detail::array_dac_valid(dac)) return false;
  detail::ReportBuilder builder(report, outputs.rows(), outputs.cols(), weights.tiles(),
                                detail::codes_of(detail::ideal_dac(dac)),
                                detail::codes_of_last(in_array.stages));
  if (!builder.has_memory()) return false;
  const detail::ReportScales scales{weights.panels().scales, weights.panels().padded_outputs};
  if (!detail::call_arrays(
          inputs, dac, weights, outputs, detail::tapped(in_array.stages, builder.memory(), scales),
          detail::NoObserver(), detail::tapped_outputs(behind.stages, builder.memory()),
          detail::NoObserver(), key, executor)) {
    return false;
  }
  if (!builder.add_sums()) return false;
  const auto input = detail::input_of(detail::ideal_dac(dac), key);
  for (std::size_t tile = 0; tile < weights.tiles() && outputs.cols() != 0; ++tile) {
    const std::size_t first = weights.first_input(tile), count = weights.input_count(tile);
    for (std::size_t row = 0; row < inputs.rows(); ++row) {
      const auto* const own = inputs.row(row) + first;
      input.with_dac(own, count, 0, [&](const detail::UniformQuantizer& quantizer, float) {
        detail::count_inputs(own, count, quantizer, builder.array(tile).dac,
                             builder.dac_codes(tile));
      });
    }
  }
  builder.count_codes();
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
