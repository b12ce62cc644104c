// Barriers in shared memory, and tiles that a copy engine brings: at once, some time later, or when
// all threads wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../../include/lumina/cuda/platform/vector_types.hpp"
#include "shared_memory.hpp"
#include "warps.hpp"

namespace emulated {

inline constexpr std::uint64_t kBarrierMark =
    0xba44'1e4b'a441'e4ff;  // in its 8 bytes: still there?

inline MemoryBarrier& memory_barrier(std::uint32_t at) {
  require_hopper("a barrier in shared memory");
  std::uint64_t mark;
  std::memcpy(&mark, block->shared->at(at, 8, 8, "a barrier"), 8);
  for (MemoryBarrier& barrier : block->memory_barriers) {
    if (barrier.at != at) continue;
    if (mark != kBarrierMark) fail("the barrier at shared address %u was overwritten", at);
    return barrier;
  }
  fail("no barrier at shared address %u (yet)", at);
}

inline void end_phase_if_complete(MemoryBarrier& barrier) {
  if (barrier.to_come != 0 || barrier.bytes > 0) return;
  if (barrier.bytes < 0) {
    fail("barrier at shared address %u: %d bytes more than expected", barrier.at, -barrier.bytes);
  }
  barrier.to_come = barrier.count;
  ++barrier.phase;
  for (const unsigned t : barrier.waiting) wake(t);
  barrier.waiting.clear();
}

inline void arrive_at(std::uint32_t at, int bytes) {
  MemoryBarrier& barrier = memory_barrier(at);
  if (barrier.to_come == 0) {
    fail("barrier at shared address %u: more than its %d arrivals in a phase", at, barrier.count);
  }
  barrier.bytes += bytes;
  --barrier.to_come;
  end_phase_if_complete(barrier);
  maybe_pause(4);
}

}  // namespace emulated

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
inline constexpr bool kHasTensorMemory = true;

struct TensorMap {
  const std::byte* codes;
  std::size_t rows, k, row_stride_bytes;
  unsigned box_rows;
};

inline void barrier_init(SharedAddress bar, int count) {
  emulated::require_hopper("barrier_init");
  std::memcpy(emulated::block->shared->at(bar, 8, 8, "a barrier"), &emulated::kBarrierMark, 8);
  for (const emulated::MemoryBarrier& other : emulated::block->memory_barriers) {
    if (other.at == bar) emulated::fail("two barriers at shared address %u", bar);
  }
  emulated::block->memory_barriers.push_back({bar, count, count});
}

inline void barrier_init_done() {
  for (emulated::MemoryBarrier& barrier : emulated::block->memory_barriers)
    barrier.is_visible = true;
}

inline void barrier_expect(SharedAddress bar, int bytes) { emulated::arrive_at(bar, bytes); }

inline void barrier_arrive(SharedAddress bar) { emulated::arrive_at(bar, 0); }

inline void barrier_wait(SharedAddress bar, int parity) {
  for (;;) {
    emulated::MemoryBarrier& barrier = emulated::memory_barrier(bar);
    if (static_cast<int>(barrier.phase & 1) != parity) return;
    barrier.waiting.push_back(emulated::block->current);
    emulated::wait("barrier_wait");
  }
}

inline void load_tile(SharedAddress to, const TensorMap* map, int k, int row, SharedAddress bar) {
  const unsigned rows = map->box_rows;
  std::byte* const tile = emulated::block->shared->at(to, 128u * rows, 1024, "load_tile");
  if (!emulated::memory_barrier(bar).is_visible)
    emulated::fail("load_tile: no barrier_init_done()");
  const auto land = [=, from = *map] {
    for (unsigned r = 0; r < rows; ++r) {
      for (unsigned i = 0; i < 128; ++i) {
        const long at_row = static_cast<long>(row) + r, at_k = static_cast<long>(k) + i;
        const bool inside = at_row >= 0 && at_k >= 0 &&
                            static_cast<std::size_t>(at_row) < from.rows &&
                            static_cast<std::size_t>(at_k) < from.k;
        tile[r * 128 + ((i / 16 ^ r % 8) * 16 | i % 16)] =
            inside ? from.codes[static_cast<std::size_t>(at_row) * from.row_stride_bytes +
                                static_cast<std::size_t>(at_k)]
                   : std::byte{0};
      }
    }
    emulated::MemoryBarrier& barrier = emulated::memory_barrier(bar);
    barrier.bytes -= static_cast<int>(128 * rows);
    emulated::end_phase_if_complete(barrier);
  };
  switch (emulated::roll(4)) {
    case 0:
      land();
      break;
    case 1:
      emulated::block->late_landings.push_back(land);
      break;
    default:
      emulated::block->landings.push_back(land);
  }
  emulated::maybe_pause(4);
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
