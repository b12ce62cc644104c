// What can be wrong with a call on a device, beside what can be wrong with any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include "../../config.hpp"
#include "../../detail/base/message.hpp"
#include "../../matrix.hpp"
#include "../device_view.hpp"
#include "../platform/platform.hpp"
#include "known_answers.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// The smallest number of a GPU's generation that has what kernels need: cp.async, mma of bytes.
inline constexpr int kLeastCapability = 80;

/// Memory that a call reads or writes.
struct Named {
  const char* name;
  const void* first;
  std::size_t bytes;
  std::size_t alignment = 1;
};
template <class T>
Named named(const char* name, const cuda::DeviceView<T>& view) {
  const MatrixView<T>& matrix = view.addresses();
  const std::size_t elements =
      matrix.rows() == 0 ? 0 : (matrix.rows() - 1) * matrix.row_stride() + matrix.cols();
  return {name, matrix.data(), elements * sizeof(T), sizeof(T)};
}

/// What is known of the device that a call runs on.
struct Device {
  DeviceFacts facts;
  bool has_tensor_memory;  ///< and this unit's code for it
};

/// A call by its name and what it is given; reports what is wrong with it.
class Call {
 public:
  /// `shapes`: "x is [2, 3], …".
  Call(const char* name, const Message& shapes) : name_(name), shapes_(shapes) {}

  bool refuse(const Message& what) const { return report_false(begin() << "; " << what.c_str()); }

  /// Whether the current device can run it; its facts.
  bool on_device(Device& device) const {
    if (const Error error = device_facts(device.facts); error != kSuccess) return failed(error);
    if (device.facts.capability < kLeastCapability) {
      return refuse(Message() << "device " << static_cast<std::size_t>(device.facts.device)
                              << " has compute capability "
                              << static_cast<std::size_t>(device.facts.capability / 10) << "."
                              << static_cast<std::size_t>(device.facts.capability % 10)
                              << ", it needs 8.0");
    }
    const CompiledFor code = compiled_for(device.facts);
    if (code.error != kSuccess) return failed(code.error);
    if (!code.exact) {
      return refuse(
          Message() << "this file is compiled with -use_fast_math, -ftz=true, -prec-div=false, "
                       "-prec-sqrt=false or without -fmad=false (hipcc: -ffp-contract=off), which "
                       "changes numbers");
    }
    device.has_tensor_memory = code.has_tensor_memory && device.facts.capability / 10 == 9;
    return true;
  }

  /// Whether all of it is that device's own memory.
  bool memory_valid(const Device& device, std::initializer_list<Named> all) const {
    for (const Named& memory : all) {
      if (memory.bytes == 0) continue;
      if (memory.first == nullptr) {
        return refuse(Message() << memory.name << " is a null pointer");
      }
      if (reinterpret_cast<std::uintptr_t>(memory.first) % memory.alignment != 0) {
        return refuse(Message() << memory.name << " must begin at a multiple of "
                                << memory.alignment << " bytes");
      }
      if (!is_on_device(memory.first, device.facts.device)) {
        return refuse(Message() << memory.name << " is not in the memory of device "
                                << static_cast<std::size_t>(device.facts.device)
                                << ", the current one");
      }
    }
    return true;
  }

  /// Whether a workspace, of which so many bytes are needed, is large enough; and its memory.
  bool workspace_valid(const Device& device, const cuda::Workspace& workspace, std::size_t needed,
                       std::initializer_list<Named> beside) const {
    if (needed == 0) return true;
    if (workspace.bytes < needed) {
      return refuse(Message() << "the workspace has " << workspace.bytes
                              << " bytes, the call needs " << needed);
    }
    for (const Named& memory : beside) {
      const auto first = reinterpret_cast<std::uintptr_t>(memory.first);
      const auto own = reinterpret_cast<std::uintptr_t>(workspace.data);
      if (memory.bytes != 0 && first < own + needed && own < first + memory.bytes) {
        return refuse(Message() << "the workspace overlaps " << memory.name);
      }
    }
    return memory_valid(device, {{"the workspace", workspace.data, needed, 128}});
  }

  /// Reports a launch that failed; true where none has.
  bool launched(Error error) const { return error == kSuccess || failed(error); }

 private:
  Message begin() const { return Message() << name_ << ": " << shapes_.c_str(); }
  bool failed(Error error) const { return refuse(Message() << error_name(error)); }

  const char* name_;
  Message shapes_;
};

/// Reports more rows or columns than kernels count.
template <class Y>
bool sizes_valid(const Call& call, const MatrixView<Y>& y, std::size_t in) {
  constexpr std::size_t kMost = std::numeric_limits<int>::max() - 1024;
  constexpr std::size_t kMostColumns = std::size_t{65535} * 32;
  if (y.rows() <= kMost && in <= kMost && y.cols() <= kMostColumns) return true;
  return call.refuse(Message() << "a device takes " << kMost << " rows and inputs and "
                               << kMostColumns << " outputs at most");
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
