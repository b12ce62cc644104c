// A vector in plain C++, for the scalar architecture: the part of xsimd::batch's interface that
// the library uses, over an array that compilers keep in whatever registers there are.
#pragma once

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kPortableBatchBytes = 16;

static_assert(std::endian::native == std::endian::little,
              "lumina: the noise stream is defined on little-endian words");

/// The lanes' truth values that a comparison of PortableBatches yields.
template <class T>
struct PortableMask {
  static constexpr std::size_t size = kPortableBatchBytes / sizeof(T);
  bool lane[size];

  friend PortableMask operator&(const PortableMask& a, const PortableMask& b) {
    PortableMask result;
    for (std::size_t i = 0; i < size; ++i) result.lane[i] = a.lane[i] && b.lane[i];
    return result;
  }
  friend bool all(const PortableMask& mask) {
    bool result = true;
    for (const bool truth : mask.lane) result = result && truth;
    return result;
  }
};

/// What a lane is added, subtracted and multiplied as: integers wrap, as in a vector.
template <class T>
[[gnu::always_inline]] constexpr auto wrapping(T x) {
  if constexpr (std::is_integral_v<T>) {
    return static_cast<std::common_type_t<std::make_unsigned_t<T>, unsigned>>(x);
  } else {
    return x;
  }
}

/// Lanes are written out, and what the products of codes are made of is inlined: left to
/// themselves, compilers that optimise for size keep loops over the lanes, and the lanes in memory.
template <class T>
class PortableBatch {
 public:
  using value_type = T;
  using Mask = PortableMask<T>;
  static constexpr std::size_t size = kPortableBatchBytes / sizeof(T);

  PortableBatch() = default;
  [[gnu::always_inline]] PortableBatch(T value) {
    unroll<size>([&](auto i) __attribute__((always_inline)) { lane_[i] = value; });
  }

  [[gnu::always_inline]] static PortableBatch load_unaligned(const T* from) {
    PortableBatch result;
    unroll<size>([&](auto i) __attribute__((always_inline)) { result.lane_[i] = from[i]; });
    return result;
  }
  [[gnu::always_inline]] static PortableBatch load_aligned(const T* from) {
    return load_unaligned(from);
  }
  [[gnu::always_inline]] void store_unaligned(T* to) const {
    unroll<size>([&](auto i) __attribute__((always_inline)) { to[i] = lane_[i]; });
  }
  [[gnu::always_inline]] void store_aligned(T* to) const { store_unaligned(to); }

  [[gnu::always_inline]] T get(std::size_t i) const { return lane_[i]; }

  /// f(lane of a, lane of b, ...) in every lane.
  template <class F, class... Batches>
  [[gnu::always_inline]] static PortableBatch map(F f, const Batches&... batches) {
    PortableBatch result;
    unroll<size>([&](auto i)
                     __attribute__((always_inline)) { result.lane_[i] = f(batches.get(i)...); });
    return result;
  }
  template <class F>
  static Mask compare(F f, const PortableBatch& a, const PortableBatch& b) {
    Mask result;
    for (std::size_t i = 0; i < size; ++i) result.lane[i] = f(a.lane_[i], b.lane_[i]);
    return result;
  }

  friend PortableBatch operator+(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(wrapping(x) + wrapping(y)); }, a, b);
  }
  friend PortableBatch operator-(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(wrapping(x) - wrapping(y)); }, a, b);
  }
  friend PortableBatch operator*(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(wrapping(x) * wrapping(y)); }, a, b);
  }
  friend PortableBatch operator/(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(x / y); }, a, b);
  }
  [[gnu::always_inline]] friend PortableBatch operator&(const PortableBatch& a,
                                                        const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(x & y); }, a, b);
  }
  friend PortableBatch operator|(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(x | y); }, a, b);
  }
  friend PortableBatch operator^(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return static_cast<T>(x ^ y); }, a, b);
  }
  [[gnu::always_inline]] friend PortableBatch operator<<(const PortableBatch& a, int bits) {
    return map([bits](T x) { return static_cast<T>(wrapping(x) << bits); }, a);
  }
  friend PortableBatch operator>>(const PortableBatch& a, int bits) {
    return map([bits](T x) { return static_cast<T>(x >> bits); }, a);
  }
  friend PortableBatch operator-(const PortableBatch& a) {
    return map([](T x) { return static_cast<T>(-wrapping(x)); }, a);
  }
  friend Mask operator<(const PortableBatch& a, const PortableBatch& b) {
    return compare([](T x, T y) { return x < y; }, a, b);
  }
  friend Mask operator<=(const PortableBatch& a, const PortableBatch& b) {
    return compare([](T x, T y) { return x <= y; }, a, b);
  }
  friend Mask operator>(const PortableBatch& a, const PortableBatch& b) { return b < a; }
  friend Mask operator>=(const PortableBatch& a, const PortableBatch& b) { return b <= a; }
  friend PortableBatch select(const Mask& mask, const PortableBatch& a, const PortableBatch& b) {
    PortableBatch result;
    for (std::size_t i = 0; i < size; ++i) result.lane_[i] = mask.lane[i] ? a.lane_[i] : b.lane_[i];
    return result;
  }
  // (constexpr, for hipcc would prefer its own for a device's code to what it takes for a host's.)
  friend constexpr PortableBatch min(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return y < x ? y : x; }, a, b);
  }
  friend constexpr PortableBatch max(const PortableBatch& a, const PortableBatch& b) {
    return map([](T x, T y) { return x < y ? y : x; }, a, b);
  }
  friend PortableBatch sqrt(const PortableBatch& a) {
    return map([](T x) { return __builtin_sqrtf(x); }, a);
  }
  friend PortableBatch abs(const PortableBatch& a) {
    return map([](T x) { return __builtin_fabsf(x); }, a);
  }
  /// a₀ b₀ a₁ b₁ … of the first and of the second halves.
  friend PortableBatch zip_lo(const PortableBatch& a, const PortableBatch& b) {
    return zip(a, b, 0);
  }
  friend PortableBatch zip_hi(const PortableBatch& a, const PortableBatch& b) {
    return zip(a, b, size / 2);
  }

 private:
  static PortableBatch zip(const PortableBatch& a, const PortableBatch& b, std::size_t first) {
    PortableBatch result;
    for (std::size_t i = 0; i < size; ++i) {
      result.lane_[i] = (i % 2 == 0 ? a : b).lane_[first + i / 2];
    }
    return result;
  }

  T lane_[size];
};

// The operations of vectors.hpp as plain functions, which win over its templates: where code must
// be small they are called, and their arguments are not copied on the way.

template <class T>
struct VectorOperations<PortableBatch<T>> : LaneOperations<PortableBatch<T>> {
  template <class U>
  using Rebound = PortableBatch<U>;
};

template <class To, class From>
PortableBatch<To> bits_as(const PortableBatch<From>& from) {
  return std::bit_cast<PortableBatch<To>>(from);
}
inline PortableBatch<float> nearest_floats(const PortableBatch<std::int32_t>& from) {
  float lanes[PortableBatch<float>::size];
  for (std::size_t i = 0; i < from.size; ++i) lanes[i] = static_cast<float>(from.get(i));
  return PortableBatch<float>::load_unaligned(lanes);
}

inline PortableBatch<float> max_or_second(const PortableBatch<float>& a,
                                          const PortableBatch<float>& b) {
  return max(b, a);
}
inline PortableBatch<float> min_or_second(const PortableBatch<float>& a,
                                          const PortableBatch<float>& b) {
  return min(b, a);
}
inline PortableBatch<float> fused_multiply_add(const PortableBatch<float>& a,
                                               const PortableBatch<float>& b,
                                               const PortableBatch<float>& c) {
  return PortableBatch<float>::map(
      [](float x, float y, float z) { return fused_multiply_add(x, y, z); }, a, b, c);
}
inline PortableBatch<float> chain_multiply_add(const PortableBatch<float>& a,
                                               const PortableBatch<float>& b,
                                               const PortableBatch<float>& c) {
  return PortableBatch<float>::map(
      [](float x, float y, float z) { return chain_multiply_add(x, y, z); }, a, b, c);
}
inline PortableBatch<float> product(const PortableBatch<float>& a, const PortableBatch<float>& b) {
  return PortableBatch<float>::map([](float x, float y) { return product(x, y); }, a, b);
}
inline PortableBatch<float> quotient(const PortableBatch<float>& a, const PortableBatch<float>& b) {
  return a / b;
}
inline PortableBatch<float> square_root(const PortableBatch<float>& a) { return sqrt(a); }
inline PortableBatch<float> round_half_even(const PortableBatch<float>& v) {
  const PortableBatch<float> shift(kRoundingShift);
  return (v + shift) - shift;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
