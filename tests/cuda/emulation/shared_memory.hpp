// The block's shared memory: it ends where touching it ends the program, and so does a wrong
// address.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "memory.hpp"

namespace emulated {

class SharedMemory {
 public:
  static constexpr std::size_t kMost = 256 * 1024;
  static constexpr std::uint32_t kFirstAddress = 1024;  // so that 0 is none

  /// For a block that has so many bytes.
  void renew(std::size_t bytes) {
    if (bytes != bytes_) {
      bytes_ = bytes;
      first_ = pages_ + kMost - emulated::round_up(bytes, 1024);
      usable_ = first_ - (first_ - pages_) % static_cast<std::ptrdiff_t>(kPage);
      mprotect(pages_, kMost, PROT_NONE);
      if (bytes != 0) mprotect(usable_, size_of_usable(), PROT_READ | PROT_WRITE);
    }
    if (bytes != 0) std::memset(usable_, kPoison, size_of_usable());
  }
  /// When the block has ended.
  void check() const {
    const auto untouched = [](std::byte b) { return b == std::byte{kPoison}; };
    if (bytes_ != 0 && !(std::all_of(usable_, first_, untouched) &&
                         std::all_of(first_ + bytes_, pages_ + kMost, untouched))) {
      fail("shared memory written outside of the block's %zu bytes", bytes_);
    }
  }

  std::byte* first() const { return first_; }
  std::uint32_t address(const void* of) const {
    const std::ptrdiff_t offset = static_cast<const std::byte*>(of) - first_;
    if (offset < 0 || static_cast<std::size_t>(offset) > bytes_) fail("no shared memory at %p", of);
    return kFirstAddress + static_cast<std::uint32_t>(offset);
  }
  /// The bytes at an address that is a multiple of the alignment.
  std::byte* at(std::uint32_t address, std::size_t bytes, std::size_t alignment,
                const char* what) const {
    if (address % alignment != 0) fail("%s: shared address %u is misaligned", what, address);
    if (address < kFirstAddress || address - kFirstAddress + bytes > bytes_) {
      fail("%s: %zu bytes at shared address %u of a block that has %u to %zu", what, bytes, address,
           kFirstAddress, kFirstAddress + bytes_);
    }
    return first_ + (address - kFirstAddress);
  }

 private:
  std::size_t size_of_usable() const { return static_cast<std::size_t>(pages_ + kMost - usable_); }

  std::byte* pages_ = map_between_guards(kMost);
  std::size_t bytes_ = kMost;
  std::byte *first_ = pages_, *usable_ = pages_;
};

}  // namespace emulated
