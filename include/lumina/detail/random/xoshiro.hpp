// SplitMix64 and Xoshiro256++, the published generators, for one word or for vectors of words.
#pragma once

#include <bit>
#include <cstdint>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// SplitMix64: G. L. Steele, D. Lea, C. H. Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014; constants of S. Vigna's public-domain splitmix64.c.
struct SplitMix64 {
  static constexpr std::uint64_t increment = 0x9e3779b97f4a7c15u;
  static constexpr std::uint64_t multiplier_1 = 0xbf58476d1ce4e5b9u;
  static constexpr std::uint64_t multiplier_2 = 0x94d049bb133111ebu;

  std::uint64_t state;

  static constexpr std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * multiplier_1;
    z = (z ^ (z >> 27)) * multiplier_2;
    return z ^ (z >> 31);
  }
  constexpr std::uint64_t operator()() { return mix(state += increment); }
};

/// Rotation of a single word; the architectures have their own for vectors.
struct WordOperations {
  template <int Bits>
  static constexpr std::uint64_t rotate_left(std::uint64_t word) {
    return std::rotl(word, Bits);
  }
};

/// One step of Xoshiro256++ in every lane of Words: D. Blackman, S. Vigna, "Scrambled linear
/// pseudorandom number generators", ACM TOMS 47 (2021).
template <class Operations, class Words>
constexpr Words xoshiro256pp_next(Words (&s)[4]) {
  const Words result = Operations::template rotate_left<23>(s[0] + s[3]) + s[0];
  const Words shifted = s[1] << 17;
  s[2] = s[2] ^ s[0];
  s[3] = s[3] ^ s[1];
  s[1] = s[1] ^ s[2];
  s[0] = s[0] ^ s[3];
  s[2] = s[2] ^ shifted;
  s[3] = Operations::template rotate_left<45>(s[3]);
  return result;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
