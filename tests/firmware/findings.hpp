// Numbers compared with the oracle's, and what came out, on a board's console.
#pragma once

#include <cstddef>
#include <cstdint>

#include "support/console.hpp"

namespace findings {

/// Counts what is compared, and says how it came out.
class Findings {
 public:
  void operator()(const char* area, std::uint64_t index, std::uint64_t expected,
                  std::uint64_t actual) {
    ++compared_;
    if (actual == expected) return;
    if (++different_ > 10) return;
    console::write("different: ");
    console::write(area);
    console::write(" ");
    console::write_number(static_cast<std::size_t>(index));
    console::write("\n");
  }
  /// True where something was compared and nothing differs. (How many numbers one check compares
  /// depends on the length of vectors.)
  bool say(const char* what) const {
    console::write("# compared: ");
    console::write_number(compared_);
    console::write("\n");
    console::write(what);
    console::write(different_ == 0 ? ": none differs\n" : ": differences\n");
    return compared_ > 0 && different_ == 0;
  }

 private:
  std::size_t compared_ = 0;
  std::size_t different_ = 0;
};

template <class Check>
bool passes(const char* what, Check check) {
  Findings findings;
  check(findings);
  return findings.say(what);
}

}  // namespace findings
