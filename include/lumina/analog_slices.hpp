// Layers on arrays of few bits: weights in slices, inputs in planes, a conversion for each.
//
//   const auto weights = lumina::encode_slices<8>(w, {.tile = {128, 128}},
//                                                 {.cell_bits = 2, .input_bits = 1});
//   const SymmetricQuantizer<8> dac(3.0f);
//   const auto adc = granular_adc(8, largest_current(weights, dac));
//   lumina::analog_gemm(x, dac, weights, array(GaussianNoise{0.1f}, adc),
//                       digital(AddBias{bias}), y, key);
//
// The calls are those of analog_gemm.hpp and analog_pass.hpp. Weights and DAC(x) are sums of digits
// (sliced_weights.hpp, Slices), and slice s of array t takes plane p of the inputs by itself:
//
//   c[t, s, p] = Σ over its inputs of digit(w)·digit(x)
//   ŷ[t] = unit · Σ over s, then p, of ±2^(cell_bits·s + input_bits·p)·array(c[t, s, p])
//
// The stages of array(…) see c, currents in steps: a step is the current of one level of a cell at
// one level of an input. So what is a share of a fully-on device's current, as presets have it, is
// multiplied with steps_of_device(weights, dac). (Stages of read_noise.hpp need not: what they ask
// for comes in steps.) The shifted values add up in floats, a chain of fma that begins at 0: exact
// where they are integers and their sum is below 2^24. Then the arrays add up as those of
// analog_gemm, and an input of 0 that has a code above 0 is set right digitally.
//
// Where array() is empty nothing is converted, and slices and planes are one product, which is what
// runs: with the bits, and at the speed, of weights that nobody has sliced.
//
// Gradients are straight through: with g the gradient by an array's sum, and 2^m what a conversion
// is worth in it, those by its weights and inputs, whole ones, are those of
//   g · (Σ of 2^m over the conversions that did not clip / Σ of 2^m over all)
//
// The noise of conversion n = (t·S + s)·P + p, of S slices and P planes, has draws n·D, n·D + 1, …,
// D being those of its stages; those of digital stages follow. Stages and records see n as the
// number of the array.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include "adc_calibration.hpp"
#include "adc_range.hpp"
#include "analog_gemm.hpp"
#include "analog_pass.hpp"
#include "border.hpp"
#include "config.hpp"
#include "detail/engine/sliced_call.hpp"
#include "detail/epilogue/slice_stages.hpp"
#include "detail/training/sliced_backward.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "sliced_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Stages of each slice: `each` has a set for every slice, the lowest digits first, all of one type
/// with numbers of their own, say the ranges of ADCs. Not copied. Error of a call: other sets than
/// slices.
template <class InArray>
struct ArrayStagesOfSlices {
  detail::StagesOfSlices<InArray> stages;
};
template <StagesInArrays InArray>
ArrayStagesOfSlices<InArray> array_of_slices(std::span<const InArray> each) {
  return {{each}};
}

namespace detail {

template <class InArray>
inline constexpr bool are_in_arrays<ArrayStagesOfSlices<InArray>> = true;

}  // namespace detail

/// The steps of a fully-on device's current at full input.
template <int Bits, ArrayDac Dac>
float steps_of_device(const SlicedWeights<Bits>& weights, const Dac& dac) {
  const int cell = (1 << weights.options().cell_bits) - 1;
  return static_cast<float>(cell *
                            detail::input_of(dac, NoiseKey()).digits(weights.options()).largest());
}
/// The largest current that a conversion can have, in steps: with all inputs of an array at full
/// and all devices on.
template <int Bits, ArrayDac Dac>
float largest_current(const SlicedWeights<Bits>& weights, const Dac& dac) {
  std::size_t inputs = 0;
  for (std::size_t tile = 0; tile < weights.tiles(); ++tile) {
    inputs = std::max(inputs, weights.input_count(tile));
  }
  return static_cast<float>(inputs) * steps_of_device(weights, dac);
}

/// y = the pass's call, and what enters the last gate of array(…), the ADC, counted for each slice,
/// of all its arrays and planes (adc_calibration.hpp): array s of `seen` is slice s. Errors, and
/// the result, as analog_gemm's.
template <class X, class Dac, int Bits, class InArray, class Behind, class Executor = Serial>
requires(!detail::AnyStageList<typename detail::OfOneSlice<decltype(InArray::stages)>::Stages>)  //
    bool calibrate_slices(const AnalogPass<X, Dac, SlicedWeights<Bits>, InArray, Behind>& pass,
                          MatrixView<float> y, AdcCalibration& seen,
                          const Executor& executor = {}) {
  using Stages = std::remove_cvref_t<decltype(pass.in_array.stages)>;
  const detail::SliceObserver<Stages, AdcCalibration> observer(
      seen, pass.weights.slices(),
      detail::input_of(pass.dac, NoiseKey()).digits(pass.weights.options()).planes());
  return detail::call_arrays(pass.x, pass.dac, pass.weights, y, pass.in_array.stages, observer,
                             pass.behind.stages, detail::NoObserver(), pass.key, executor);
}

/// How many bytes SerialIn needs for such a call with x [batch, weights.cols()] of floats.
template <int Bits, ArrayDac Dac, StagesInArrays InArray>
std::size_t analog_workspace_bytes(std::size_t batch, const SlicedWeights<Bits>& weights,
                                   const Dac& dac, const InArray& in_array) {
  if (detail::digits_collapse(in_array.stages)) {
    return analog_workspace_bytes(batch, weights.whole(), dac, in_array);
  }
  const auto input = detail::input_of(dac, NoiseKey());
  using Parts = detail::SlicedParts<Bits, float, std::remove_cv_t<decltype(input)>,
                                    decltype(InArray::stages)>;
  return detail::ArrayLayout<typename Parts::Kernel, typename Parts::Rows>::bytes(
      batch, weights.whole().panels().inputs, input.digits(weights.options()).planes());
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
