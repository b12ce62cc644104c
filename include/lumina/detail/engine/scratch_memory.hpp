// Memory for the scratch of a task (scratch.hpp): on the stack as long as they are small, so
// that a thread with little stack can run any call; otherwise a block of the thread's own, which
// stays until the thread ends.
#pragma once

#include <cstddef>
#include <new>

#include "../../config.hpp"
#include "../../matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The most that a task's scratch takes of the stack. What a task needs besides is less than 24 KiB
/// (parts of unpacked weights 16), so that 128 KiB of stack are enough for every call.
inline constexpr std::size_t kMaxStackBytes = 68 << 10;

/// A thread's block. One task has it at a time: a stage of a user's might make a call itself.
class ThreadBlock {
 public:
  ThreadBlock() = default;
  ThreadBlock(const ThreadBlock&) = delete;
  ThreadBlock& operator=(const ThreadBlock&) = delete;
  ~ThreadBlock() { free(); }

  /// `bytes` that begin at a cache line, until release(); nullptr where the block is in use, or
  /// there is no memory.
  std::byte* acquire(std::size_t bytes) {
    if (in_use_) return nullptr;
    if (bytes > size_) {
      free();
      memory_ = static_cast<std::byte*>(::operator new(bytes, kAlignment, std::nothrow));
      size_ = memory_ != nullptr ? bytes : 0;
    }
    in_use_ = memory_ != nullptr;
    return memory_;
  }
  void release() { in_use_ = false; }
  bool in_use() const { return in_use_; }

 private:
  static constexpr std::align_val_t kAlignment{kCacheLine};

  void free() { ::operator delete(memory_, kAlignment); }

  std::byte* memory_ = nullptr;
  std::size_t size_ = 0;
  bool in_use_ = false;
};

/// Who uses a thread's block: both at a time.
enum class ThreadBlockOf { scratch, patches };

/// The calling thread's.
template <ThreadBlockOf = ThreadBlockOf::scratch>
ThreadBlock& thread_block() {
  static thread_local ThreadBlock block;
  return block;
}

/// A block's memory while it is wanted; null where it cannot be had.
struct Lease {
  ThreadBlock& block;
  std::byte* memory;

  Lease(ThreadBlock& of, std::size_t bytes) : block(of), memory(of.acquire(bytes)) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    if (memory != nullptr) block.release();
  }
};

template <std::size_t Bytes, class F>
[[gnu::noinline]] void with_stack_memory(const F& f) {
  alignas(kCacheLine) std::byte memory[Bytes];
  f(memory);
}

/// f(memory) with `bytes` bytes, `Most` at most, that begin at a cache line.
template <std::size_t Most, class F>
void with_task_memory(std::size_t bytes, const F& f) {
  if constexpr (Most > kMaxStackBytes) {
    if (bytes > kMaxStackBytes) {
      const Lease lease(thread_block(), bytes);
      // Without memory the stack is better than nothing.
      return lease.memory != nullptr ? f(lease.memory) : with_stack_memory<Most>(f);
    }
    with_stack_memory<kMaxStackBytes>(f);
  } else {
    with_stack_memory<Most>(f);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
