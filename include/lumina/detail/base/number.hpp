// Numbers with a fraction in error texts, without <cstdio>.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "message.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A number as errors print it, to four digits: "-0.25", "1.5e+20", "NaN". The last digit may be
/// off by one.
struct Number {
  explicit constexpr Number(double number) : value(number) {}
  explicit constexpr Number(float number) : value(static_cast<double>(number)) {}

  double value;

  friend Message& operator<<(Message& message, const Number& number) {
    double rest = number.value;
    if (rest != rest) return message << "NaN";
    if (rest < 0.0) message << "-", rest = -rest;
    if (rest > 1.7976931348623157e308) return message << "infinite";
    if (rest == 0.0) return message << "0";
    int exponent = 0;
    for (; rest >= 9999.5; ++exponent) rest /= 10.0;
    for (; rest < 999.95; --exponent) rest *= 10.0;
    auto digits = static_cast<std::size_t>(rest + 0.5);  // four; value ≈ digits·10^exponent
    for (; digits % 10 == 0; ++exponent) digits /= 10;
    if (exponent >= 0 && exponent <= 4) {
      for (; exponent > 0; --exponent) digits *= 10;
      return message << digits;
    }
    if (exponent < 0 && exponent >= -7) {
      std::size_t unit = 1;
      for (int i = exponent; i < 0; ++i) unit *= 10;
      message << digits / unit << ".";
      for (digits %= unit; unit > 1; digits %= unit) message << digits / (unit /= 10);
      return message;
    }
    message << digits << "e" << (exponent < 0 ? "-" : "+");
    return message << static_cast<std::size_t>(exponent < 0 ? -exponent : exponent);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
