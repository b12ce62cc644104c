// Memory that many threads change.
#pragma once

#include <algorithm>
#include <cstdint>

#include "../../../include/lumina/cuda/platform/vector_types.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
inline void atomic_largest(std::uint32_t* to, std::uint32_t v) { *to = std::max(*to, v); }
inline void atomic_add(std::int32_t* to, std::int32_t v) {
  *to = static_cast<std::int32_t>(static_cast<std::uint32_t>(*to) + static_cast<std::uint32_t>(v));
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
