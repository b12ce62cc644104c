// Which of the library's instruction sets the machine has: asked of the CPU and, for the state that
// it must keep, of the operating system. Compile without any ISA flag. All functions are this
// translation unit's own and call C functions only, so that they may run before main().
#pragma once

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#include <sys/prctl.h>

#include <asm/hwcap.h>
#endif

namespace {

#if defined(__x86_64__)

bool cpu_has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }

bool cpu_has_avx_vnni() {
  // Leaf 7, subleaf 1: clang 14 has no name for it.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return cpu_has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 &&
         (eax >> 4 & 1) != 0;
}

bool cpu_has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}

bool cpu_has_avx512_vnni() { return cpu_has_avx512() && __builtin_cpu_supports("avx512vnni"); }

/// AMX for bytes and bf16, and Linux lets this process use it, which it must be asked for.
bool cpu_has_amx() {
#if defined(__linux__)
  constexpr unsigned kTileInt8Bf16 = 3u << 24 | 1u << 22;
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;               // XFEATURE_XTILEDATA
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return cpu_has_avx512_vnni() && __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
         (edx & kTileInt8Bf16) == kTileInt8Bf16 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

#elif defined(__aarch64__) && defined(__linux__)

/// SVE with vectors of so many bits, no more and no fewer.
bool cpu_has_sve(int bits) {
  return (getauxval(AT_HWCAP) & HWCAP_SVE) != 0 &&
         (prctl(PR_SVE_GET_VL) & PR_SVE_VL_LEN_MASK) == bits / 8;
}

#endif

/// Whether code compiled for `isa` runs here.
bool cpu_has(const char* isa) {
  const auto is = [isa](const char* name) { return std::strcmp(isa, name) == 0; };
  if (is("scalar")) return true;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (is("avx2")) return cpu_has_avx2();
  if (is("avx_vnni")) return cpu_has_avx_vnni();
  if (is("avx512")) return cpu_has_avx512();
  if (is("avx512_vnni")) return cpu_has_avx512_vnni();
  if (is("amx")) return cpu_has_amx();
#elif defined(__aarch64__)
  if (is("neon")) return true;
#if defined(__linux__)
  if (is("neon_dotprod")) return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
  if (is("sve256")) return cpu_has_sve(256);
  if (is("sve512")) return cpu_has_sve(512);
#endif
#endif
  return false;
}

}  // namespace
