// Fetching ahead: memory comes near while something else computes.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "aligned_buffer.hpp"
#include "range.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Brings a cache line near, without a place in the first-level cache. (Always inlined: g++ takes
/// a function that only prefetches for one without effect and drops calls of it.)
[[gnu::always_inline]] inline void prefetch_to_second_level(const char* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 0, 2);
#else
  static_cast<void>(address);
#endif
}

/// The same for some bytes.
[[gnu::always_inline]] inline void prefetch_to_second_level(const void* first, std::size_t bytes) {
  const auto* const address = static_cast<const char*>(first);
  for (std::size_t i = 0; i < bytes; i += kCacheLine) prefetch_to_second_level(address + i);
}

/// The same for bytes that will be written, into the first-level cache.
[[gnu::always_inline]] inline void prefetch_for_writing(const char* address, std::size_t bytes) {
#if defined(__GNUC__)
  for (std::size_t i = 0; i < bytes; i += kCacheLine) __builtin_prefetch(address + i, 1, 3);
#else
  static_cast<void>(address);
  static_cast<void>(bytes);
#endif
}

/// Memory that is needed soon. A tile fetches it on the way: in every round of its loop at three
/// addresses, `bytes` apart. None where `bytes` is 0.
struct Prefetch {
  const char* address;
  std::size_t bytes;

  /// `total` bytes from `begin` during `rounds` rounds.
  static Prefetch spread(const void* begin, std::size_t total, std::size_t rounds) {
    return {static_cast<const char*>(begin), rounds == 0 ? 0 : total / (3 * rounds)};
  }
};

/// Memory that is fetched little by little: what the next task makes its rows of.
class Prefetcher {
 public:
  Prefetcher() = default;
  /// [begin, end), in `parts` parts.
  Prefetcher(const void* begin, const void* end, std::size_t parts)
      : at_(static_cast<const char*>(begin)), end_(static_cast<const char*>(end)) {
    if (parts != 0) part_ = ceil_div(static_cast<std::size_t>(end_ - at_), parts);
  }

  void fetch_part() {
    const std::size_t bytes = std::min(part_, static_cast<std::size_t>(end_ - at_));
    for (std::size_t i = 0; i < bytes; i += kCacheLine) prefetch_to_second_level(at_ + i);
    at_ += bytes;
  }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t part_ = 0;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
