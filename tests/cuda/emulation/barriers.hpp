// Barriers of threads: __syncthreads() and named ones.
#pragma once

#include "../../../include/lumina/config.hpp"
#include "warps.hpp"

namespace emulated {

/// So many threads more are at the barrier. Whether these were the last: then those who wait run.
inline bool arrive(int id, int threads, int more) {
  if (id < 0 || id > 15) fail("named barrier %d", id);
  NamedBarrier& barrier = block->named_barriers[static_cast<std::size_t>(id)];
  if (barrier.arrived == 0) barrier.threads = threads;
  barrier.arrived += more;
  if (barrier.threads != threads || barrier.arrived > threads) {
    fail("named barrier %d of %d threads: a thread takes it for one of %d, %d have arrived", id,
         barrier.threads, threads, barrier.arrived);
  }
  if (barrier.arrived < threads) return false;
  barrier.arrived = 0;
  for (const unsigned t : barrier.waiting) wake(t);
  barrier.waiting.clear();
  return true;
}

struct NamedArrival {
  int id, threads;
};

/// A warp arrives, and waits or does not.
inline void arrive_by_warps(const char* operation, int id, int threads, bool waits) {
  if (id == 0) fail("named barrier 0 is that of __syncthreads()");
  if (threads % 32 != 0) fail("a named barrier of %d threads", threads);
  NamedArrival mine{id, threads};
  all_32_together(operation, mine, [&](const auto& all) {
    for (const NamedArrival* other : all) {
      if (other->id != id || other->threads != threads)
        fail("%s: a warp does not agree", operation);
    }
    if (arrive(id, threads, 32) || !waits) return true;
    const unsigned first = block->current / 32 * 32;
    auto& waiting = block->named_barriers[static_cast<std::size_t>(id)].waiting;
    for (unsigned t = first; t < first + 32; ++t) waiting.push_back(t);
    return false;
  });
}

}  // namespace emulated

inline void __syncthreads() {
  if (emulated::arrive(0, static_cast<int>(blockDim.x), 1)) return;
  emulated::block->named_barriers[0].waiting.push_back(emulated::block->current);
  emulated::wait("__syncthreads()");
}

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
inline void named_barrier_sync(int id, int threads) {
  emulated::arrive_by_warps("named_barrier_sync", id, threads, true);
}

inline void named_barrier_arrive(int id, int threads) {
  emulated::arrive_by_warps("named_barrier_arrive", id, threads, false);
  emulated::maybe_pause(4);
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
