// How deep the stack got: it is painted at the start, and where the paint is off, it has been.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" std::uint32_t stack_limit[], stack_top[];  // from the linker script

namespace board {

inline constexpr std::uint32_t kStackPaint = 0x5aa55aa5;

/// From the limit up to here.
[[gnu::always_inline]] inline void paint_stack() {
  const auto here = reinterpret_cast<std::uint32_t*>(__builtin_frame_address(0));
  constexpr std::size_t kOwnWords = 64;
  for (volatile std::uint32_t* word = stack_limit; word < here - kOwnWords; ++word) {
    *word = kStackPaint;
  }
}

inline std::size_t stack_size() {
  return static_cast<std::size_t>(stack_top - stack_limit) * sizeof(std::uint32_t);
}
/// Bytes, the most so far.
inline std::size_t stack_used() {
  const volatile std::uint32_t* word = stack_limit;
  while (word < stack_top && *word == kStackPaint) ++word;
  return static_cast<std::size_t>(stack_top - word) * sizeof(std::uint32_t);
}

}  // namespace board
