// The current device, and what memory is its own.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "../launch_shape.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
using StreamHandle = cudaStream_t;
using Error = cudaError_t;
inline constexpr Error kSuccess = cudaSuccess;

inline const char* error_name(Error error) { return cudaGetErrorName(error); }

/// What calls() says, whose calls would end the capture of a stream that this thread may be at.
template <class Calls>
Error apart_from_captures(const Calls& calls) {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeRelaxed;
  if (const Error error = cudaThreadExchangeStreamCaptureMode(&mode); error != kSuccess)
    return error;
  const Error error = calls(), back = cudaThreadExchangeStreamCaptureMode(&mode);
  return error != kSuccess ? error : back;
}

/// The facts of the current device. Asked for once a device: later calls read them from memory.
inline Error device_facts(DeviceFacts& facts) {
  static std::array<std::atomic<std::uint64_t>, 64> kept;  // 0: not asked for yet
  int device = 0;
  if (const Error error = cudaGetDevice(&device); error != kSuccess) return error;
  const bool keeps = static_cast<std::size_t>(device) < kept.size();
  std::uint64_t packed = keeps ? kept[device].load(std::memory_order_relaxed) : 0;
  if (packed == 0) {
    constexpr std::array kAsked{cudaDevAttrComputeCapabilityMajor,
                                cudaDevAttrComputeCapabilityMinor, cudaDevAttrMultiProcessorCount,
                                cudaDevAttrMaxSharedMemoryPerBlockOptin};
    std::array<int, 4> answers{};
    for (std::size_t i = 0; i < kAsked.size(); ++i) {
      const Error error = cudaDeviceGetAttribute(&answers[i], kAsked[i], device);
      if (error != kSuccess) return error;
    }
    const auto [major, minor, multiprocessors, shared_bytes] = answers;
    packed = static_cast<std::uint64_t>(shared_bytes) << 32 |
             static_cast<std::uint64_t>(multiprocessors) << 16 |
             static_cast<std::uint64_t>(10 * major + minor);
    if (keeps) kept[device].store(packed, std::memory_order_relaxed);
  }
  facts = {device, static_cast<int>(packed & 0xffff), static_cast<int>(packed >> 16 & 0xffff),
           static_cast<std::size_t>(packed >> 32)};
  return kSuccess;
}

/// Whether it is device or managed memory of that device. Calls no stream, so that it may be asked
/// while one is captured.
inline bool is_on_device(const void* memory, int device) {
  cudaPointerAttributes attributes{};
  if (cudaPointerGetAttributes(&attributes, memory) != kSuccess) {
    cudaGetLastError();  // or the user would find an error of ours
    return false;
  }
  return attributes.device == device &&
         (attributes.type == cudaMemoryTypeDevice || attributes.type == cudaMemoryTypeManaged);
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
