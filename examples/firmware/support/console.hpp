// What a program says: on the host to the standard output, on a board to whoever debugs it
// (semihosting). Without iostream and the heap.
#pragma once

#include <cstddef>
#include <cstdint>

namespace console {

void write(const char* text);

inline void write_number(std::size_t number) {
  char digits[24];
  char* first = digits + sizeof(digits) - 1;
  *first = '\0';
  do {
    *--first = static_cast<char>('0' + number % 10);
    number /= 10;
  } while (number != 0);
  write(first);
}

/// Eight hexadecimal digits.
inline void write_word(std::uint32_t word) {
  char digits[9];
  for (std::size_t i = 0; i < 8; ++i) digits[i] = "0123456789abcdef"[word >> (28 - 4 * i) & 0xf];
  digits[8] = '\0';
  write(digits);
}

}  // namespace console
