// The fused calls on a GPU: y = epilogue(DAC(x)·wᵀ) and y = epilogue(x·wᵀ), each output written
// once, with the bits of the same calls on the CPU (fused_gemm.hpp).
//
//   x [batch, in]   w [out, in]   y [batch, out], all in the device's memory
//
//   cuda::fused_gemm(x, dac, weights, y, epilogue(GaussianNoise{0.1f}, adc), key, stream,
//   workspace);
//
// A call is put on the stream and returns; nothing is allocated, nothing waits, so that a stream
// may be captured. The first call on a device runs a kernel apart that looks whether this file's
// floats are exact, and waits for that.
//
// Errors (see set_error_handler), before anything is written: those of fused_gemm; a null pointer,
// memory that is not the current device's; a workspace that is too small; a device below compute
// capability 8.0; a file compiled with -use_fast_math or without -fmad=false; an error of CUDA's.
// Spans of stages (a bias) are the device's memory too, which nobody checks. The result: whether
// the call is on the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../config.hpp"
#include "../detail/base/range.hpp"
#include "../detail/engine/checks.hpp"
#include "../epilogue.hpp"
#include "../executor.hpp"
#include "../fused_gemm.hpp"
#include "../noise.hpp"
#include "../quantizer.hpp"
#include "coded_weights.hpp"
#include "detail/checks.hpp"
#include "detail/encode_kernel.hpp"
#include "detail/finish.hpp"
#include "detail/product.hpp"
#include "detail/sinks.hpp"
#include "detail/sums.hpp"
#include "device_view.hpp"
#include "packed_weights.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Rows that kernels can copy: 16 bytes at a time.
template <class T>
bool in_words(const MatrixView<const T>& x) {
  return reinterpret_cast<std::uintptr_t>(x.data()) % 16 == 0 &&
         x.row_stride() * sizeof(T) % 16 == 0;
}
/// Bytes of a row that encode_inputs makes of so many inputs.
template <class Element>
std::size_t encoded_row_bytes(std::size_t in) {
  return round_up(in, std::size_t{kEncodedAtOnce}) * sizeof(Element);
}

/// x through `map` to `memory`; rows of them.
template <class Map>
Error encode_on(const MatrixView<const typename Map::Input>& x, const Map& map, void* memory,
                StreamHandle stream) {
  using Element = typename Map::Element;
  constexpr std::size_t kThreads = 128;
  const std::size_t stride = encoded_row_bytes<Element>(x.cols()) / sizeof(Element);
  const std::size_t threads = x.rows() * (stride / kEncodedAtOnce);
  if (threads == 0) return kSuccess;
  const InputRows<typename Map::Input> from{x.data(), x.row_stride(), static_cast<int>(x.rows()),
                                            static_cast<int>(x.cols()), in_words(x)};
  return launch(&encode_inputs<Map>,
                {static_cast<unsigned>(ceil_div(threads, kThreads)), 1, kThreads, 0, true}, stream,
                from, static_cast<Element*>(memory), stride, map);
}

template <class X, class Weights, class Y>
Message shapes_of(const MatrixView<X>& x, const Weights& w, const MatrixView<Y>& y) {
  return Message() << "x is " << Shape{x.rows(), x.cols()} << ", w is " << Shape{w.rows(), w.cols()}
                   << ", y is " << Shape{y.rows(), y.cols()};
}

/// fused_gemm with coded weights. `Observer`: observers.hpp.
template <class X, class Dac, int Bits, class Y, class EpilogueT, class Observer = Unobserved>
bool fused_codes(const cuda::DeviceView<const X>& x, const Dac& dac,
                 const cuda::CodedWeights<Bits>& weights, const cuda::DeviceView<Y>& y,
                 const EpilogueT& epilogue, const NoiseKey& key, const cuda::Stream& stream,
                 const cuda::Workspace& workspace, const Observer& observer = {}) {
  const MatrixView<const X>& inputs = x.addresses();
  const MatrixView<Y>& outputs = y.addresses();
  const Call call("lumina::cuda::fused_gemm", shapes_of(inputs, weights, outputs));
  if (!operands_valid(inputs, weights, outputs, Serial()) ||
      !codes_valid(dac, {inputs.rows(), inputs.cols()}, {weights.rows(), weights.cols()}, outputs,
                   epilogue) ||
      !stage_valid_for(epilogue, outputs.rows(), outputs.cols()) ||
      !sizes_valid(call, outputs, inputs.cols())) {
    return false;
  }
  if (outputs.rows() == 0 || outputs.cols() == 0) return true;

  const bool made = std::is_same_v<X, float> || !in_words(x.addresses());
  const std::size_t row_bytes = encoded_row_bytes<std::uint8_t>(inputs.cols());
  const std::size_t needed = made ? size_product(inputs.rows(), row_bytes) : 0;
  const Named w{"the memory of w", weights.memory(),
                cuda::CodedWeights<Bits>::bytes(weights.rows(), weights.cols()), 128};
  Device device;
  if (!call.on_device(device) || !call.memory_valid(device, {named("x", x), w, named("y", y)}) ||
      !call.workspace_valid(device, workspace, needed, {named("x", x), w, named("y", y)})) {
    return false;
  }

  const CodedRows arrays = weights.arrays();
  CodeOperands operands{{inputs.data(), inputs.row_stride(), static_cast<int>(inputs.rows())},
                        {arrays.codes, arrays.row_bytes, static_cast<int>(weights.rows())},
                        static_cast<int>(inputs.cols())};
  if (made) {
    operands.x = {workspace.data, row_bytes, operands.x.rows};
    using Map = std::conditional_t<std::is_same_v<X, float>, ToCodes, CodesAsTheyAre>;
    Map map = [&] {
      if constexpr (std::is_same_v<X, float>)
        return Map{dac};
      else
        return Map{};
    }();
    if (!call.launched(encode_on(inputs, map, workspace.data, stream.handle))) return false;
  }
  return with_device_sink(epilogue, outputs, [&](const auto& stages, const auto& sink) {
    const Finish finish(stages, CodeSums(dac, arrays), sink, key, outputs.rows(), outputs.cols(), 0,
                        observer);
    return call.launched(multiply_codes_on(operands, finish, device, stream.handle));
  });
}

/// fused_gemm with weights of floats. `Dac`: a quantizer, or NoDac.
template <class Dac, class EpilogueT, class Observer = Unobserved>
bool fused_floats(const cuda::DeviceView<const float>& x, const Dac& dac,
                  const cuda::PackedWeights& weights, const cuda::DeviceView<float>& y,
                  const EpilogueT& epilogue, const NoiseKey& key, const cuda::Stream& stream,
                  const cuda::Workspace& workspace, const Observer& observer = {}) {
  constexpr bool kHasDac = !std::is_same_v<Dac, NoDac>;
  const MatrixView<const float>& inputs = x.addresses();
  const MatrixView<float>& outputs = y.addresses();
  const Call call("lumina::cuda::fused_gemm", shapes_of(inputs, weights, outputs));
  if (!operands_valid(inputs, weights, outputs, Serial()) ||
      !stage_valid_for(epilogue, outputs.rows(), outputs.cols()) ||
      !sizes_valid(call, outputs, inputs.cols())) {
    return false;
  }
  if (outputs.rows() == 0 || outputs.cols() == 0) return true;

  const std::size_t row_bytes = encoded_row_bytes<float>(inputs.cols());
  const std::size_t needed = kHasDac ? size_product(inputs.rows(), row_bytes) : 0;
  const Named w{"the memory of w", weights.memory(),
                cuda::PackedWeights::bytes(weights.rows(), weights.cols()), 128};
  Device device;
  if (!call.on_device(device) || !call.memory_valid(device, {named("x", x), w, named("y", y)}) ||
      !call.workspace_valid(device, workspace, needed, {named("x", x), w, named("y", y)})) {
    return false;
  }

  FloatOperands operands{inputs.data(),
                         inputs.row_stride(),
                         weights.panels(),
                         static_cast<int>(inputs.rows()),
                         static_cast<int>(panel_count(weights.rows())),
                         static_cast<int>(inputs.cols())};
  if constexpr (kHasDac) {
    operands.x = static_cast<const float*>(workspace.data);
    operands.x_stride = row_bytes / sizeof(float);
    const ToValues map{dac};
    if (!call.launched(encode_on(inputs, map, workspace.data, stream.handle))) return false;
  }
  const Finish finish(epilogue, FloatSums(), FloatSink(outputs), key, outputs.rows(),
                      outputs.cols(), 0, observer);
  return call.launched(multiply_floats_on(operands, finish, device, stream.handle));
}

}  // namespace detail::gpu

namespace cuda {

/// How much memory a call needs for x [batch, in] of floats behind a DAC, or of codes that do not
/// lie in rows of whole 16 bytes: with coded weights a byte for each input, each row rounded up to
/// a multiple of 16.
constexpr std::size_t coded_workspace_bytes(std::size_t batch, std::size_t in) {
  return detail::size_product(batch, detail::round_up(in, std::size_t{16}));
}
/// The same for weights of floats behind a DAC; without one there is none.
constexpr std::size_t float_workspace_bytes(std::size_t batch, std::size_t in) {
  return detail::size_product(batch, detail::round_up(in, std::size_t{16}), sizeof(float));
}

/// y = epilogue(DAC(x)·wᵀ) in exact integer arithmetic. x of floats; dac, weights, y and what
/// enters the epilogue as in lumina::fused_gemm. `workspace`: coded_workspace_bytes().
template <detail::AnyQuantizer Dac, int Bits, class Y, class Epilogue>
bool fused_gemm(DeviceView<const float> x, const Dac& dac, const CodedWeights<Bits>& weights,
                DeviceView<Y> y, const Epilogue& epilogue, const NoiseKey& key,
                const Stream& stream, const Workspace& workspace) {
  return detail::gpu::fused_codes(x, dac, weights, y, epilogue, key, stream, workspace);
}
/// The same with x of codes, which need no workspace where their rows begin at multiples of 16
/// bytes.
template <detail::AnyQuantizer Dac, int Bits, class Y, class Epilogue>
bool fused_gemm(DeviceView<const std::uint8_t> x, const Dac& dac, const CodedWeights<Bits>& weights,
                DeviceView<Y> y, const Epilogue& epilogue, const NoiseKey& key,
                const Stream& stream, const Workspace& workspace = {}) {
  return detail::gpu::fused_codes(x, dac, weights, y, epilogue, key, stream, workspace);
}

/// y = epilogue(x·wᵀ) in floats, each output one chain of FMA.
template <class Epilogue>
bool fused_gemm(DeviceView<const float> x, const PackedWeights& weights, DeviceView<float> y,
                const Epilogue& epilogue, const NoiseKey& key, const Stream& stream) {
  return detail::gpu::fused_floats(x, NoDac(), weights, y, epilogue, key, stream, {});
}
/// y = epilogue(DAC(x)·wᵀ) in floats. `workspace`: float_workspace_bytes().
template <detail::AnyQuantizer Dac, class Epilogue>
bool fused_gemm(DeviceView<const float> x, const Dac& dac, const PackedWeights& weights,
                DeviceView<float> y, const Epilogue& epilogue, const NoiseKey& key,
                const Stream& stream, const Workspace& workspace) {
  return detail::gpu::fused_floats(x, dac, weights, y, epilogue, key, stream, workspace);
}

/// y = adc(DAC(x)·wᵀ + noise_stddev·N(0, 1)), the normals those of lumina::fused_gemm_noise_quant.
template <class X, detail::AnyQuantizer Dac, int Bits, class Y, detail::AnyQuantizer Adc>
bool fused_gemm_noise_quant(DeviceView<X> x, const Dac& dac, const CodedWeights<Bits>& weights,
                            DeviceView<Y> y, float noise_stddev, const Adc& adc,
                            const NoiseKey& key, const Stream& stream,
                            const Workspace& workspace = {}) {
  return detail::with_noise_quant(noise_stddev, adc, [&](const auto& stages) {
    return fused_gemm(DeviceView<const X>(x), dac, weights, y, stages, key, stream, workspace);
  });
}
/// The same in floats.
template <detail::AnyQuantizer Adc>
bool fused_gemm_noise_quant(DeviceView<const float> x, const PackedWeights& weights,
                            DeviceView<float> y, float noise_stddev, const Adc& adc,
                            const NoiseKey& key, const Stream& stream) {
  return detail::with_noise_quant(noise_stddev, adc, [&](const auto& stages) {
    return fused_gemm(x, weights, y, stages, key, stream);
  });
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
