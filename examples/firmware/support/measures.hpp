// What a program costs: instructions, and the stack. On the host: unknown.
#pragma once

#include <cstddef>

/// Since the object was made; or 0 where nobody counts.
class InstructionCounter {
 public:
  InstructionCounter();
  std::size_t count() const;

 private:
  std::size_t begin_;
};

/// The deepest stack so far, in bytes; or 0.
std::size_t stack_bytes_used();
