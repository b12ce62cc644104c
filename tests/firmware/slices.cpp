// A layer on arrays of sliced weights: the oracle's numbers. Such weights allocate, so this program
// has a heap: memory that is given out from one end, and never comes back.
#include <cstddef>
#include <new>

#include "golden/check_slices.hpp"

#include "findings.hpp"

namespace {

alignas(64) std::byte heap[80 << 10];
std::size_t used = 0;

void* allocate(std::size_t bytes, std::size_t alignment) {
  const std::size_t begin = (used + alignment - 1) / alignment * alignment;
  if (bytes > sizeof(heap) - begin) {
    console::write("FAILED: the heap is too small\n");
    __builtin_trap();
  }
  used = begin + bytes;
  return heap + begin;
}

}  // namespace

void* operator new(std::size_t bytes) { return allocate(bytes, alignof(std::max_align_t)); }
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void*) noexcept {}
void operator delete(void*, std::size_t) noexcept {}
void operator delete(void*, std::align_val_t) noexcept {}

int main() {
  return findings::passes("slices", [](auto& f) { golden::check_slices(f); }) ? 0 : 1;
}
