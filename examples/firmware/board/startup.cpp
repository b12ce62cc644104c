// From reset to main(), and what happens on a fault. For every Cortex-M with an FPU.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../support/console.hpp"
#include "semihosting.hpp"
#include "stack.hpp"

int main();

extern "C" {

// From the linker script.
extern std::uint32_t data_in_flash[], data_begin[], data_end[], bss_begin[], bss_end[];
extern void (*constructors_begin[])();
extern void (*constructors_end[])();
extern std::uint32_t stack_limit[], stack_top[];

[[noreturn]] void reset_handler();
[[noreturn]] void start();

[[noreturn]] void fault_handler() {
  const auto configurable_faults = *reinterpret_cast<volatile std::uint32_t*>(0xe000ed28);
  console::write("FAULT: CFSR ");
  console::write_word(configurable_faults);
  console::write("\n");
  board::exit(1);
}

/// The stack's end, reset, NMI, and the faults: Hard, MemManage, Bus, Usage, Secure.
[[gnu::section(".vectors"), gnu::used]] void (*const vectors[8])() = {
    reinterpret_cast<void (*)()>(stack_top),
    reset_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
    fault_handler,
};

/// The FPU must be on before any other function saves its registers.
[[gnu::naked]] void reset_handler() {
  asm volatile(
      "ldr r0, =0xe000ed88 \n"  // CPACR: full access to coprocessors 10 and 11
      "ldr r1, [r0] \n"
      "orr r1, r1, #0x00f00000 \n"
      "str r1, [r0] \n"
      "dsb \n"
      "isb \n"
      "b start \n");
}

void start() {
  std::copy(data_in_flash, data_in_flash + (data_end - data_begin), data_begin);
  std::fill(bss_begin, bss_end, 0u);
  board::paint_stack();
  std::for_each(constructors_begin, constructors_end, [](void (*constructor)()) { constructor(); });
  const int status = main();
  if (board::stack_used() == board::stack_size()) board::fail("the stack is full");
  board::exit(status);
}

}  // extern "C"
