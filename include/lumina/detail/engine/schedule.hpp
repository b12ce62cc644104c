// The numbering of a call's tasks: chunks of rows × groups of noise panels. Tasks that follow each
// other share a group, so that its weights stay near.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../base/range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Weights that stay in the second-level cache from one chunk to the next.
inline constexpr std::size_t kNearBytes = std::size_t{1} << 20;

struct TaskGrid {
  std::size_t chunks;
  std::size_t panels;
  std::size_t groups;

  /// Each panel by itself.
  static TaskGrid of_panels(std::size_t chunks, std::size_t panels) {
    return {chunks, panels, panels};
  }
  /// For operands that are encoded once for each task: few groups mean that this work is not done
  /// again and again, but each thread wants tasks, and a group's weights should stay near.
  static TaskGrid of_groups(std::size_t chunks, std::size_t panels, std::size_t panel_bytes,
                            std::size_t threads) {
    const std::size_t far = chunks == 1 ? 1 : ceil_div(panels * panel_bytes, kNearBytes);
    const std::size_t shared = threads == 1 ? 1 : ceil_div(4 * threads, chunks);
    return {chunks, panels, std::min(panels, std::max(far, shared))};
  }

  std::size_t tasks() const { return chunks * groups; }
  std::size_t chunk(std::size_t task) const { return task % chunks; }
  Range panels_of(std::size_t task) const { return split_evenly(panels, groups, task / chunks); }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
