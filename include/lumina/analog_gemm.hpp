// Layers on arrays, each with noise and an ADC of its own, in one pass.
//
//   const auto weights = lumina::encode_tiles<8>(w, {.tile = {256, 512}});
//   lumina::analog_gemm(x, SymmetricQuantizer<8>(3.0f), weights,
//                       array(GaussianNoise{0.04f}, SymmetricQuantizer<8>(10.0f)),
//                       digital(AddBias{bias}), y, key);
//
//   x [batch, in]   w [out, in]   y [batch, out]
//
// With x̂ = DAC(x) / r in [−1, 1], r the DAC's range, and ŵ, s of tiled_weights.hpp, the stages of
// array t see its outputs in currents of one fully-on device at full input,
//
//   ŷ = Σ over its inputs of ŵ·x̂,   and   y = digital( Σ over t of r·s[t]·array(ŷ) )
//
// Arrays add up in ascending order, a chain of fma(array(ŷ), r·s, sum) that begins at 0. The noise
// of array t has draws t·D, t·D + 1, …, D being those of its stages; those of digital stages
// follow.
#pragma once

#include <cstddef>

#include "config.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/engine/array_call.hpp"
#include "detail/epilogue/observer.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "stage_list.hpp"
#include "tiled_floats.hpp"
#include "tiled_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// What happens in each array: noise, nonlinearities, in the end its ADC; without one its outputs
/// add up as they are.
template <class... Stages>
struct ArrayStages {
  Epilogue<Stages...> stages;
};
template <class... Stages>
ArrayStages<Stages...> array(const Stages&... stages) {
  return {epilogue(stages...)};
}

/// What happens to the sum of all arrays: bias, activation.
template <class... Stages>
struct DigitalStages {
  static_assert(
      !(detail::wants_facts<Stages> || ...),
      "lumina::digital: behind the ADCs there are no currents: sums and facts of rows are "
      "for stages of array()");
  Epilogue<Stages...> stages;
};
template <class... Stages>
DigitalStages<Stages...> digital(const Stages&... stages) {
  return {epilogue(stages...)};
}

/// What analog_gemm takes in front of the arrays: a quantizer, or a ManagedDac.
template <class T>
concept ArrayDac = detail::AnyQuantizer<T> || std::same_as<T, ManagedDac>;

/// y = digital(Σ over arrays of r·s·array(ŷ)), each output written once.
///
///   x       floats, which the DAC encodes, or std::uint8_t, codes already (not with a ManagedDac)
///   dac     a quantizer of 8 bits at most, r the larger magnitude of its ends; or a ManagedDac
///   weights TiledWeights, multiplied as codes; or TiledFloats, with x of floats and DACs of up to
///           16 bits, for stages that want nothing but the value
///   y       of float, std::uint8_t or std::uint16_t; integers take the codes of the quantizer that
///           is the last digital stage
///
/// Errors, before anything is written: shapes that do not fit, x overlapping y, missing data, a
/// stage that does not fit the output, a DAC of more than 8 bits or without a range. The result:
/// whether the call has run.
template <detail::CodedInput X, ArrayDac Dac, detail::ArrayWeights Weights, detail::CodedOutput Y,
          class... InArray, class... Behind, class Executor = Serial>
bool analog_gemm(X&& x, const Dac& dac, const Weights& weights,
                 const ArrayStages<InArray...>& in_array, const DigitalStages<Behind...>& behind,
                 Y&& y, const NoiseKey& key = {}, const Executor& executor = {}) {
  return detail::call_arrays(detail::as_view_of<const float, const std::uint8_t>(x), dac, weights,
                             detail::as_view_of<float, std::uint8_t, std::uint16_t>(y),
                             in_array.stages, detail::NoObserver(), behind.stages,
                             detail::NoObserver(), key, executor);
}

/// The same with stages that are chosen at run time. `Sums` and `row_facts`: what the stages of the
/// arrays may want beside the value; each set is code of its own. Errors too: stages that want
/// more, or that want any behind the arrays.
template <unsigned Sums = 0, bool RowFacts = false, detail::CodedInput X, ArrayDac Dac,
          detail::ArrayWeights Weights, detail::CodedOutput Y, class Executor = Serial>
bool analog_gemm(X&& x, const Dac& dac, const Weights& weights, const StageList& in_array,
                 const StageList& behind, Y&& y, const NoiseKey& key = {},
                 const Executor& executor = {}) {
  return detail::call_arrays(detail::as_view_of<const float, const std::uint8_t>(x), dac, weights,
                             detail::as_view_of<float, std::uint8_t, std::uint16_t>(y),
                             StageListWith<Sums, RowFacts>(in_array), detail::NoObserver(), behind,
                             detail::NoObserver(), key, executor);
}

/// How many bytes SerialIn needs for such a call with x [batch, weights.cols()] of floats.
template <int Bits, ArrayDac Dac, class... InArray>
std::size_t analog_workspace_bytes(std::size_t batch, const TiledWeights<Bits>& weights,
                                   const Dac& dac, const ArrayStages<InArray...>&) {
  using Input = decltype(detail::input_of(dac));
  using Parts = detail::ArrayParts<TiledWeights<Bits>, float, Input, Epilogue<InArray...>>;
  return detail::ArrayLayout<typename Parts::Kernel, typename Parts::Rows>::bytes(
      batch, weights.panels().inputs);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
