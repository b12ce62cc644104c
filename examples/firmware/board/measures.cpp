// Instructions by the SysTick timer, which under qemu-system-arm -icount shift=0 is exact: each
// instruction is a nanosecond of virtual time, and the timer counts that at the clock's frequency.
// Before main() the counter measures a loop of known length, and the program fails where that
// doesn't come out: the numbers mean nothing without -icount.
#include "../support/measures.hpp"

#include <cstdint>

#include "semihosting.hpp"
#include "stack.hpp"

namespace {

struct SysTick {
  std::uint32_t control, reload, current;
};
volatile SysTick& timer() { return *reinterpret_cast<volatile SysTick*>(0xe000e010); }

constexpr std::uint32_t kLargest = 0xffffff;  // it has 24 bits, and counts down

std::uint32_t ticks_until_now(std::uint32_t begin) { return (begin - timer().current) & kLargest; }

constexpr std::uint64_t kNanosecondsPerSecond = 1000000000;

std::size_t to_instructions(std::uint32_t ticks) {
  return static_cast<std::size_t>(ticks * kNanosecondsPerSecond / BOARD_CLOCK_HZ);
}

struct Check {
  Check() {
    timer().reload = kLargest;
    timer().current = 0;
    timer().control = 5;  // on, by the processor's clock, no interrupt
    while (timer().current == 0) continue;
    constexpr std::uint32_t kRounds = 50000, kInstructions = 2 * kRounds;
    const InstructionCounter counter;
    std::uint32_t rounds = kRounds;
    asm volatile("1: subs %0, %0, #1 \n bne 1b" : "+r"(rounds) : : "cc");
    const std::size_t measured = counter.count();
    if (measured < kInstructions - 200 || measured > kInstructions + 200) {
      board::fail("instructions are counted wrongly; run with -icount shift=0");
    }
  }
};
[[gnu::init_priority(101)]] const Check check;

}  // namespace

InstructionCounter::InstructionCounter() : begin_(timer().current) {}
std::size_t InstructionCounter::count() const {
  return to_instructions(ticks_until_now(static_cast<std::uint32_t>(begin_)));
}

std::size_t stack_bytes_used() { return board::stack_used(); }
