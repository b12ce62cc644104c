// What the threads of a warp do together.
#pragma once

#include <array>
#include <cstring>

#include "scheduler.hpp"

namespace emulated {

/// Waits for all threads of the warp to call the same, then one of them calls finish(arguments of
/// all, by lane). Where that says false, all of them wait until someone wakes them.
template <class Arguments, class Finish>
void together(const char* operation, Arguments& mine, const Finish& finish) {
  Warp& warp = this_warp();
  const unsigned me = block->current, first = me / 32 * 32;
  if (warp.arrived == 0) {
    warp.operation = operation;
  } else if (warp.operation != operation && std::strcmp(warp.operation, operation) != 0) {
    fail("thread %u is at %s, others of its warp at %s", me, operation, warp.operation);
  }
  warp.arguments[me % 32] = &mine;
  if (++warp.arrived < warp.threads) {
    wait(operation);
    return;
  }
  warp.arrived = 0;
  std::array<Arguments*, 32> all{};
  for (unsigned lane = 0; lane < warp.threads; ++lane) {
    all[lane] = static_cast<Arguments*>(warp.arguments[lane]);
  }
  if (!finish(all)) {
    wait(operation);
    return;
  }
  for (unsigned t = first; t < first + warp.threads; ++t) {
    if (t != me) wake(t);
  }
}

/// The same, by warps of which no thread is missing.
template <class Arguments, class Finish>
void all_32_together(const char* operation, Arguments& mine, const Finish& finish) {
  if (this_warp().threads != 32) fail("%s in a warp of %u threads", operation, this_warp().threads);
  together(operation, mine, finish);
}

inline void require_hopper(const char* what) {
  if (device.capability != 90) fail("%s on a device that is not sm_90", what);
}

}  // namespace emulated

inline void __syncwarp() {
  int nothing = 0;
  emulated::together("__syncwarp()", nothing, [](const auto&) { return true; });
}
