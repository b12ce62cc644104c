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

/// Memory that is needed soon. A tile fetches it on the way, in `times` rounds of its loop: `lines`
/// cache lines `step` bytes apart, from an address that moves on by `stride`. All at once would
/// take the places that a core has for lines under way, of which the tile's own operands need some.
struct Prefetch {
  const char* address = nullptr;
  std::size_t stride = 0, step = 0, lines = 0, times = 0;

  /// All lines of `total` bytes from `begin`, as early in `rounds` rounds as is even.
  static Prefetch spread(const void* begin, std::size_t total, std::size_t rounds) {
    if (rounds == 0 || total == 0) return {};
    const std::size_t lines = ceil_div(ceil_div(total, kCacheLine), rounds);
    return {static_cast<const char*>(begin), lines * kCacheLine, kCacheLine, lines,
            ceil_div(total, lines * kCacheLine)};
  }
  /// Three addresses in each of `rounds` rounds, evenly apart in `total` bytes: the machine
  /// foresees what is between them.
  static Prefetch hints(const void* begin, std::size_t total, std::size_t rounds) {
    const std::size_t step = rounds == 0 ? 0 : total / (3 * rounds);
    return {static_cast<const char*>(begin), 3 * step, step, 3, step == 0 ? 0 : rounds};
  }

  /// What hints() had, always in the same way: where a round is short.
  [[gnu::always_inline]] void fetch_hints() {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < 3; ++i) prefetch_to_second_level(address + i * step);
    address += stride;
  }
  /// What comes next: this, or what follows in an array.
  [[gnu::always_inline]] Prefetch* fetch_round() {
    for (std::size_t i = 0; i < lines; ++i) prefetch_to_second_level(address + i * step);
    address += stride;
    return --times == 0 ? this + 1 : this;
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
  /// `share` of a part's `whole`, during `rounds` rounds.
  Prefetch share_of_part(std::size_t share, std::size_t whole, std::size_t rounds) {
    if (at_ == end_ || rounds == 0) return {};
    const std::size_t wanted = round_up(part_ * share / whole, kCacheLine);
    const std::size_t bytes = std::min(wanted, static_cast<std::size_t>(end_ - at_));
    const char* const from = at_;
    at_ += bytes;
    return Prefetch::spread(from, bytes, rounds);
  }

 private:
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  std::size_t part_ = 0;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
