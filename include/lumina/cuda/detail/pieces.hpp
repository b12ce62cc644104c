// What calls of several kernels have in common: a workspace in pieces, one step after the other.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../detail/base/range.hpp"
#include "../platform/platform.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// Pieces of a workspace, one behind the other, each beginning at a multiple of 128 bytes; of none:
/// how much they take.
class Pieces {
 public:
  explicit Pieces(void* memory = nullptr) : memory_(static_cast<std::byte*>(memory)) {}

  template <class T>
  T* take(std::size_t count) {
    const std::size_t at = used_;
    used_ = round_up(at + size_product(count, sizeof(T)), std::size_t{128});
    return memory_ != nullptr ? reinterpret_cast<T*>(memory_ + at) : nullptr;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* memory_;
  std::size_t used_ = 0;
};

/// Runs steps until one fails.
template <class... Steps>
Error in_turn(const Steps&... steps) {
  Error error = kSuccess;
  ((error == kSuccess ? void(error = steps()) : void()), ...);
  return error;
}

}  // namespace detail::gpu
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
