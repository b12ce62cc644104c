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

#include <concepts>
#include <cstddef>
#include <type_traits>

#include "array_epilogue.hpp"
#include "config.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/engine/array_call.hpp"
#include "detail/epilogue/observer.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "noisy_dac.hpp"
#include "quantizer.hpp"
#include "tiled_floats.hpp"
#include "tiled_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// y = digital(Σ over arrays of r·s·array(ŷ)), each output written once.
///
///   x       floats, which the DAC encodes, or std::uint8_t, codes already (not with a ManagedDac)
///   dac     a quantizer of 8 bits at most, r the larger magnitude of its ends; or a ManagedDac; or
///           either in a NoisyDac or StochasticDac
///   weights TiledWeights, or a view of such, multiplied as codes; or TiledFloats, with x of floats
///   and DACs of up to
///           16 bits, for stages that want nothing but the value
///   y       of float, std::uint8_t or std::uint16_t; integers take the codes of the quantizer that
///           is the last digital stage
///
/// Errors, before anything is written: shapes that do not fit, x overlapping y, missing data, a
/// stage that does not fit the output, a DAC of more than 8 bits or without a range. The result:
/// whether the call has run.
template <detail::CodedInput X, ArrayDac Dac, detail::ArrayWeights Weights, detail::CodedOutput Y,
          StagesInArrays InArray, StagesBehindArrays Behind, class Executor = Serial>
bool analog_gemm(X&& x, const Dac& dac, const Weights& weights, const InArray& in_array,
                 const Behind& behind, Y&& y, const NoiseKey& key = {},
                 const Executor& executor = {}) {
  return detail::call_arrays(detail::as_view_of<const float, const std::uint8_t>(x), dac, weights,
                             detail::as_view_of<float, std::uint8_t, std::uint16_t>(y),
                             in_array.stages, detail::NoObserver(), behind.stages,
                             detail::NoObserver(), key, executor);
}

/// How many bytes SerialIn needs for such a call with x [batch, weights.cols()] of floats.
template <int Bits, ArrayDac Dac, StagesInArrays InArray>
std::size_t analog_workspace_bytes(std::size_t batch, const TiledWeights<Bits>& weights,
                                   const Dac& dac, const InArray&) {
  using Input = decltype(detail::input_of(dac, NoiseKey()));
  using Parts = detail::ArrayParts<TiledWeights<Bits>, float, Input, decltype(InArray::stages)>;
  return detail::ArrayLayout<typename Parts::Kernel, typename Parts::Rows>::bytes(
      batch, weights.panels().inputs, 1);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
