// Which kinds of instructions of this program run, found by executing it step by step: x86-64,
// Linux.
#pragma once

#if defined(__x86_64__) && defined(__linux__)

#include <csignal>
#include <cstdint>
#include <string>

#include <ucontext.h>

// The linker's: where the program's own code begins and ends. Libraries choose instructions of
// their own.
extern "C" const char __executable_start, etext;

namespace test {

class Executed {
 public:
  /// What f() runs, in this order: "vex256 evex512 dot_products tiles", as far as it is so.
  template <class F>
  static std::string during(F f) {
    found_ = {};
    struct sigaction action {
    }, before{};
    action.sa_sigaction = &on_step;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &action, &before);
    set_trap_flag(kTrapFlag);
    f();
    set_trap_flag(0);
    sigaction(SIGTRAP, &before, nullptr);

    std::string kinds;
    const auto add = [&](bool is_there, const char* kind) {
      if (is_there) kinds += (kinds.empty() ? "" : " ") + std::string(kind);
    };
    add(found_.vex256, "vex256");
    add(found_.evex512, "evex512");
    add(found_.dot_products, "dot_products");
    add(found_.tiles, "tiles");
    return kinds;
  }

 private:
  static constexpr std::uint64_t kTrapFlag = 1u << 8;

  struct Found {
    bool vex256, evex512, dot_products, tiles;
  };
  static inline Found found_{};

  /// After each instruction; it returns to the next one. The encodings are in Intel's Software
  /// Developer's Manual, volume 2, sections 2.3 (VEX) and 2.7 (EVEX).
  static void on_step(int, siginfo_t*, void* context) {
    const auto address = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_RIP];
    const auto* const code = reinterpret_cast<const std::uint8_t*>(address);
    const auto* const begin = reinterpret_cast<const std::uint8_t*>(&__executable_start);
    const auto* const end = reinterpret_cast<const std::uint8_t*>(&etext);
    if (code < begin || code >= end) return;

    constexpr std::uint8_t kVex2 = 0xc5, kVex3 = 0xc4, kEvex = 0x62;
    constexpr std::uint8_t kMap0f38 = 2, kPrefix66 = 1, kPrefixF3 = 2;
    constexpr std::uint8_t kVpdpbusd = 0x50, kTdp = 0x5e, kTdpbf16 = 0x5c;
    if (code[0] == kVex2) found_.vex256 |= (code[1] & 4) != 0;
    if (code[0] == kVex3) {
      const bool in_0f38 = (code[1] & 0x1f) == kMap0f38;
      const int prefix = code[2] & 3;
      const bool long_vector = (code[2] & 4) != 0;
      found_.vex256 |= long_vector;
      found_.dot_products |= in_0f38 && long_vector && prefix == kPrefix66 && code[3] == kVpdpbusd;
      found_.tiles |= in_0f38 && !long_vector &&
                      ((prefix == kPrefix66 && code[3] == kTdp) ||
                       (prefix == kPrefixF3 && code[3] == kTdpbf16));
    }
    if (code[0] == kEvex) {
      const bool in_0f38 = (code[1] & 7) == kMap0f38;
      found_.evex512 |= (code[3] >> 5 & 3) == 2;
      found_.dot_products |= in_0f38 && (code[2] & 3) == kPrefix66 && code[4] == kVpdpbusd;
    }
  }

  [[gnu::noinline]] static void set_trap_flag(std::uint64_t flag) {
    // Below the red zone, which the compiler may be using.
    asm volatile(
        "sub $128, %%rsp\n\tpushfq\n\tandq %0, (%%rsp)\n\torq %1, (%%rsp)\n\tpopfq\n\tadd $128, "
        "%%rsp"
        :
        : "r"(~kTrapFlag), "r"(flag)
        : "cc", "memory");
  }
};

}  // namespace test

#endif
