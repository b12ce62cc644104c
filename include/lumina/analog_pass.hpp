// A call on arrays as an object, for training: analog_gemm with a record, and its straight-through
// gradients.
//
//   const auto pass = lumina::analog_pass(x, dac, weights, array(…), digital(…), key);
//   lumina::forward(pass, y, record);
//   lumina::backward(pass, grad_y, record, {.input = …, .weights = …, .bias = …}, workspace);
//
// With g_t the gradient by the outputs of the arrays number t along the inputs, 0 where their ADC
// clipped, the gradients by t's inputs and weights are g_t·W_t and g_tᵀ·X_t: W the weights that the
// devices hold, noise of programming included, X the values of the DAC's codes (with bound
// management, those of a row's first range). Noise has no part in it, nor have ranges that rows
// have chosen.
#pragma once

#include <cstddef>
#include <type_traits>

#include "adc_calibration.hpp"
#include "analog_gemm.hpp"
#include "backward.hpp"
#include "border.hpp"
#include "config.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/engine/array_call.hpp"
#include "detail/epilogue/clip_recorder.hpp"
#include "detail/epilogue/magnitude_observer.hpp"
#include "detail/training/array_backward.hpp"
#include "executor.hpp"
#include "forward_record.hpp"
#include "gradients.hpp"
#include "matrix.hpp"
#include "tiled_floats.hpp"
#include "tiled_weights.hpp"
#include "weight_noise.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The arguments of analog_gemm. The view and the reference to the weights must live as long as it
/// is used. Made by analog_pass().
template <class X, class Dac, class Weights, class InArray, class Behind>
struct AnalogPass {
  static constexpr int kMaxDacBits = std::is_same_v<Weights, TiledFloats> ? 16 : 8;

  MatrixView<const X> x;
  Dac dac;
  const Weights& weights;
  InArray in_array;
  Behind behind;
  NoiseKey key;

  /// Bits of a record for each output: those of each array, then those behind them.
  std::size_t array_gates() const { return detail::recorded_gates(in_array.stages); }
  std::size_t gates() const { return gates_of_arrays() + detail::recorded_gates(behind.stages); }
  std::size_t gates_of_arrays() const { return detail::array_count(weights, dac) * array_gates(); }
};

template <detail::CodedInput X, ArrayDac Dac, detail::ArrayWeights Weights, StagesInArrays InArray,
          StagesBehindArrays Behind>
auto analog_pass(X&& x, const Dac& dac, const Weights& weights, const InArray& in_array,
                 const Behind& behind, const NoiseKey& key = {}) {
  const auto view = detail::as_view_of<const float, const std::uint8_t>(x);
  using Element = std::remove_const_t<std::remove_pointer_t<decltype(view.data())>>;
  return AnalogPass<Element, Dac, Weights, InArray, Behind>{view,     dac,    weights,
                                                            in_array, behind, key};
}
template <detail::CodedInput X, class Dac, class Weights, class InArray, class Behind>
auto analog_pass(X&& x, const Dac& dac, const Weights&& temporary, const InArray& in_array,
                 const Behind& behind, const NoiseKey& key = {}) = delete;
template <detail::CodedInput X, class Dac, class Weights, class InArray, class Behind>
requires(!detail::stays<X>) auto analog_pass(X&& temporary, const Dac& dac, const Weights& weights,
                                             const InArray& in_array, const Behind& behind,
                                             const NoiseKey& key = {}) = delete;

namespace detail {

/// The pass's call, and its record, where there is one, filled. `record`: a reference, or where all
/// stages are lists a pointer.
template <class Pass, class Record, class Executor>
bool forward_through_arrays(const Pass& pass, MatrixView<float> y, Record&& record,
                            ForwardRecord* filled, const Executor& executor) {
  if (filled != nullptr) {
    filled->resize(0, 0, 0);
    if (!array_stages_straight(pass.in_array.stages) ||
        !array_stages_straight(pass.behind.stages)) {
      return false;
    }
    filled->resize(y.rows(), y.cols(), pass.gates());
    if (filled->rows() != y.rows() || filled->cols() != y.cols()) return false;  // reported
  }
  const ClipRecorder<std::remove_cvref_t<decltype(pass.in_array.stages)>> in_array(record, 0);
  const ClipRecorder<std::remove_cvref_t<decltype(pass.behind.stages)>> behind(
      record, pass.gates_of_arrays());
  const bool ran = call_arrays(pass.x, pass.dac, pass.weights, y, pass.in_array.stages, in_array,
                               pass.behind.stages, behind, pass.key, executor);
  if (ran && filled != nullptr) filled->mark_filled();
  return ran;
}

}  // namespace detail

/// y = the pass's call, and what backward() needs to know of it to `record`, whose memory is used
/// again: it grows with the arrays. Errors, and the result, as analog_gemm's.
template <class X, class Dac, class Weights, class InArray, class Behind, class Executor = Serial>
bool forward(const AnalogPass<X, Dac, Weights, InArray, Behind>& pass, MatrixView<float> y,
             ForwardRecord& record, const Executor& executor = {}) {
  return detail::forward_through_arrays(pass, y, record, &record, executor);
}
/// The same of lists of stages; `record` may be null.
template <class X, class Dac, class Weights, unsigned Set, bool RowFacts, class Executor = Serial>
bool forward(
    const AnalogPass<X, Dac, Weights, ArrayStageList<Set, RowFacts>, DigitalStageList>& pass,
    MatrixView<float> y, ForwardRecord* record, const Executor& executor = {}) {
  return detail::forward_through_arrays(pass, y, record, record, executor);
}

namespace detail {

/// What backward() takes as products, or anything else.
template <class T>
inline constexpr bool are_products =
    std::is_same_v<T, F32Products> || std::is_same_v<T, Bf16SplitProducts> || is_integer_split<T>;

/// The Parts of IntegerSplitProducts of weights that are codes or are not; 0 of F32Products.
template <class Products, bool AreCodes>
constexpr std::size_t parts_of_products() {
  static_assert(!std::is_same_v<Products, Bf16SplitProducts>,
                "lumina::backward: arrays and convolutions have no Bf16SplitProducts");
  static_assert(AreCodes || std::is_same_v<Products, F32Products>,
                "lumina::backward: IntegerSplitProducts need coded weights");
  if constexpr (is_integer_split<Products>) {
    return Products::parts;
  } else {
    return 0;
  }
}

}  // namespace detail

/// The gradients of a pass whose forward() has filled `record`, with the same x, weights and key.
/// `products`: F32Products or IntegerSplitProducts, of each array (not of TiledFloats). Errors,
/// before anything is written: as those of lumina::backward. The result: whether it ran.
template <class X, class Dac, class Weights, class InArray, class Behind, class Products,
          class Executor = Serial>
requires detail::are_products<Products>
bool backward(const AnalogPass<X, Dac, Weights, InArray, Behind>& pass,
              MatrixView<const float> grad_y, const ForwardRecord& record,
              const Gradients& gradients, BackwardWorkspace& workspace, const Products&,
              const Executor& executor = {}) {
  constexpr std::size_t kParts =
      detail::parts_of_products<Products, detail::CodesOnArrays<Weights>>();
  return detail::backward_through_arrays<kParts>(pass, grad_y, record, gradients, workspace,
                                                 epilogue(), NoiseKey{}, executor);
}
template <class X, class Dac, class Weights, class InArray, class Behind, class Executor = Serial>
requires(!detail::are_products<Executor>)  //
    bool backward(const AnalogPass<X, Dac, Weights, InArray, Behind>& pass,
                  MatrixView<const float> grad_y, const ForwardRecord& record,
                  const Gradients& gradients, BackwardWorkspace& workspace,
                  const Executor& executor = {}) {
  return backward(pass, grad_y, record, gradients, workspace, F32Products(), executor);
}
/// The same where the weights were encoded with this noise and key (tiled_weight_noise.hpp): the
/// gradient by the weights goes through the noise's gradient_stage().
template <class X, class Dac, class Weights, class InArray, class Behind, WeightNoise Noise,
          class Products, class Executor = Serial>
requires detail::are_products<Products>
bool backward(const AnalogPass<X, Dac, Weights, InArray, Behind>& pass,
              MatrixView<const float> grad_y, const ForwardRecord& record,
              const Gradients& gradients, BackwardWorkspace& workspace, const Noise& noise,
              const NoiseKey& noise_key, const Products&, const Executor& executor = {}) {
  constexpr std::size_t kParts =
      detail::parts_of_products<Products, detail::CodesOnArrays<Weights>>();
  return detail::backward_through_arrays<kParts>(pass, grad_y, record, gradients, workspace,
                                                 epilogue(noise.gradient_stage()), noise_key,
                                                 executor);
}
template <class X, class Dac, class Weights, class InArray, class Behind, WeightNoise Noise,
          class Executor = Serial>
requires(!detail::are_products<Executor>)  //
    bool backward(const AnalogPass<X, Dac, Weights, InArray, Behind>& pass,
                  MatrixView<const float> grad_y, const ForwardRecord& record,
                  const Gradients& gradients, BackwardWorkspace& workspace, const Noise& noise,
                  const NoiseKey& noise_key, const Executor& executor = {}) {
  return backward(pass, grad_y, record, gradients, workspace, noise, noise_key, F32Products(),
                  executor);
}

/// y = the pass's call, and what enters the last gate of the arrays' stages, their ADC, counted for
/// each array along the inputs (adc_calibration.hpp). Where rows repeat with a doubled range, all
/// of what they see counts. Errors, and the result, as analog_gemm's.
template <class X, class Dac, class Weights, class... InArray, class Behind,
          class Executor = Serial>
bool calibrate(const AnalogPass<X, Dac, Weights, ArrayStages<InArray...>, Behind>& pass,
               MatrixView<float> y, AdcCalibration& seen, const Executor& executor = {}) {
  const detail::MagnitudeObserver<Epilogue<InArray...>, AdcCalibration> observer(seen);
  return detail::call_arrays(pass.x, pass.dac, pass.weights, y, pass.in_array.stages, observer,
                             pass.behind.stages, detail::NoObserver(), pass.key, executor);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
