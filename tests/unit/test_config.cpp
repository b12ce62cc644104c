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
#if defined(LUMINA_NO_XSIMD)
  CHECK(name == "scalar");
#elif defined(__AVX512BW__)
  CHECK(name == "avx512");
#elif defined(__AVX2__)
  CHECK(name == "avx2");
#elif defined(__aarch64__)
  CHECK(name == "neon");
#else
  CHECK(name == "scalar");
#endif
}

TEST_CASE("The scalar FMA is known wherever the vectors have one", "[config]") {
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
  CHECK(lumina::detail::kHasFma);
#else
  CHECK(!lumina::detail::kHasFma);
#endif
}
