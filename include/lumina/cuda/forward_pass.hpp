// A fused call on a GPU as an object, for training: forward() makes it, backward() (backward.hpp)
// knows from it what was multiplied.
//
//   const auto pass = cuda::forward_pass(x, dac, weights, epilogue, key);
//   cuda::forward(pass, y, record, stream, workspace);
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../epilogue.hpp"
#include "../fused_gemm.hpp"
#include "../noise.hpp"
#include "../quantizer.hpp"
#include "coded_weights.hpp"
#include "detail/checks.hpp"
#include "detail/observers.hpp"
#include "device_view.hpp"
#include "forward_record.hpp"
#include "fused_gemm.hpp"
#include "packed_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// The arguments of a fused call. Made by forward_pass(). Views and the weights' memory must live
/// as long as it is used.
///
/// `weight_stages`: what the gradient by the weights goes through in the end, with `weight_key` as
/// the key of its noise: a weight noise's gradient (weight_noise.hpp), a WeightGate whose spans are
/// the device's memory.
template <class X, class Dac, class Weights, class EpilogueT, class WeightStages = Epilogue<>>
struct ForwardPass {
  DeviceView<const X> x;
  Dac dac;
  Weights weights;
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

/// y = epilogue(DAC(x)·wᵀ). `weights`: CodedWeights, x of floats or codes; or PackedWeights, x of
/// floats.
template <class X, detail::AnyQuantizer Dac, class Weights, class EpilogueT>
auto forward_pass(const DeviceView<X>& x, const Dac& dac, const Weights& weights,
                  const EpilogueT& epilogue, const NoiseKey& key = {}) {
  return ForwardPass<std::remove_const_t<X>, Dac, Weights, EpilogueT>{x, dac, weights, epilogue,
                                                                      key};
}
/// y = epilogue(x·wᵀ).
template <class X, class EpilogueT>
auto forward_pass(const DeviceView<X>& x, const PackedWeights& weights, const EpilogueT& epilogue,
                  const NoiseKey& key = {}) {
  return ForwardPass<float, NoDac, PackedWeights, EpilogueT>{x, {}, weights, epilogue, key};
}

/// Who looks on while a pass runs; null: nobody.
struct PassObservers {
  const ForwardRecord* record = nullptr;  ///< for backward()
  /// In the device's memory: becomes the largest magnitude of what enters the last gate (an ADC, a
  /// Relu), where that is larger than what stands there. NaN is passed over.
  float* largest = nullptr;
};

}  // namespace cuda

namespace detail::gpu {

/// Reports a record of another shape than the pass's.
template <class Pass>
bool record_valid(const Call& call, const Pass& pass, const cuda::ForwardRecord& record) {
  const std::size_t gates = recorded_gates(pass.epilogue);
  if (record.rows() == pass.x.rows() && record.cols() == pass.weights.rows() &&
      record.gates() == gates) {
    return true;
  }
  return call.refuse(Message() << "the record is for " << Shape{record.rows(), record.cols()}
                               << " with " << record.gates() << " gates and must have " << gates);
}
inline Named named(const cuda::ForwardRecord& record) {
  return {"the record", record.memory(),
          cuda::ForwardRecord::bytes(record.rows(), record.cols(), record.gates()),
          sizeof(std::uint32_t)};
}

/// The fused call that a pass describes, with another epilogue and an observer.
template <class Pass, class EpilogueT, class Observer>
bool run_pass(const Pass& pass, const cuda::DeviceView<float>& y, const EpilogueT& epilogue,
              const Observer& observer, const cuda::Stream& stream,
              const cuda::Workspace& workspace) {
  if constexpr (std::is_same_v<std::remove_cvref_t<decltype(pass.weights)>, cuda::PackedWeights>) {
    return fused_floats(pass.x, pass.dac, pass.weights, y, epilogue, pass.key, stream, workspace,
                        observer);
  } else {
    return fused_codes(pass.x, pass.dac, pass.weights, y, epilogue, pass.key, stream, workspace,
                       observer);
  }
}

}  // namespace detail::gpu

namespace cuda {

/// y = the pass's fused call, shown to observers. `workspace`: as the fused call's. Errors: those
/// of fused_gemm, a record of another shape. The result: whether it is on the stream.
template <class Pass>
bool forward(const Pass& pass, const DeviceView<float>& y, const PassObservers& observers,
             const Stream& stream, const Workspace& workspace) {
  using namespace detail::gpu;
  const Call call("lumina::cuda::forward",
                  shapes_of(pass.x.addresses(), pass.weights, y.addresses()));
  Device device;
  if (observers.record != nullptr && !record_valid(call, pass, *observers.record)) return false;
  if (!call.on_device(device) ||
      !call.memory_valid(device,
                         {observers.record != nullptr ? named(*observers.record) : Named{},
                          {"the largest magnitude", observers.largest,
                           observers.largest != nullptr ? sizeof(float) : 0, sizeof(float)}})) {
    return false;
  }
  const PassObserver<std::remove_cvref_t<decltype(pass.epilogue)>> observer(
      observers.record != nullptr ? GateWords(*observers.record) : GateWords(), observers.largest);
  return run_pass(pass, y, pass.epilogue, observer, stream, workspace);
}
template <class Pass>
bool forward(const Pass& pass, const DeviceView<float>& y, const ForwardRecord& record,
             const Stream& stream, const Workspace& workspace) {
  return forward(pass, y, PassObservers{&record}, stream, workspace);
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
