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

/// Told not to use a matrix unit, a program for it needs none.
const char* needed_isa() {
#if defined(LUMINA_FALLBACK_ISA)
  const char* const forced = std::getenv("LUMINA_FORCE_ISA");
  if (forced != nullptr && std::strcmp(forced, LUMINA_FALLBACK_ISA) == 0) return forced;
#endif
  return LUMINA_CHECK_ISA;
}

[[gnu::constructor(101)]] void skip_unless_supported() {
  if (cpu_has(needed_isa())) return;
  std::printf("SKIPPED: this machine does not run " LUMINA_CHECK_ISA "\n");
  std::fflush(stdout);
  _exit(77);
}

}  // namespace
