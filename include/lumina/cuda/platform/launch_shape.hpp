// What a launch needs to be told, and what it needs to know of the device.
#pragma once

#include <cstddef>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
struct LaunchShape {
  unsigned grid_x, grid_y;
  unsigned threads;          ///< of a block
  std::size_t shared_bytes;  ///< of a block
  /// The grid may begin before the one before it in the stream has ended, if that one lets it: the
  /// kernel calls wait_for_previous_grid() before it touches what that one wrote or reads.
  bool overlaps_previous;
};

struct DeviceFacts {
  int device;
  int capability;  ///< 80, 90, …
  int multiprocessors;
  std::size_t shared_bytes_per_block;  ///< the most that a kernel can ask for
};

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
