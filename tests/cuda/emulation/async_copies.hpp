// Copies to shared memory that the thread does not wait for: some land at once, the others when the
// thread waits for them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../../include/lumina/cuda/platform/vector_types.hpp"
#include "scheduler.hpp"
#include "shared_memory.hpp"

namespace emulated {

inline void land(const Copy& copy) {
  if (copy.bytes != 0) std::memcpy(copy.to, copy.from, copy.bytes);
  std::memset(copy.to + copy.bytes, 0, copy.whole - copy.bytes);
}

inline void start_copy(std::uint32_t to, const void* from, unsigned bytes, unsigned whole) {
  if (bytes > whole) fail("an asynchronous copy of %u bytes of %u", bytes, whole);
  if (reinterpret_cast<std::uintptr_t>(from) % whole != 0)
    fail("an asynchronous copy is misaligned");
  const Copy copy{block->shared->at(to, whole, whole, "an asynchronous copy"), from, bytes, whole,
                  this_thread().copy_groups};
  if (roll(2) == 0) {
    land(copy);
  } else {
    this_thread().copies.push_back(copy);
  }
  maybe_pause(16);
}

}  // namespace emulated

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {
namespace gpu {
inline std::byte* dynamic_shared() { return emulated::block->shared->first(); }

inline SharedAddress shared_address(const void* at) { return emulated::block->shared->address(at); }

inline void copy_16_async(SharedAddress to, const void* from, unsigned bytes) {
  emulated::start_copy(to, from, bytes, 16);
}

inline void copy_4_async(SharedAddress to, const void* from, bool there) {
  emulated::start_copy(to, from, there ? 4 : 0, 4);
}

inline void commit_copies() { ++emulated::this_thread().copy_groups; }

template <int N>
void wait_copies() {
  emulated::Thread& thread = emulated::this_thread();
  while (!thread.copies.empty() && thread.copies.front().group + N < thread.copy_groups) {
    emulated::land(thread.copies.front());
    thread.copies.pop_front();
  }
}

template <class T>
T load_constant(const T* from) {
  if (reinterpret_cast<std::uintptr_t>(from) % sizeof(T) != 0) {
    emulated::fail("load_constant: %p is misaligned", static_cast<const void*>(from));
  }
  return *from;
}

}  // namespace gpu
}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
