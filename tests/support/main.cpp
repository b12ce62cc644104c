// The main function of every test program; compiled once, without ISA flags (see cpu_check.cpp).
#if !__has_include(<catch2/catch_all.hpp>)
#define CATCH_CONFIG_RUNNER
#endif
#include "support/catch.hpp"

int main(int argc, char** argv) {
  Catch::Session session;
  if (const int error = session.applyCommandLine(argc, argv); error != 0) return 1;
#if defined(CATCH_VERSION_MAJOR) && CATCH_VERSION_MAJOR < 3
  // A filter that matches no test is a failure; version 3 does so by itself.
  session.configData().warnings = static_cast<Catch::WarnAbout::What>(
      session.configData().warnings | Catch::WarnAbout::NoTests);
#endif
  // Catch returns the number of failures, and 77 of them must not look like "Skipped".
  return session.run() == 0 ? 0 : 1;
}
