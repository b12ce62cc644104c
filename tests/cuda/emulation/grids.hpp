// Grids: their blocks run one after another, in any order; grids that overlap may begin before the
// one in front of them has begun.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <numeric>
#include <utility>
#include <vector>

#include "../../../include/lumina/cuda/platform/launch_shape.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"
#include "warpgroup.hpp"

namespace emulated {

/// Of the running grid.
inline bool has_waited = false;  // for the one in front of it
inline std::size_t depth = 0;    // grids that wait for it

/// What belongs to the running grid, put aside while another one runs.
struct Aside {
  Block* const block = emulated::block;
  const std::uint64_t dice = emulated::dice;
  const bool waited = has_waited;
  const dim3 thread = threadIdx, at = blockIdx, size = blockDim, grid = gridDim;

  Aside() { ++depth; }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;
  ~Aside() {
    emulated::block = block, emulated::dice = dice, has_waited = waited;
    threadIdx = thread, blockIdx = at, blockDim = size, gridDim = grid;
    --depth;
  }
};

/// Of grids that have begun, each within the one that waits for it.
inline std::deque<SharedMemory> shared_memories;

template <class Body>
void run_grid(const lumina::detail::gpu::LaunchShape& shape, const Body& body) {
  const Aside aside;
  while (shared_memories.size() < depth) shared_memories.emplace_back();
  SharedMemory& shared = shared_memories[depth - 1];
  dice = device.seed * 0x9e3779b97f4a7c15 | 1;
  has_waited = false;
  blockDim = {shape.threads, 1, 1}, gridDim = {shape.grid_x, shape.grid_y, 1};
  std::vector<unsigned> left(std::size_t{shape.grid_x} * shape.grid_y);
  std::iota(left.begin(), left.end(), 0u);
  while (!left.empty()) {
    const unsigned next = take_any(left);
    blockIdx = {next % shape.grid_x, next / shape.grid_x, 0};
    shared.renew(shape.shared_bytes);
    Block running;
    running.shared = &shared;
    block = &running;
    run_threads(running, shape.threads, body);
    if (!running.landings.empty() || !running.late_landings.empty()) {
      fail("a block has ended while a tile was on its way");
    }
    check_warpgroups(running);
    shared.check();
  }
  if (shape.overlaps_previous && !has_waited) {
    fail("a grid that overlaps the one before it has ended without waiting for it");
  }
}

inline std::vector<std::function<void()>> postponed;  // the later ones overlap those before them

/// All grids have run.
inline void synchronize() {
  while (!postponed.empty()) {
    const auto last = std::move(postponed.back());
    postponed.pop_back();
    last();  // waits for those before it
  }
}

template <class Body>
void start_grid(const lumina::detail::gpu::LaunchShape& shape, const Body& body) {
  if (!shape.overlaps_previous) synchronize();
  postponed.push_back([shape, body] { run_grid(shape, body); });
  if (!device.postpones_grids) synchronize();
}

}  // namespace emulated

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {

inline void wait_for_previous_grid() {
  emulated::has_waited = true;
  emulated::synchronize();
}

inline void let_next_grid_start() {}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
