// Linked into every program that is compiled for one ISA, and itself compiled without any ISA flag:
// on a machine without that ISA the program says so and ends with 77, which ctest shows as
// "Skipped".
//
// The check is a constructor of the highest priority because main() would be too late: the
// initialisation of other translation units' globals already runs their ISA. For the same reason it
// calls C functions only, since an inline C++ function may be another unit's copy.
#include <unistd.h>

#include <cstdio>

#if defined(LUMINA_CHECK_AVX_VNNI)
#include <cpuid.h>
#elif defined(LUMINA_CHECK_AMX)
#include <cpuid.h>
#include <sys/syscall.h>

#include <cstdlib>
#include <cstring>
#elif defined(LUMINA_CHECK_NEON_DOTPROD)
#include <sys/auxv.h>

#include <asm/hwcap.h>
#endif

namespace {

#if defined(LUMINA_CHECK_AVX512) || defined(LUMINA_CHECK_AVX512_VNNI) || defined(LUMINA_CHECK_AMX)

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
}
#if defined(LUMINA_CHECK_AVX512)
constexpr const char* kIsa = "AVX-512 (F, CD, DQ, BW, VL)";
bool supported() { return has_avx512(); }
#elif defined(LUMINA_CHECK_AVX512_VNNI)
constexpr const char* kIsa = "AVX-512 (F, CD, DQ, BW, VL, VNNI)";
bool supported() { return has_avx512() && __builtin_cpu_supports("avx512vnni"); }
#else
constexpr const char* kIsa =
    "AVX-512 (F, CD, DQ, BW, VL, VNNI) and AMX (TILE, INT8, BF16) for programs";
bool supported() {
  if (!has_avx512() || !__builtin_cpu_supports("avx512vnni")) return false;
  // Told not to use AMX, a program needs none.
  const char* const forced = std::getenv("LUMINA_FORCE_ISA");
  if (forced != nullptr && std::strcmp(forced, "avx512_vnni") == 0) return true;
  constexpr unsigned kTileInt8Bf16 = 3u << 24 | 1u << 22;
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 &&
         (edx & kTileInt8Bf16) == kTileInt8Bf16 &&
         syscall(SYS_arch_prctl, 0x1023, 18) == 0;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
}
#endif

#elif defined(LUMINA_CHECK_AVX2) || defined(LUMINA_CHECK_AVX_VNNI)

bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#if defined(LUMINA_CHECK_AVX2)
constexpr const char* kIsa = "AVX2 and FMA";
bool supported() { return has_avx2(); }
#else
constexpr const char* kIsa = "AVX2, FMA and AVX-VNNI";
bool supported() {
  // Leaf 7, subleaf 1: clang 14 has no name for it.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}
#endif

#elif defined(LUMINA_CHECK_NEON_DOTPROD)

constexpr const char* kIsa = "NEON dot product";
bool supported() { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }

#else
#error "define LUMINA_CHECK_<ISA>"
#endif

[[gnu::constructor(101)]] void skip_unless_supported() {
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  if (supported()) return;
  std::printf("SKIPPED: this CPU has no %s\n", kIsa);
  std::fflush(stdout);
  _exit(77);
}

}  // namespace
