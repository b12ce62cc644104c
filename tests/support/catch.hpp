// Catch2, either series: 2.13 (one header) or 3 (a library). Tests include this file only.
#pragma once

// Without exceptions the CHECK_THROWS family does not exist; a test asks this macro.
#if defined(__cpp_exceptions)
#define LUMINA_TEST_EXCEPTIONS 1
#else
#define LUMINA_TEST_EXCEPTIONS 0
#if !defined(CATCH_CONFIG_DISABLE_EXCEPTIONS)
#define CATCH_CONFIG_DISABLE_EXCEPTIONS
#endif
#endif

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>

// The one name that the series spell differently and that our tests use.
namespace Catch::Matchers {
inline auto ContainsSubstring(const std::string& text) { return Contains(text); }
}  // namespace Catch::Matchers
#endif
