// Weights encoded where they lie, with or without noise: what encode_weights of coded_weights.hpp
// and weight_noise.hpp make of them, bit for bit.
//
//   cuda::encode_weights(w, coded, MultiplicativeWeightNoise{0.03f}, NoiseKey{seed, step}, stream);
//
// Nothing waits for the device, so nobody can report what the weights are. Where one is infinite or
// NaN, the scale of its output becomes NaN, and with it all of that output; with one scale for all,
// or with noise, that of all outputs. So does the scale of the caller's that is not positive and
// finite. Noise that the largest weight makes infinite gives what floats give.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../coded_weights.hpp"
#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/range.hpp"
#include "../detail/random/noise_field.hpp"
#include "../detail/rows/weight_scale.hpp"
#include "../noise.hpp"
#include "../weight_noise.hpp"
#include "coded_weights.hpp"
#include "detail/checks.hpp"
#include "detail/row_noise.hpp"
#include "detail/weight_kernel.hpp"
#include "device_view.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Which scales weights are encoded with: chosen, or those of the caller's, [1, out].
struct WeightScales {
  WeightScale how = WeightScale::per_output;
  const cuda::DeviceView<const float>* given = nullptr;
};

template <int Bits, class Noise>
bool encode_weights_of(const cuda::DeviceView<const float>& w, const cuda::CodedWeights<Bits>& to,
                       int bits, const WeightScales& scales, const Noise& noise,
                       const NoiseKey& key, const cuda::Stream& stream) {
  constexpr bool kIsNoisy = !std::is_same_v<Noise, NoWeightNoise>;
  const Call call("lumina::cuda::encode_weights", Message()
                                                      << "w is " << Shape{w.rows(), w.cols()});
  if (to.rows() != w.rows() || to.cols() != w.cols()) {
    return call.refuse(Message() << "the coded weights are " << Shape{to.rows(), to.cols()});
  }
  if (!weight_bits_valid<Bits>(w.addresses(), bits)) return false;
  if (scales.given != nullptr && (scales.given->rows() != 1 || scales.given->cols() != w.rows())) {
    return call.refuse(Message() << "the scales are "
                                 << Shape{scales.given->rows(), scales.given->cols()}
                                 << " and must be " << Shape{1, w.rows()});
  }
  // (What the largest weight has to do with it only the device knows.)
  if constexpr (kIsNoisy) {
    if (!noise_valid_for(noise, w.addresses(), 0.0f)) return false;
  }
  if (w.rows() == 0) return true;
  Device device;
  const Named memory{"the memory of the coded weights", to.memory(),
                     cuda::CodedWeights<Bits>::bytes(w.rows(), w.cols()), 128};
  const Named of_scales =
      scales.given != nullptr ? named("scales", *scales.given) : Named{"scales", nullptr, 0};
  if (!call.on_device(device) || !call.memory_valid(device, {named("w", w), memory, of_scales})) {
    return false;
  }
  const auto own = [&] {
    if constexpr (kIsNoisy)
      return on_device(noise);
    else
      return noise;
  }();
  using Own = std::remove_const_t<decltype(own)>;
  const WeightMemory memory_of{w.data(), w.row_stride(), w.rows(),
                               w.cols(), to.arrays(),    round_up(w.rows(), kOutputMultiple)};
  const bool per_matrix = scales.how == WeightScale::per_matrix && scales.given == nullptr;
  WeightEncoding<Own> encoding{max_weight_code(bits),
                               scales.given != nullptr ? scales.given->data() : nullptr,
                               per_matrix,
                               kIsNoisy || per_matrix,
                               own,
                               {},
                               key.row_offset};
  std::uint64_t draw = 0;
  for (NoiseField& field : encoding.fields) field = NoiseField(key, draw++);
  return call.launched(encode_weights_on(memory_of, encoding, stream.handle));
}

}  // namespace detail::gpu

namespace cuda {

/// Encodes w [out, in] into `to`, with codes of `bits` ≤ Bits, 2 or more. Errors: other shapes and
/// bits, and those of fused_gemm; see above for the weights. The result: whether it is on the
/// stream.
template <int Bits>
bool encode_weights(DeviceView<const float> w, const CodedWeights<Bits>& to, int bits,
                    const Stream& stream, WeightScale how = WeightScale::per_output) {
  return detail::gpu::encode_weights_of(w, to, bits, {how}, NoWeightNoise(), {}, stream);
}
template <int Bits>
bool encode_weights(DeviceView<const float> w, const CodedWeights<Bits>& to, const Stream& stream,
                    WeightScale how = WeightScale::per_output) {
  return encode_weights(w, to, Bits, stream, how);
}
/// The same with scales of the caller's [1, out]: weights beyond ±max_code·scale saturate.
template <int Bits>
bool encode_weights(DeviceView<const float> w, const CodedWeights<Bits>& to, int bits,
                    DeviceView<const float> scales, const Stream& stream) {
  return detail::gpu::encode_weights_of(w, to, bits, {WeightScale::per_output, &scales},
                                        NoWeightNoise(), {}, stream);
}

/// Encodes w with noise on the levels that a device of `bits` bits has, 2 … 8, as the CPU's
/// encode_weights. A noise of the user's works where its perturbation() and deviation() are
/// constexpr.
template <WeightNoise Noise>
bool encode_weights(DeviceView<const float> w, const CodedWeights<8>& to, int bits,
                    const Noise& noise, const NoiseKey& key, const Stream& stream,
                    WeightScale how = WeightScale::per_output) {
  return detail::gpu::encode_weights_of(w, to, bits, {how}, noise, key, stream);
}
template <WeightNoise Noise>
bool encode_weights(DeviceView<const float> w, const CodedWeights<8>& to, const Noise& noise,
                    const NoiseKey& key, const Stream& stream,
                    WeightScale how = WeightScale::per_output) {
  return encode_weights(w, to, 8, noise, key, stream, how);
}
/// The same with scales of the caller's [1, out]: what the level next to 0 is worth.
template <WeightNoise Noise>
bool encode_weights(DeviceView<const float> w, const CodedWeights<8>& to, int bits,
                    const Noise& noise, const NoiseKey& key, DeviceView<const float> scales,
                    const Stream& stream) {
  return detail::gpu::encode_weights_of(w, to, bits, {WeightScale::per_output, &scales}, noise, key,
                                        stream);
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
