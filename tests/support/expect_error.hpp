// Errors, with and without exceptions.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include <lumina/config.hpp>

#include "catch.hpp"

namespace test {

inline std::vector<std::string> recorded_errors;

/// What a handler that only takes notes and returns is told while call() runs.
template <class F>
std::vector<std::string> errors_of(F&& call) {
  recorded_errors.clear();
  const lumina::ErrorHandler before =
      lumina::set_error_handler([](const char* message) { recorded_errors.emplace_back(message); });
  call();
  lumina::set_error_handler(before);
  return recorded_errors;
}

/// call() must report an error whose message contains all `parts`: to a handler that returns, and,
/// where there are exceptions, as std::invalid_argument. call() runs twice then.
template <class F>
void expect_error(F&& call, std::initializer_list<std::string_view> parts) {
  const std::vector<std::string> errors = errors_of(call);
  REQUIRE(!errors.empty());
  const std::string& message = errors.front();
  CAPTURE(message);
  for (const std::string_view part : parts) {
    CAPTURE(part);
    CHECK(message.find(part) != std::string::npos);
  }
#if LUMINA_TEST_EXCEPTIONS
  std::string thrown;
  try {
    call();
  } catch (const std::invalid_argument& error) {
    thrown = error.what();
  }
  CHECK(thrown == message);
#endif
}

}  // namespace test
