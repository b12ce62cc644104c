// Normals on a device: those that stages draw, by themselves.
#pragma once

#include <cstddef>

#include "../border.hpp"
#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/range.hpp"
#include "../detail/layout/float_panels.hpp"
#include "detail/checks.hpp"
#include "detail/normals_kernel.hpp"
#include "device_view.hpp"
#include "platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace cuda {

/// y(row, col) = standard_normal_at(key, row, col, draw), with its bits. Errors as fused_gemm's.
inline bool fill_normals(DeviceView<float> y, const NoiseKey& key, const Stream& stream,
                         std::size_t draw = 0) {
  using namespace detail::gpu;
  const Call call("lumina::cuda::fill_normals",
                  detail::Message() << "y is " << detail::Shape{y.rows(), y.cols()});
  if (y.rows() == 0 || y.cols() == 0) return true;
  if (!sizes_valid(call, y.addresses(), 0)) return false;
  Device device;
  if (!call.on_device(device) || !call.memory_valid(device, {named("y", y)})) return false;
  return call.launched(fill_normals_on(y.addresses(), key, draw, stream.handle));
}

}  // namespace cuda
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
