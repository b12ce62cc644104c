#include <lumina/config.hpp>

#include <string>

#include <lumina/lumina.hpp>

#include "support/catch.hpp"

TEST_CASE("The version is the macros' version", "[config][version]") {
  static_assert(lumina::version.major == LUMINA_VERSION_MAJOR);
  static_assert(lumina::version.minor == LUMINA_VERSION_MINOR);
  static_assert(lumina::version.patch == LUMINA_VERSION_PATCH);
  CHECK(lumina::version.major >= 0);
}

TEST_CASE("The architecture is the one of the compiler's flags", "[config]") {
  const std::string name = lumina::detail::Native::name;
  CHECK(name == LUMINA_TEST_ISA);  // CMake's name for those flags
}

TEST_CASE("The scalar FMA is known wherever the vectors have one", "[config]") {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  CHECK(lumina::detail::kHasFma);
#else
  CHECK(!lumina::detail::kHasFma);
#endif
}
