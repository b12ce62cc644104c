// Fibers: one for each thread of a block. A thread runs until it waits for others.
#pragma once

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "block.hpp"

namespace emulated {

/// Stacks of fibers, used again and again, each with a guard page at its lower end.
class Stacks {
 public:
  static constexpr std::size_t kBytes = 64 * 1024;

  boost::context::stack_context allocate() {
    if (free_.empty()) {
      // Not all at the same places of their pages, or they would fight for a few lines of the
      // cache.
      const std::size_t shift = 192 * (count_++ % 21);
      free_.push_back(map_between_guards(kBytes + kPage) + kBytes + kPage - shift);
    }
    boost::context::stack_context stack;
    stack.size = kBytes;
    stack.sp = free_.back();
    free_.pop_back();
    return stack;
  }
  void deallocate(boost::context::stack_context& stack) {
    free_.push_back(static_cast<std::byte*>(stack.sp));
  }

 private:
  std::vector<std::byte*> free_;  // upper ends
  std::size_t count_ = 0;
};
inline Stacks stacks;

struct BlocksStack {  // what Boost wants to copy
  boost::context::stack_context allocate() { return stacks.allocate(); }
  void deallocate(boost::context::stack_context& stack) { stacks.deallocate(stack); }
};

/// Leaves the fiber of the current thread.
inline void leave() {
  Block& mine = *block;
  const unsigned me = mine.current;
  mine.scheduler = std::move(mine.scheduler).resume();
  mine.threads[me].waits_for = nullptr;
}

/// Until another thread calls wake().
inline void wait(const char* what) {
  block->threads[block->current].waits_for = what;
  leave();
}
inline void wake(unsigned thread) { block->runnable.push_back(thread); }

/// Others may run before.
inline void pause() {
  wake(block->current);
  leave();
}
inline void maybe_pause(std::size_t one_in) {
  if (roll(one_in) == 0) pause();
}

/// All others run as far as they can before.
inline void pause_until_idle() {
  block->patient.push_back(block->current);
  leave();
}

[[noreturn]] inline void fail_deadlock() {
  std::fputs("emulated GPU: deadlock\n", stderr);
  for (unsigned first = 0, t = 0; t < block->threads.size(); first = t) {
    const Thread& thread = block->threads[first];
    const auto same = [&](const Thread& other) {
      return other.waits_for == thread.waits_for && !other.context == !thread.context;
    };
    while (t < block->threads.size() && same(block->threads[t])) ++t;
    std::fprintf(stderr, "  threads %u to %u: %s\n", first, t - 1,
                 thread.context ? thread.waits_for : "ended");
  }
  for (const MemoryBarrier& b : block->memory_barriers) {
    std::fprintf(stderr, "  barrier at %u: phase %u, %d arrivals of %d and %d bytes to come\n",
                 b.at, b.phase, b.to_come, b.count, b.bytes);
  }
  fail("block %u, %u, seed %llu", blockIdx.x, blockIdx.y,
       static_cast<unsigned long long>(device.seed));
}

template <class V>
auto take_any(V& from) {
  std::swap(from[roll(from.size())], from.back());
  auto taken = std::move(from.back());
  from.pop_back();
  return taken;
}

/// Runs a block of so many threads, each of which calls the body.
template <class Body>
void run_threads(Block& mine, unsigned threads, const Body& body) {
  mine.threads.resize(threads);
  mine.warps.resize((threads + 31) / 32);
  mine.warpgroups.resize((threads + 127) / 128);
  for (unsigned t = 0; t < threads; ++t) {
    mine.threads[t].context = boost::context::fiber(
        std::allocator_arg, BlocksStack{}, [&body, &mine](boost::context::fiber&& scheduler) {
          mine.scheduler = std::move(scheduler);
          body();
          return std::move(mine.scheduler);
        });
    mine.runnable.push_back(t);
    ++mine.warps[t / 32].threads;
  }
  for (unsigned running = threads; running != 0;) {
    if (!mine.landings.empty() && roll(16) == 0) take_any(mine.landings)();
    unsigned next;
    if (!mine.runnable.empty()) {
      next = take_any(mine.runnable);
    } else if (mine.patient.size() + mine.landings.size() + mine.late_landings.size() == 0) {
      fail_deadlock();
    } else if (!mine.landings.empty() && roll(2) == 0) {
      take_any(mine.landings)();
      continue;
    } else if (!mine.late_landings.empty() && (mine.patient.empty() || roll(2) == 0)) {
      take_any(mine.late_landings)();
      continue;
    } else if (!mine.patient.empty()) {
      next = take_any(mine.patient);
    } else {
      continue;
    }
    mine.current = next;
    threadIdx = {next, 0, 0};
    Thread& thread = mine.threads[next];
    thread.context = std::move(thread.context).resume();
    if (!thread.context) --running;
  }
}

}  // namespace emulated
