// Linked into every program that is compiled for one ISA, and itself compiled without any ISA flag:
// on a machine without that ISA the program says so and ends with 77, which ctest shows as
// "Skipped".
//
// The check is a constructor of the highest priority because main() would be too late: the
// initialisation of other translation units' globals already runs their ISA. For the same reason it
// calls C functions only, since an inline C++ function may be another unit's copy.
#include "../../dispatch/src/cpu_features.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

/// Told not to use AMX, a program for it needs none.
bool needs_only_vnni() {
  const char* const forced = std::getenv("LUMINA_FORCE_ISA");
  return std::strcmp(LUMINA_CHECK_ISA, "amx") == 0 && forced != nullptr &&
         std::strcmp(forced, "avx512_vnni") == 0;
}

[[gnu::constructor(101)]] void skip_unless_supported() {
  if (cpu_has(needs_only_vnni() ? "avx512_vnni" : LUMINA_CHECK_ISA)) return;
  std::printf("SKIPPED: this machine does not run " LUMINA_CHECK_ISA "\n");
  std::fflush(stdout);
  _exit(77);
}

}  // namespace
