// What a thread reads or writes at once, aligned as the instruction wants it, and how shared memory
// is addressed.
#pragma once

#include <cstdint>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
struct alignas(8) Float2 {
  float x, y;
};
struct alignas(16) Float4 {
  float x, y, z, w;
};
struct alignas(8) Words2 {
  std::uint32_t x, y;
};
struct alignas(16) Words4 {
  std::uint32_t x, y, z, w;
};

/// A byte of the block's shared memory, as instructions that do not take pointers name it.
using SharedAddress = std::uint32_t;

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
