// What the programs say of a sample. Lines that begin with # are measures, which differ.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

#include <lumina/config.hpp>

#include "console.hpp"

namespace keywords {

/// FNV-1a of all codes.
inline std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  std::uint32_t hash = 2166136261u;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 16777619u;
  return hash;
}

inline void report(std::size_t number, std::size_t heard,
                   std::initializer_list<std::span<const std::uint8_t>> layers,
                   std::span<const float> scores) {
  console::write("sample ");
  console::write_number(number);
  console::write(": heard ");
  console::write_number(heard);
  console::write(", codes");
  for (const auto& layer : layers) {
    console::write(" ");
    console::write_word(checksum(layer));
  }
  console::write(", scores");
  for (const float score : scores) {
    console::write(" ");
    console::write_word(std::bit_cast<std::uint32_t>(score));
  }
  console::write("\n");
}

inline void report_measure(const char* what, std::size_t value) {
  console::write("# ");
  console::write(what);
  console::write(" ");
  console::write_number(value);
  console::write("\n");
}

inline void report_right(std::size_t right, std::size_t samples) {
  console::write_number(right);
  console::write(" of ");
  console::write_number(samples);
  console::write(" right\n");
}

inline void write_errors_to_console() {
  lumina::set_error_handler([](const char* message) {
    console::write(message);
    console::write("\n");
  });
}

}  // namespace keywords
