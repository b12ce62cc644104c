// The device that is emulated, how it fails, and its dice.
#pragma once

#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace emulated {

struct Device {
  int capability = 90;  ///< 80 or 90
  int multiprocessors = 3;
  std::uint64_t seed = 1;  ///< of the order in which things happen, each launch anew
  /// Grids run as late as they may: at synchronize(), before what does not overlap them, and where
  /// a grid that overlaps waits for them. Otherwise a launch has run when it returns.
  bool postpones_grids = false;
};
inline Device device;

/// What a program does that runs into undefined behaviour of a GPU.
[[noreturn, gnu::format(printf, 1, 2)]] inline void fail(const char* format, ...) {
  std::fputs("emulated GPU: ", stderr);
  std::va_list arguments;
  va_start(arguments, format);
  std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  std::fputc('\n', stderr);
  std::abort();
}

inline std::uint64_t dice = 1;

/// 0 … sides − 1.
inline std::size_t roll(std::size_t sides) {
  dice ^= dice << 13, dice ^= dice >> 7, dice ^= dice << 17;
  return (dice * 0x2545f4914f6cdd1d >> 32) * sides >> 32;
}

}  // namespace emulated
