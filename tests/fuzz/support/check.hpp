// What a target says when the library is wrong: which numbers the problem had, and then it aborts,
// for libFuzzer to keep the input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <lumina/config.hpp>

namespace fuzz {

/// The numbers of the problem at hand, for the text of a failure.
inline std::vector<std::pair<const char*, double>> notes;

template <class Number>
void note(const char* name, Number value) {
  notes.emplace_back(name, static_cast<double>(value));
}

/// What the library reported during the last call of reports_of().
inline std::vector<std::string> reports;

[[noreturn]] inline void fail(std::string_view what, std::string_view detail = "") {
  std::fprintf(stderr, "FAILED: %.*s\n", static_cast<int>(what.size()), what.data());
  if (!detail.empty()) {
    std::fprintf(stderr, "  %.*s\n", static_cast<int>(detail.size()), detail.data());
  }
  for (const auto& [name, value] : notes) std::fprintf(stderr, "  %s = %.9g\n", name, value);
  for (const std::string& report : reports) std::fprintf(stderr, "  said: %s\n", report.c_str());
  std::abort();
}

inline void require(bool holds, std::string_view what) {
  if (!holds) fail(what);
}
/// `difference`: one of support/same_bits.hpp's, "" where there is none.
inline void require_same(const std::string& difference, std::string_view what) {
  if (!difference.empty()) fail(what, difference);
}

/// How an error ends a call.
enum class OnError { returns, throws };

inline OnError on_error = OnError::returns;

inline void take_report(const char* message) {
  reports.emplace_back(message);
#if defined(__cpp_exceptions)
  if (on_error == OnError::throws) throw std::invalid_argument(message);
#endif
}

/// How many errors call() reports, `most` of them: the first mistake ends a call, but a constructor
/// may go on. Where it returns a bool, that says whether there was none.
template <class Call>
std::size_t reports_of(OnError how, Call call, std::size_t most = 1) {
  reports.clear();
  on_error = how;
  const lumina::ErrorHandler before = lumina::set_error_handler(&take_report);
  const auto run = [&call] {
    if constexpr (std::is_same_v<decltype(call()), bool>) {
      require(call() == reports.empty(), "a call says whether it has run");
    } else {
      call();
    }
  };
#if defined(__cpp_exceptions)
  try {
    run();
  } catch (const std::invalid_argument& error) {
    require(how == OnError::throws && reports.size() == 1 && reports[0] == error.what(),
            "an exception is the report of the only mistake");
  }
#else
  run();
#endif
  lumina::set_error_handler(before);
  require(reports.size() <= most, "the first mistake ends a call");
  for (const std::string& report : reports) {
    require(report.starts_with("lumina"), "an error says where it comes from");
  }
  return reports.size();
}

}  // namespace fuzz
