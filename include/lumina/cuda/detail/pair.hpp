// The vector that stages see on a GPU: two neighbouring columns of a row.
//
// A thread of a quad of an mma accumulator holds columns 8j + 2t and 8j + 2t + 1, t its number in
// the quad; and of each round of 32 columns (numerics.md, "The noise stream") lane l of the
// generator has columns 2l, 2l + 1 and 16 + 2l, 17 + 2l. So a thread that walks lanes t and 4 + t
// has the normals of its accumulators, as pairs, without any exchange.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../detail/simd/vectors.hpp"
#include "../platform/float_math.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail::gpu {

/// What a comparison of Pairs yields.
struct PairMask {
  bool first, second;

  friend constexpr PairMask operator&(const PairMask& a, const PairMask& b) {
    return {a.first && b.first, a.second && b.second};
  }
  friend constexpr bool all(const PairMask& mask) { return mask.first && mask.second; }
};

/// T: float, std::int32_t or std::uint32_t. Integers wrap; floats are rounded one operation at a
/// time, whatever the compiler may contract.
template <class T>
struct Pair {
  using value_type = T;
  using Mask = PairMask;
  static constexpr std::size_t size = 2;

  T first, second;

  Pair() = default;
  constexpr Pair(T both) : first(both), second(both) {}
  constexpr Pair(T one, T other) : first(one), second(other) {}

  static constexpr Pair load_unaligned(const T* from) { return {from[0], from[1]}; }
  static constexpr Pair load_aligned(const T* from) { return load_unaligned(from); }
  constexpr void store_unaligned(T* to) const { to[0] = first, to[1] = second; }
  constexpr void store_aligned(T* to) const { store_unaligned(to); }
  constexpr T get(std::size_t i) const { return i == 0 ? first : second; }

  friend constexpr Pair operator+(const Pair& a, const Pair& b) {
    return {sum(a.first, b.first), sum(a.second, b.second)};
  }
  friend constexpr Pair operator-(const Pair& a, const Pair& b) {
    return {difference(a.first, b.first), difference(a.second, b.second)};
  }
  friend constexpr Pair operator*(const Pair& a, const Pair& b) {
    return {product(a.first, b.first), product(a.second, b.second)};
  }
  friend constexpr Pair operator/(const Pair& a, const Pair& b) {
    return {quotient(a.first, b.first), quotient(a.second, b.second)};
  }
  friend constexpr Pair operator-(const Pair& a) {
    if constexpr (is_float) {
      return {-a.first, -a.second};
    } else {
      return Pair(0) - a;
    }
  }
  friend constexpr Pair operator&(const Pair& a, const Pair& b) {
    return {a.first & b.first, a.second & b.second};
  }
  friend constexpr Pair operator|(const Pair& a, const Pair& b) {
    return {a.first | b.first, a.second | b.second};
  }
  friend constexpr Pair operator^(const Pair& a, const Pair& b) {
    return {a.first ^ b.first, a.second ^ b.second};
  }
  friend constexpr Pair operator<<(const Pair& a, int bits) {
    return {a.first << bits, a.second << bits};
  }
  friend constexpr Pair operator>>(const Pair& a, int bits) {
    return {a.first >> bits, a.second >> bits};
  }

  friend constexpr PairMask operator<(const Pair& a, const Pair& b) {
    return {a.first < b.first, a.second < b.second};
  }
  friend constexpr PairMask operator<=(const Pair& a, const Pair& b) {
    return {a.first <= b.first, a.second <= b.second};
  }
  friend constexpr PairMask operator>(const Pair& a, const Pair& b) { return b < a; }
  friend constexpr PairMask operator>=(const Pair& a, const Pair& b) { return b <= a; }

  friend constexpr Pair select(const PairMask& mask, const Pair& a, const Pair& b) {
    return {mask.first ? a.first : b.first, mask.second ? a.second : b.second};
  }
  friend constexpr Pair min(const Pair& a, const Pair& b) { return select(b < a, b, a); }
  friend constexpr Pair max(const Pair& a, const Pair& b) { return select(a < b, b, a); }
  friend constexpr Pair sqrt(const Pair& a) { return {root(a.first), root(a.second)}; }
  friend constexpr Pair abs(const Pair& a) {
    return {magnitude_of(a.first), magnitude_of(a.second)};
  }

 private:
  static constexpr bool is_float = std::is_floating_point_v<T>;

  static constexpr T sum(T x, T y) {
    if constexpr (is_float) {
      return add(x, y);
    } else {
      return static_cast<T>(wrapping(x) + wrapping(y));
    }
  }
  static constexpr T difference(T x, T y) {
    if constexpr (is_float) {
      return subtract(x, y);
    } else {
      return static_cast<T>(wrapping(x) - wrapping(y));
    }
  }
  static constexpr T product(T x, T y) {
    if constexpr (is_float) {
      return multiply(x, y);
    } else {
      return static_cast<T>(wrapping(x) * wrapping(y));
    }
  }
  static constexpr T quotient(T x, T y) {
    if constexpr (is_float) {
      return divide(x, y);
    } else {
      return x / y;
    }
  }
  static constexpr std::uint32_t wrapping(T x) { return static_cast<std::uint32_t>(x); }
};

}  // namespace detail::gpu

namespace detail {

template <class T>
struct VectorOperations<gpu::Pair<T>> {
  using Pair = gpu::Pair<T>;
  template <class U>
  using Rebound = gpu::Pair<U>;

  template <class To>
  static constexpr gpu::Pair<To> bits_as(const Pair& from) {
    return {std::bit_cast<To>(from.first), std::bit_cast<To>(from.second)};
  }
  static constexpr gpu::Pair<float> nearest_floats(const Pair& from) {
    return {static_cast<float>(from.first), static_cast<float>(from.second)};
  }

  static constexpr Pair max_or_second(const Pair& a, const Pair& b) { return max(b, a); }
  static constexpr Pair min_or_second(const Pair& a, const Pair& b) { return min(b, a); }
  static constexpr Pair clamp_keeping_nan(const Pair& v, const Pair& lo, const Pair& hi) {
    return {gpu::limit(v.first, lo.first, hi.first), gpu::limit(v.second, lo.second, hi.second)};
  }
  static constexpr Pair fused_multiply_add(const Pair& a, const Pair& b, const Pair& c) {
    return {gpu::multiply_add(a.first, b.first, c.first),
            gpu::multiply_add(a.second, b.second, c.second)};
  }
  static constexpr Pair chain_multiply_add(const Pair& a, const Pair& b, const Pair& c) {
    return fused_multiply_add(a, b, c);
  }
  static constexpr Pair product(const Pair& a, const Pair& b) { return a * b; }
  static constexpr Pair quotient(const Pair& a, const Pair& b) { return a / b; }
  static constexpr Pair square_root(const Pair& a) { return sqrt(a); }
  static constexpr Pair bounded_square_root(const Pair& a) {
    return {gpu::quick_root(a.first), gpu::quick_root(a.second)};
  }
  static constexpr Pair round_half_even(const Pair& v) {
    return (v + Pair(kRoundingShift)) - Pair(kRoundingShift);
  }

  static constexpr std::uint32_t bits_of_mask(const gpu::PairMask& mask) {
    return (mask.first ? 1u : 0u) | (mask.second ? 2u : 0u);
  }
  static constexpr Pair keep_where(std::uint32_t bits, const Pair& values) {
    return {(bits & 1u) != 0 ? values.first : T{}, (bits & 2u) != 0 ? values.second : T{}};
  }
  static constexpr Pair load_first(const T* from, std::size_t count, T behind) {
    return {count > 0 ? from[0] : behind, count > 1 ? from[1] : behind};
  }
  static constexpr void store_first(const Pair& values, T* to, std::size_t count) {
    if (count > 0) to[0] = values.first;
    if (count > 1) to[1] = values.second;
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
