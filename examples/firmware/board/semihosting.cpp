#include "semihosting.hpp"

#include "../support/console.hpp"

namespace {

enum class Operation : std::uint32_t { write0 = 0x04, exit_extended = 0x20 };

std::uint32_t call_debugger(Operation operation, const void* argument) {
  register auto r0 asm("r0") = static_cast<std::uint32_t>(operation);
  register const void* r1 asm("r1") = argument;
  asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

constexpr std::uint32_t kApplicationExit = 0x20026;

}  // namespace

void console::write(const char* text) { call_debugger(Operation::write0, text); }

void board::exit(int status) {
  const std::uint32_t block[2] = {kApplicationExit, static_cast<std::uint32_t>(status)};
  for (;;) call_debugger(Operation::exit_extended, block);
}

void board::fail(const char* why) {
  console::write("FAILED: ");
  console::write(why);
  console::write("\n");
  exit(1);
}
