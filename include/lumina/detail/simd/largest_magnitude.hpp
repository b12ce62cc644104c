// The largest magnitude of many floats.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/unroll.hpp"
#include "vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The largest magnitudes of vectors, lane by lane. As bits those of Inf and NaN exceed all others.
template <class Floats>
class LargestMagnitude {
 public:
  void add(const Floats& values) {
    bits_ = max(bits_, bits_as<std::int32_t>(values) & Ints(0x7fffffff));
  }
  Floats lanes() const { return bits_as<float>(bits_); }
  float of_all_lanes() const {
    alignas(kCacheLine) std::int32_t lanes[Ints::size];
    bits_.store_aligned(lanes);
    return std::bit_cast<float>(*std::max_element(lanes, lanes + Ints::size));
  }

 private:
  using Ints = rebind_t<Floats, std::int32_t>;
  Ints bits_ = Ints(0);
};

/// The largest magnitude of `count` floats, as bits: those of Inf and NaN exceed all others.
template <class Floats>
std::uint32_t largest_magnitude_bits(const float* values, std::size_t count) {
  using Ints = rebind_t<Floats, std::int32_t>;
  constexpr std::size_t kChains = 4;
  const Ints magnitude(0x7fffffff);
  std::array<Ints, kChains> chains;
  chains.fill(Ints(0));
  std::size_t i = 0;
  for (; i + kChains * Floats::size <= count; i += kChains * Floats::size) {
    unroll<kChains>([&](auto j) __attribute__((always_inline)) {
      const Floats lanes = Floats::load_unaligned(values + i + j * Floats::size);
      chains[j] = max(chains[j], bits_as<std::int32_t>(lanes) & magnitude);
    });
  }
  Ints largest = max(max(chains[0], chains[1]), max(chains[2], chains[3]));
  for (; i + Floats::size <= count; i += Floats::size) {
    largest = max(largest, bits_as<std::int32_t>(Floats::load_unaligned(values + i)) & magnitude);
  }
  const Floats rest = load_first<Floats>(values + i, count - i);
  largest = max(largest, bits_as<std::int32_t>(rest) & magnitude);
  alignas(kCacheLine) std::int32_t lanes[Ints::size];
  largest.store_aligned(lanes);
  return static_cast<std::uint32_t>(*std::max_element(lanes, lanes + Ints::size));
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
