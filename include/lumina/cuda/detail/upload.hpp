// Weights of the host's brought to a device.
#pragma once

#include <cstddef>
#include <cstring>

#include "../../config.hpp"
#include "../../detail/base/aligned_buffer.hpp"
#include "../device_view.hpp"
#include "../platform/platform.hpp"
#include "checks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// `bytes` of the device, at `to`, become what write(memory of the host's, zeros before) makes.
/// Waits until that is read. The result: whether it is on the stream; otherwise it was reported.
template <class Write>
bool upload(const Call& call, void* to, std::size_t bytes, const cuda::Stream& stream,
            const Write& write) {
  Device device;
  if (!call.on_device(device) || !call.memory_valid(device, {{"the memory", to, bytes, 128}})) {
    return false;
  }
  AlignedBuffer<std::byte> memory;
  if (!memory.grow_to(bytes)) return false;
  std::memset(memory.data(), 0, bytes);
  write(memory.data());
  return call.launched(copy_to_device(to, memory.data(), bytes, stream.handle));
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
