// The host's side: launches, which run at once, and what the host may ask.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>

#include "../../../include/lumina/cuda/platform/launch_shape.hpp"
#include "grids.hpp"
#include "tensor_memory.hpp"

namespace emulated {

struct Stream;
enum class Error { success, invalid_value };

}  // namespace emulated

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
using StreamHandle = emulated::Stream*;
using Error = emulated::Error;
inline constexpr Error kSuccess = Error::success;

inline const char* error_name(Error error) {
  return error == kSuccess ? "success" : "invalid value";
}

inline Error device_facts(DeviceFacts& facts) {
  const std::size_t shared_kib = emulated::device.capability >= 90 ? 227 : 163;
  facts = {0, emulated::device.capability, emulated::device.multiprocessors, shared_kib * 1024};
  return kSuccess;
}

inline bool is_on_device(const void* memory, int device) {
  return device == 0 && emulated::is_allocated(memory);
}

template <class... P, class... A>
Error launch(void (*kernel)(P...), const LaunchShape& shape, StreamHandle, const A&... arguments) {
  DeviceFacts facts;
  device_facts(facts);
  if (shape.grid_x == 0 || shape.grid_y == 0 || shape.grid_y > 65535 || shape.threads == 0 ||
      shape.threads > 1024 || shape.shared_bytes > facts.shared_bytes_per_block) {
    return Error::invalid_value;
  }
  emulated::start_grid(
      shape, [kernel, values = std::tuple<P...>(arguments...)] { std::apply(kernel, values); });
  return kSuccess;
}

inline Error make_tensor_map(TensorMap& map, const void* codes, std::size_t rows, std::size_t k,
                             std::size_t row_stride_bytes, unsigned box_rows) {
  const auto is_size = [](std::size_t n) { return n >= 1 && n <= std::size_t{1} << 32; };
  if (reinterpret_cast<std::uintptr_t>(codes) % 16 != 0 || row_stride_bytes % 16 != 0 ||
      row_stride_bytes >= std::size_t{1} << 40 || !is_size(rows) || !is_size(k) || box_rows == 0 ||
      box_rows > 256) {
    return Error::invalid_value;
  }
  map = {static_cast<const std::byte*>(codes), rows, k, row_stride_bytes, box_rows};
  return kSuccess;
}

inline Error copy_to_device(void* to, const void* from, std::size_t bytes, StreamHandle) {
  emulated::synchronize();
  if (!emulated::is_allocated(to, bytes)) return Error::invalid_value;
  std::memcpy(to, from, bytes);
  return kSuccess;
}

inline Error fill_zero(void* memory, std::size_t bytes, StreamHandle) {
  emulated::synchronize();
  if (!emulated::is_allocated(memory, bytes)) return Error::invalid_value;
  std::memset(memory, 0, bytes);
  return kSuccess;
}

template <class T>
Error run_and_read(void (*kernel)(T*), void* answer, std::size_t bytes, unsigned threads = 32) {
  const emulated::Array<std::byte> memory = emulated::allocate<std::byte>(bytes);
  const Error error =
      launch(kernel, {1, 1, threads, 0, false}, nullptr, reinterpret_cast<T*>(memory.data()));
  emulated::synchronize();
  if (error == kSuccess) std::memcpy(answer, memory.data(), bytes);
  return error;
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
