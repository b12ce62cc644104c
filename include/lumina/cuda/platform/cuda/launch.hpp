// Kernels and copies put into a stream.
#pragma once

#include <cuda_runtime.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "device_facts.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
/// Lets a kernel, which has no static shared memory, have as much as the device has. The driver
/// remembers, and so does this: a table of (kernel, device); where it is full the driver is told
/// again.
inline Error allow_all_shared_memory(const void* kernel, const DeviceFacts& facts) {
  static std::array<std::atomic<std::uintptr_t>, 1024> told;
  const std::uintptr_t key =
      reinterpret_cast<std::uintptr_t>(kernel) ^ static_cast<std::uintptr_t>(facts.device) << 56;
  const std::size_t first = key * 0x9e3779b97f4a7c15u >> 54;
  std::size_t at = first;
  for (int tries = 0; tries < 8; ++tries, at = (at + 1) % told.size()) {
    const std::uintptr_t found = told[at].load(std::memory_order_relaxed);
    if (found == key) return kSuccess;
    if (found == 0) break;
  }
  const Error error = apart_from_captures([&] {  // it may load the kernel
    return cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                static_cast<int>(facts.shared_bytes_per_block));
  });
  std::uintptr_t free = 0;  // taken meanwhile: then it is told again the next time
  if (error == kSuccess) told[at].compare_exchange_strong(free, key, std::memory_order_relaxed);
  return error;
}

/// Puts the kernel into the stream, its arguments converted to its parameters.
template <class... P, class... A>
Error launch(void (*kernel)(P...), const LaunchShape& shape, StreamHandle stream,
             const A&... arguments) {
  DeviceFacts facts;
  if (const Error error = device_facts(facts); error != kSuccess) return error;
  if (shape.shared_bytes > 48 * 1024) {
    const Error error = allow_all_shared_memory(reinterpret_cast<const void*>(kernel), facts);
    if (error != kSuccess) return error;
  }
  cudaLaunchAttribute overlap{};
  overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  overlap.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(shape.grid_x, shape.grid_y);
  config.blockDim = dim3(shape.threads);
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = stream;
  config.attrs = &overlap;
  config.numAttrs = shape.overlaps_previous && facts.capability >= 90 ? 1 : 0;
  return cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...);
}

inline Error copy_to_device(void* to, const void* from, std::size_t bytes, StreamHandle stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream);
}

inline Error fill_zero(void* memory, std::size_t bytes, StreamHandle stream) {
  return cudaMemsetAsync(memory, 0, bytes, stream);
}

/// Runs a block of the kernel, which writes its answer to device memory, and reads that: apart from
/// all streams of the caller's, of which this thread may be capturing one.
template <class T>
Error run_and_read(void (*kernel)(T*), void* answer, std::size_t bytes, unsigned threads = 32) {
  return apart_from_captures([&] {
    Error error = kSuccess;
    const auto also = [&error](Error next) {
      if (error == kSuccess) error = next;
      return error == kSuccess;
    };
    cudaStream_t stream = nullptr;
    void* memory = nullptr;
    if (also(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking)) &&
        also(cudaMalloc(&memory, bytes)) &&
        also(launch(kernel, {1, 1, threads, 0, false}, stream, static_cast<T*>(memory))) &&
        also(cudaMemcpyAsync(answer, memory, bytes, cudaMemcpyDeviceToHost, stream))) {
      also(cudaStreamSynchronize(stream));
    }
    if (memory != nullptr) also(cudaFree(memory));
    if (stream != nullptr) also(cudaStreamDestroy(stream));
    return error;
  });
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
