#include <cstdio>

#include "console.hpp"

void console::write(const char* text) { std::fputs(text, stdout); }
