// A fused call as an object, for training: what backward() (backward.hpp) needs to know of the call
// that forward() makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "adc_calibration.hpp"
#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/engine/call.hpp"
#include "detail/epilogue/clip_recorder.hpp"
#include "detail/epilogue/magnitude_observer.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "forward_record.hpp"
#include "fused_gemm.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "stage_list.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The arguments of a fused call, for forward() and backward(). Views and the reference to the
/// weights must live as long as it is used. Made by forward_pass().
///
/// `weight_stages`: what the gradient by the weights goes through in the end, with `weight_key` as
/// the key of its noise: a weight noise's gradient (weight_noise.hpp), a WeightGate.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages = Epilogue<>>
struct ForwardPass {
  MatrixView<const X> x;
  Dac dac;
  const Weights& weights;
  EpilogueT epilogue;
  NoiseKey key;
  WeightStages weight_stages = WeightStages();
  NoiseKey weight_key = {};

  template <class... Stages>
  auto with_weight_stages(const Epilogue<Stages...>& stages,
                          const NoiseKey& stages_key = {}) const {
    return ForwardPass<X, Dac, Weights, EpilogueT, Epilogue<Stages...>>{
        x, dac, weights, epilogue, key, stages, stages_key};
  }
};

/// y = epilogue(x·wᵀ); no temporary x or weights: they are used again by backward().
template <class EpilogueT>
auto forward_pass(detail::KeptView<const float> x, const PackedWeights& weights,
                  const EpilogueT& epilogue, const NoiseKey& key = {}) {
  return ForwardPass<float, NoDac, PackedWeights, EpilogueT>{x, {}, weights, epilogue, key};
}

template <class EpilogueT>
auto forward_pass(MatrixView<const float> x, const PackedWeights&& temporary,
                  const EpilogueT& epilogue, const NoiseKey& key = {}) = delete;

/// y = epilogue(DAC(x)·wᵀ). `weights`: CodedWeights, x of floats or of std::uint8_t codes; or
/// PackedWeights, x of floats.
template <detail::CodedInput X, detail::AnyQuantizer Dac, class Weights, class EpilogueT>
auto forward_pass(X&& x, const Dac& dac, const Weights& weights, const EpilogueT& epilogue,
                  const NoiseKey& key = {}) {
  const auto view = detail::as_view_of<const float, const std::uint8_t>(x);
  using Element = std::remove_const_t<std::remove_pointer_t<decltype(view.data())>>;
  return ForwardPass<Element, Dac, Weights, EpilogueT>{view, dac, weights, epilogue, key};
}
template <detail::CodedInput X, detail::AnyQuantizer Dac, class Weights, class EpilogueT>
auto forward_pass(X&& x, const Dac& dac, const Weights&& temporary, const EpilogueT& epilogue,
                  const NoiseKey& key = {}) = delete;
template <detail::CodedInput X, detail::AnyQuantizer Dac, class Weights, class EpilogueT>
requires(!detail::stays<X>) auto forward_pass(X&& temporary, const Dac& dac, const Weights& weights,
                                              const EpilogueT& epilogue,
                                              const NoiseKey& key = {}) = delete;

/// The largest magnitude of a pass's values: largest(), 0 where there were none.
using detail::MagnitudeTracker;

/// Who looks on while a pass runs; null: nobody.
struct PassObservers {
  ForwardRecord* record = nullptr;         ///< for backward()
  MagnitudeTracker* magnitudes = nullptr;  ///< of what enters the last gate: an ADC, a Relu
  AdcCalibration* calibration = nullptr;   ///< the same, counted
};

namespace detail {

template <class EpilogueT>
inline constexpr bool has_bias = false;
template <class... Stages>
inline constexpr bool has_bias<Epilogue<Stages...>> = (std::is_same_v<Stages, AddBias> || ...);

template <class EpilogueT>
constexpr bool takes_bias(const EpilogueT&) {
  return has_bias<EpilogueT>;
}
template <AnyStageList List>
bool takes_bias(const List& stages) {
  return stages.bias() != nullptr;
}

/// The fused call that a pass describes, with another epilogue and an observer.
template <class Pass, class EpilogueT, class Observer, class Executor>
bool run_pass(const Pass& pass, MatrixView<float> y, const EpilogueT& epilogue,
              const Observer& observer, const Executor& executor) {
  if constexpr (std::is_same_v<decltype(pass.dac), NoDac>) {
    return call(pass.x, pass.weights, y, epilogue, observer, pass.key, executor);
  } else {
    return call(pass.x, pass.dac, pass.weights, y, epilogue, observer, pass.key, executor);
  }
}

/// A pass's call, and its record, where there is one, filled once the call has run to its end.
template <class Pass, class Observer, class Executor>
bool run_recorded(const Pass& pass, MatrixView<float> y, ForwardRecord* record,
                  const Observer& observer, const Executor& executor) {
  if (record != nullptr) {
    if constexpr (requires { pass.epilogue.differentiable(); }) {
      if (!pass.epilogue.differentiable()) return false;
    }
    record->resize(y.rows(), y.cols(), recorded_gates(pass.epilogue));
    if (record->rows() != y.rows() || record->cols() != y.cols()) return false;  // reported
  }
  const bool ran = run_pass(pass, y, pass.epilogue, observer, executor);
  if (ran && record != nullptr) record->mark_filled();
  return ran;
}

/// An observer of an epilogue: those of a pass.
template <class EpilogueT>
struct ChosenObservers {
  PassObservers chosen;

  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index index, const Stage& stage, const Floats& entering,
                                  const Coordinates& at, const ActiveLanes& active) const {
    if (chosen.record != nullptr) {
      ClipRecorder<EpilogueT>(*chosen.record).see(index, stage, entering, at, active);
    }
    if (chosen.magnitudes != nullptr) {
      MagnitudeObserver<EpilogueT>(*chosen.magnitudes).see(index, stage, entering, at, active);
    }
    if (chosen.calibration != nullptr) {
      MagnitudeObserver<EpilogueT, AdcCalibration>(*chosen.calibration)
          .see(index, stage, entering, at, active);
    }
  }
};
template <AnyStageList List>
struct ChosenObservers<List> {
  PassObservers chosen;

  void see_block(const StageList& stages, const ListedStage& stage,
                 const StageBlock& entering) const {
    if (chosen.record != nullptr) {
      ClipRecorder<List>(*chosen.record).see_block(stages, stage, entering);
    }
    if (chosen.magnitudes != nullptr) {
      MagnitudeObserver<List>(*chosen.magnitudes).see_block(stages, stage, entering);
    }
    if (chosen.calibration != nullptr) {
      MagnitudeObserver<List, AdcCalibration>(*chosen.calibration)
          .see_block(stages, stage, entering);
    }
  }
};

}  // namespace detail

/// y = the pass's fused call, and what backward() needs to know of it to `record`, whose memory is
/// used again. Errors, and the result, as fused_gemm's: the record is filled where the call has run
/// to its end.
template <class Pass, class Executor = Serial>
bool forward(const Pass& pass, MatrixView<float> y, ForwardRecord& record,
             const Executor& executor = {}) {
  using EpilogueT = std::remove_cvref_t<decltype(pass.epilogue)>;
  return detail::run_recorded(pass, y, &record, detail::ClipRecorder<EpilogueT>(record), executor);
}

/// The same with other observers, or fewer.
template <class Pass, class Executor = Serial>
bool forward(const Pass& pass, MatrixView<float> y, const PassObservers& observers,
             const Executor& executor = {}) {
  using EpilogueT = std::remove_cvref_t<decltype(pass.epilogue)>;
  if (observers.magnitudes != nullptr) observers.magnitudes->resize(y.rows(), y.cols());
  return detail::run_recorded(pass, y, observers.record,
                              detail::ChosenObservers<EpilogueT>{observers}, executor);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
