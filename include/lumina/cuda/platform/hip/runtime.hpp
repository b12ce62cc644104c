// The current device, kernels and copies put into a stream: HIP's calls, on the host.
#pragma once

#include <hip/hip_runtime.h>

#include <cstddef>

#include "../launch_shape.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {

using StreamHandle = hipStream_t;
using Error = hipError_t;
inline constexpr Error kSuccess = hipSuccess;

inline const char* error_name(Error error) { return hipGetErrorName(error); }

inline Error device_facts(DeviceFacts& facts) {
  // Kernels ask for what a GPU of NVIDIA's of this generation has, and all of it is here.
  facts = {0, 80, 0, 0};
  int shared_bytes = 0;
  Error error = hipGetDevice(&facts.device);
  const auto ask = [&](int& answer, hipDeviceAttribute_t what) {
    if (error == kSuccess) error = hipDeviceGetAttribute(&answer, what, facts.device);
  };
  ask(facts.multiprocessors, hipDeviceAttributeMultiprocessorCount);
  ask(shared_bytes, hipDeviceAttributeMaxSharedMemoryPerBlock);
  facts.shared_bytes_per_block = static_cast<std::size_t>(shared_bytes);
  return error;
}

/// HIP 6 renamed it.
template <class Attributes>
hipMemoryType memory_type(const Attributes& attributes) {
  if constexpr (requires { attributes.memoryType; }) {
    return attributes.memoryType;
  } else {
    return attributes.type;
  }
}

inline bool is_on_device(const void* memory, int device) {
  hipPointerAttribute_t attributes{};
  if (hipPointerGetAttributes(&attributes, memory) != kSuccess) {
    static_cast<void>(hipGetLastError());  // or the user would find an error of ours
    return false;
  }
  return attributes.device == device &&
         (memory_type(attributes) == hipMemoryTypeDevice || attributes.isManaged != 0);
}

template <class... P, class... A>
Error launch(void (*kernel)(P...), const LaunchShape& shape, StreamHandle stream,
             const A&... arguments) {
  kernel<<<dim3(shape.grid_x, shape.grid_y), shape.threads, shape.shared_bytes, stream>>>(
      static_cast<P>(arguments)...);
  return hipGetLastError();
}

inline Error copy_to_device(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  return hipMemcpyAsync(to, from, bytes, hipMemcpyHostToDevice, stream);
}

inline Error fill_zero(void* memory, std::size_t bytes, StreamHandle stream) {
  return hipMemsetAsync(memory, 0, bytes, stream);
}

template <class T>
Error run_and_read(void (*kernel)(T*), void* answer, std::size_t bytes, unsigned threads = 32) {
  hipStreamCaptureMode mode = hipStreamCaptureModeRelaxed;
  Error error = hipThreadExchangeStreamCaptureMode(&mode);
  if (error != kSuccess) return error;
  const auto also = [&error](Error next) {
    if (error == kSuccess) error = next;
    return error == kSuccess;
  };
  hipStream_t stream = nullptr;
  void* memory = nullptr;
  if (also(hipStreamCreateWithFlags(&stream, hipStreamNonBlocking)) &&
      also(hipMalloc(&memory, bytes)) &&
      also(launch(kernel, {1, 1, threads, 0, false}, stream, static_cast<T*>(memory))) &&
      also(hipMemcpyAsync(answer, memory, bytes, hipMemcpyDeviceToHost, stream))) {
    also(hipStreamSynchronize(stream));
  }
  if (memory != nullptr) also(hipFree(memory));
  if (stream != nullptr) also(hipStreamDestroy(stream));
  also(hipThreadExchangeStreamCaptureMode(&mode));
  return error;
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
