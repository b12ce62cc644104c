// Error texts without the heap and without <cstdio>, so that firmware can afford them.
#pragma once

#include <cstddef>
#include <string_view>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A text of at most 255 characters, put together piece by piece; what does not fit is cut.
class Message {
 public:
  Message& operator<<(std::string_view text) {
    for (const char c : text) {
      if (length_ + 1 == sizeof(text_)) break;
      text_[length_++] = c;
    }
    text_[length_] = '\0';
    return *this;
  }
  Message& operator<<(std::size_t number) {
    // Not by std::to_chars, of which all units of a program share one copy (config.hpp).
    char digits[20];
    std::size_t first = sizeof(digits);
    do {
      digits[--first] = static_cast<char>('0' + number % 10);
      number /= 10;
    } while (number != 0);
    return *this << std::string_view(digits + first, sizeof(digits) - first);
  }
  const char* c_str() const { return text_; }

 private:
  char text_[256] = {};
  std::size_t length_ = 0;
};

/// For checks that say whether all is well.
inline bool report_false(const Message& message) {
  report_error(message.c_str());
  return false;
}

/// A shape as errors print it: "[rows, cols]".
struct Shape {
  std::size_t rows, cols;
  friend Message& operator<<(Message& message, const Shape& shape) {
    return message << "[" << shape.rows << ", " << shape.cols << "]";
  }
};

[[gnu::cold, gnu::noinline]] inline void report_silent_refusal(const char* refusal,
                                                               const Shape& shape) {
  report_error((Message() << "lumina: " << refusal << " " << shape
                          << " without a message (its valid_for() is false)")
                   .c_str());
}

/// check(), which reports what is wrong. Where it says false and has reported nothing, `refusal`
/// says what happened: no refusal is silent.
template <class Check>
bool passes_or_reports(Check&& check, const char* refusal, const Shape& shape) {
  const std::size_t before = reported_errors;
  if (check()) return true;
  if (reported_errors == before) report_silent_refusal(refusal, shape);
  return false;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
