// Semihosting: a breakpoint at which a debugger, or the emulator, does what register 0 says.
#pragma once

#include <cstdint>

namespace board {

/// Ends the program; 0 is success.
[[noreturn]] void exit(int status);

/// Says why and ends the program with an error.
[[noreturn]] void fail(const char* why);

}  // namespace board
