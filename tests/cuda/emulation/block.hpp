// What a running block is.
#pragma once

#include <array>
#include <boost/context/fiber.hpp>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <vector>

#include "device.hpp"
#include "memory.hpp"
#include "shared_memory.hpp"

namespace emulated {

struct Copy {
  std::byte* to;
  const void* from;
  unsigned bytes, whole;  // those behind `bytes` are zeros
  std::size_t group;
};

struct Thread {
  boost::context::fiber context;  // empty: has ended
  const char* waits_for = nullptr;
  std::deque<Copy> copies;                  // that are under way
  std::size_t copy_groups = 0;              // committed
  bool may_multiply = false;                // warpgroup_begin() was called
  std::size_t products = 0;                 // of the warpgroup's, that the thread has called
  std::vector<std::size_t> product_groups;  // their number at each commit
};

struct Warp {
  unsigned threads = 0;
  unsigned arrived = 0;  // at an operation that all do together
  const char* operation = nullptr;
  std::array<void*, 32> arguments{};
};

/// A product of a warpgroup.
struct Product {
  int columns;
  std::uint64_t a, b;
  bool keep;
  unsigned threads = 0;  // that have called it
  std::array<int*, 128> sums{};
};

struct Warpgroup {
  std::vector<Product> products;
  std::size_t done = 0;  // they run in order
  std::vector<unsigned> waiting;
  int registers = 0;  // a thread, where it was said
};

struct NamedBarrier {
  int threads = 0, arrived = 0;
  std::vector<unsigned> waiting;
};

struct MemoryBarrier {
  std::uint32_t at;
  int count, to_come, bytes = 0;
  unsigned phase = 0;       // number of phases that have ended
  bool is_visible = false;  // to the copy engine
  std::vector<unsigned> waiting{};
};

struct Block {
  SharedMemory* shared = nullptr;
  std::vector<Thread> threads;
  std::vector<Warp> warps;
  std::vector<Warpgroup> warpgroups;
  std::array<NamedBarrier, 16> named_barriers;
  std::vector<MemoryBarrier> memory_barriers;

  unsigned current = 0;                     // thread
  std::vector<unsigned> runnable, patient;  // threads; the patient ones run when no other can
  std::vector<std::function<void()>> landings,
      late_landings;  // of tiles; late: when no thread can run
  boost::context::fiber scheduler;
};

inline Block* block = nullptr;  // that is running

inline Thread& this_thread() { return block->threads[block->current]; }
inline Warp& this_warp() { return block->warps[block->current / 32]; }
inline Warpgroup& this_warpgroup() { return block->warpgroups[block->current / 128]; }

}  // namespace emulated
