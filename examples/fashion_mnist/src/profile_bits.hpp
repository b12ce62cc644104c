// The bits of a profile as a constant of the program.
#pragma once

#include <lumina/hardware_profile.hpp>

#include <stdexcept>
#include <type_traits>

namespace example {

/// f(std::integral_constant<int, bits>()).
template <class F>
auto with_bits_of(const lumina::HardwareProfile& profile, const F& f) {
  switch (profile.bits) {
    case 2:
      return f(std::integral_constant<int, 2>());
    case 4:
      return f(std::integral_constant<int, 4>());
    case 8:
      return f(std::integral_constant<int, 8>());
    case 12:
      return f(std::integral_constant<int, 12>());
    default:
      throw std::runtime_error("hardware of 2, 4, 8 or 12 bits only");
  }
}

}  // namespace example
