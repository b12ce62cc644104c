// Device memory: each array ends at a page that nobody may touch.
#pragma once

#include <sys/mman.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <new>
#include <span>
#include <utility>

#include "device.hpp"

namespace emulated {

inline constexpr std::size_t kPage = 4096;
inline constexpr int kPoison = 0xff;  // NaN, −1, 255: what nobody wrote

constexpr std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

/// Pages that may be touched between two that may not.
inline std::byte* map_between_guards(std::size_t bytes) {
  void* const at = mmap(nullptr, bytes + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  std::byte* const first = static_cast<std::byte*>(at) + kPage;
  mprotect(first, bytes, PROT_READ | PROT_WRITE);
  return first;
}
inline void unmap_between_guards(std::byte* first, std::size_t bytes) {
  munmap(first - kPage, bytes + 2 * kPage);
}

inline std::map<std::uintptr_t, std::size_t> allocations;  // first byte, bytes

/// Whether all of these bytes are of one allocation.
inline bool is_allocated(const void* memory, std::size_t bytes = 1) {
  const auto at = reinterpret_cast<std::uintptr_t>(memory);
  auto next = allocations.upper_bound(at);
  return next != allocations.begin() && (--next, at + bytes <= next->first + next->second);
}

/// n elements of T in device memory, poisoned; as many as fit behind them up to the alignment are
/// watched for being written. Its owner may read and write them like a host's.
template <class T>
class Array {
 public:
  Array(std::size_t n, std::size_t alignment)
      : bytes_(n * sizeof(T)), mapped_(std::max(kPage, round_up(bytes_, kPage))) {
    pages_ = map_between_guards(mapped_);
    std::memset(pages_, kPoison, mapped_);
    first_ = pages_ + mapped_ - round_up(bytes_, alignment);
    elements_ = {reinterpret_cast<T*>(first_), n};
    allocations[reinterpret_cast<std::uintptr_t>(first_)] = bytes_;
  }
  Array(Array&& from) noexcept
      : bytes_(from.bytes_),
        mapped_(from.mapped_),
        pages_(std::exchange(from.pages_, nullptr)),
        first_(from.first_),
        elements_(std::exchange(from.elements_, {})) {}
  Array& operator=(Array&&) = delete;
  ~Array() {
    if (pages_ == nullptr) return;
    const auto untouched = [](std::byte b) { return b == std::byte{kPoison}; };
    if (!std::all_of(pages_, first_, untouched)) fail("written in front of an array");
    if (!std::all_of(first_ + bytes_, pages_ + mapped_, untouched)) fail("written behind an array");
    allocations.erase(reinterpret_cast<std::uintptr_t>(first_));
    unmap_between_guards(pages_, mapped_);
  }

  T* data() const { return elements_.data(); }
  std::size_t size() const { return elements_.size(); }
  T& operator[](std::size_t i) const { return elements_[i]; }
  T* begin() const { return data(); }
  T* end() const { return data() + size(); }

 private:
  std::size_t bytes_, mapped_;
  std::byte *pages_, *first_;
  std::span<T> elements_;
};

template <class T>
Array<T> allocate(std::size_t n, std::size_t alignment = 16) {
  return Array<T>(n, alignment);
}

/// The same elements in device memory.
template <class Range>
auto allocate_copy(const Range& from, std::size_t alignment = 16) {
  Array<typename Range::value_type> to(from.size(), alignment);
  std::copy(from.begin(), from.end(), to.begin());
  return to;
}

}  // namespace emulated
