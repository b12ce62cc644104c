// One piece of code for every number of bits of coded weights.
#pragma once

#include <type_traits>
#include <utility>

namespace test {

/// f(bits) with bits = std::integral_constant<int, 2> … <int, Most>.
template <int Most = 8, class F>
void for_every_bits(F f) {
  [&]<int... I>(std::integer_sequence<int, I...>) {
    (f(std::integral_constant<int, I + 2>()), ...);
  }
  (std::make_integer_sequence<int, Most - 1>());
}

}  // namespace test
