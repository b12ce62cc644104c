// Linked into every program that is compiled for one ISA, and itself compiled without any ISA flag:
// on a machine without that ISA the program says so and ends with 77, which ctest shows as
// "Skipped".
//
// The check is a constructor of the highest priority because main() would be too late: the
// initialisation of other translation units' globals already runs their ISA. For the same reason it
// calls C functions only, since an inline C++ function may be another unit's copy.
#include <unistd.h>

#include <cstdio>

namespace {

[[gnu::constructor(101)]] void skip_unless_supported() {
  __builtin_cpu_init();
#if defined(LUMINA_CHECK_AVX512)
  const char* const isa = "AVX-512 (F, CD, DQ, BW, VL)";
  const bool supported = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
                         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
                         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma");
#elif defined(LUMINA_CHECK_AVX2)
  const char* const isa = "AVX2 and FMA";
  const bool supported = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
#error "define LUMINA_CHECK_AVX2 or LUMINA_CHECK_AVX512"
#endif
  if (supported) return;
  std::printf("SKIPPED: this CPU has no %s\n", isa);
  std::fflush(stdout);
  _exit(77);
}

}  // namespace
