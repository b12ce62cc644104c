// Vector operations that the kernels need beyond operators: one name for each, whatever the vector
// is. What each is on a kind of vectors says VectorOperations: portable_batch.hpp and
// xsimd_batch.hpp have it for theirs, and isa/ files for vectors whose instruction set knows
// better.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/scalar_math.hpp"

// g++ finds uninitialised values in its own intrinsics for AVX-512. It asks the place of the
// intrinsic and each function that it was inlined into whether to warn: so this is for what vectors
// go through, should the user have included the intrinsics' headers before. unroll.hpp,
// xsimd_batch.hpp and isa/avx512.hpp do the same.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A vector, whose operations the specialisation of VectorOperations for it has.
template <class T>
concept Vector = requires {
  typename T::value_type;
  T::size;
};

/// The operations below on vectors of one type; a specialisation derives from LaneOperations:
///
///   Rebound<U>           the vector of U that has as many bytes
///   bits_as<U>(v)        and the rest of what follows, under the same names
template <Vector Batch>
struct VectorOperations;

/// The vector of T that has as many bytes as the vector Batch.
template <class Batch, class T>
using rebind_t = typename VectorOperations<Batch>::template Rebound<T>;

/// The same bits, seen as lanes of another type.
template <class To, Vector Batch>
[[gnu::always_inline]] constexpr rebind_t<Batch, To> bits_as(const Batch& from) {
  return VectorOperations<Batch>::template bits_as<To>(from);
}

/// Signed integers, each rounded to the nearest float.
template <Vector Ints>
[[gnu::always_inline]] constexpr rebind_t<Ints, float> nearest_floats(const Ints& from) {
  return VectorOperations<Ints>::nearest_floats(from);
}

/// max(a, b), and b where a or b is NaN.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats max_or_second(const Floats& a, const Floats& b) {
  return VectorOperations<Floats>::max_or_second(a, b);
}
/// min(a, b), and b where a or b is NaN.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats min_or_second(const Floats& a, const Floats& b) {
  return VectorOperations<Floats>::min_or_second(a, b);
}

/// a·b + c rounded once.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats fused_multiply_add(const Floats& a, const Floats& b,
                                                           const Floats& c) {
  return VectorOperations<Floats>::fused_multiply_add(a, b, c);
}

/// One link of a dot product's chain, see scalar_math.hpp.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats chain_multiply_add(const Floats& a, const Floats& b,
                                                           const Floats& c) {
  return VectorOperations<Floats>::chain_multiply_add(a, b, c);
}

/// a·b rounded by itself, see scalar_math.hpp.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats product(const Floats& a, const Floats& b) {
  return VectorOperations<Floats>::product(a, b);
}

/// a / b, rounded to nearest.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats quotient(const Floats& a, const Floats& b) {
  return VectorOperations<Floats>::quotient(a, b);
}

/// The square root, rounded to nearest.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats square_root(const Floats& a) {
  return VectorOperations<Floats>::square_root(a);
}

/// The same of what is 0, or between 2^-23 and 45: some machines are faster there.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats bounded_square_root(const Floats& a) {
  return VectorOperations<Floats>::bounded_square_root(a);
}

/// Nearest integer, ties to even, for |v| < 2^22; a result of zero is +0. Equal to the scalar form.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats round_half_even(const Floats& v) {
  return VectorOperations<Floats>::round_half_even(v);
}

/// The truth value of each lane of a mask of Floats as a bit, the first lane's the lowest.
template <Vector Floats, class Mask>
[[gnu::always_inline]] constexpr std::uint32_t bits_of_mask(const Mask& mask) {
  return VectorOperations<Floats>::bits_of_mask(mask);
}

/// The values of the lanes whose bit is set, 0 in the others.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats keep_where(std::uint32_t bits, const Floats& values) {
  return VectorOperations<Floats>::keep_where(bits, values);
}

/// Integers |v| < 2^22 in floats, less `first`, as int32.
template <Vector Floats>
constexpr auto to_small_int(const Floats& v, std::int32_t first = 0) {
  using Ints = rebind_t<Floats, std::int32_t>;
  return bits_as<std::int32_t>(v + Floats(kRoundingShift)) -
         Ints(std::bit_cast<std::int32_t>(kRoundingShift) + first);
}

/// v, limited to [lo, hi]; NaN stays NaN.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats clamp_keeping_nan(const Floats& v, const Floats& lo,
                                                          const Floats& hi) {
  return VectorOperations<Floats>::clamp_keeping_nan(v, lo, hi);
}

/// The first `count` lanes from memory, the others `behind`; reads nothing behind them.
template <Vector Floats>
[[gnu::always_inline]] constexpr Floats load_first(const float* from, std::size_t count,
                                                   float behind = 0.0f) {
  return VectorOperations<Floats>::load_first(from, count, behind);
}

/// The first `count` lanes to memory; writes nothing behind them.
template <Vector Floats>
[[gnu::always_inline]] constexpr void store_first(const Floats& values, float* to,
                                                  std::size_t count) {
  VectorOperations<Floats>::store_first(values, to, count);
}

/// What any vector can do, if slowly.
template <class Floats>
struct LaneOperations {
  static constexpr Floats bounded_square_root(const Floats& a) { return square_root(a); }
  static constexpr Floats clamp_keeping_nan(const Floats& v, const Floats& lo, const Floats& hi) {
    return min_or_second(hi, max_or_second(lo, v));
  }

  template <class Mask>
  static std::uint32_t bits_of_mask(const Mask& mask) {
    alignas(64) float lanes[Floats::size];
    select(mask, Floats(1.0f), Floats(0.0f)).store_aligned(lanes);
    std::uint32_t bits = 0;
    for (std::size_t i = 0; i < Floats::size; ++i) bits |= (lanes[i] != 0.0f ? 1u : 0u) << i;
    return bits;
  }

  static Floats keep_where(std::uint32_t bits, const Floats& values) {
    using Ints = rebind_t<Floats, std::int32_t>;
    alignas(64) static constexpr std::int32_t kBitOfLane[16] = {
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
    const Ints set = Ints(static_cast<std::int32_t>(bits)) & Ints::load_aligned(kBitOfLane);
    return select(nearest_floats(set) > Floats(0.0f), values, Floats(0.0f));
  }

  static constexpr Floats load_first(const float* from, std::size_t count, float behind) {
    alignas(64) float lanes[Floats::size];
    Floats(behind).store_aligned(lanes);
    for (std::size_t i = 0; i < count; ++i) lanes[i] = from[i];
    return Floats::load_aligned(lanes);
  }
  static constexpr void store_first(const Floats& values, float* to, std::size_t count) {
    alignas(64) float lanes[Floats::size];
    values.store_aligned(lanes);
    for (std::size_t i = 0; i < count; ++i) to[i] = lanes[i];
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
