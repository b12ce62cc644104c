// Weights brought to a device: packed or encoded from floats that lie there, or copied from the
// host.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../coded_weights.hpp"
#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/range.hpp"
#include "coded_weights.hpp"
#include "detail/checks.hpp"
#include "detail/float_kernel.hpp"
#include "detail/upload.hpp"
#include "device_view.hpp"
#include "packed_weights.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// Weights w [out, in] of the device's memory into panels. Errors: another shape, and those of
/// fused_gemm. The result: whether it is on the stream.
inline bool pack_weights(DeviceView<const float> w, const PackedWeights& to, const Stream& stream) {
  using namespace detail::gpu;
  const Call call("lumina::cuda::pack_weights",
                  detail::Message() << "w is " << detail::Shape{w.rows(), w.cols()});
  if (to.rows() != w.rows() || to.cols() != w.cols()) {
    return call.refuse(detail::Message()
                       << "the packed weights are " << detail::Shape{to.rows(), to.cols()});
  }
  const std::size_t bytes = PackedWeights::bytes(w.rows(), w.cols());
  if (bytes == 0) return true;
  Device device;
  if (!call.on_device(device) ||
      !call.memory_valid(device, {named("w", w), {"the memory", to.memory(), bytes, 128}})) {
    return false;
  }
  constexpr std::size_t kThreads = 256;
  const LaunchShape shape{
      static_cast<unsigned>(detail::ceil_div(w.cols() * kPanelThreads, kThreads)),
      static_cast<unsigned>(detail::panel_count(w.rows())), kThreads, 0, false};
  return call.launched(launch(&pack_panels<float>, shape, stream.handle, w.data(), w.row_stride(),
                              static_cast<int>(w.rows()), static_cast<int>(w.cols()), to.panels()));
}

/// Coded weights of the host's to the device. Waits until they are read, so a stream that is being
/// captured does not take it. Errors as above.
template <int Bits>
bool copy_weights(const lumina::CodedWeights<Bits>& from, const CodedWeights<Bits>& to,
                  const Stream& stream) {
  using namespace detail::gpu;
  const Call call("lumina::cuda::copy_weights",
                  detail::Message() << "w is " << detail::Shape{from.rows(), from.cols()});
  if (to.rows() != from.rows() || to.cols() != from.cols()) {
    return call.refuse(detail::Message()
                       << "the device's weights are " << detail::Shape{to.rows(), to.cols()});
  }
  const std::size_t bytes = CodedWeights<Bits>::bytes(from.rows(), from.cols());
  if (bytes == 0) return true;
  return upload(call, to.memory(), bytes, stream, [&](void* memory) {
    const CodedRows arrays = CodedWeights<Bits>(memory, from.rows(), from.cols()).arrays();
    const CodedWeightsView<Bits> view = from.view();
    std::memcpy(arrays.scales, view.scales().data(), view.scales().size_bytes());
    std::memcpy(arrays.code_sums, view.code_sums().data(), view.code_sums().size_bytes());
    for (std::size_t row = 0; row < from.rows(); ++row) {
      for (std::size_t col = 0; col < from.cols(); ++col) {
        arrays.codes[row * arrays.row_bytes + col] = static_cast<std::int8_t>(view.code(row, col));
      }
    }
  });
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
