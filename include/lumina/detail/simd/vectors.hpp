// Vector operations that the kernels need beyond operators: one name for each, whatever the
// vector is (PortableBatch, or xsimd::batch of the series 8 to 14, whose interfaces differ).
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "portable_batch.hpp"

// g++ finds uninitialised values in its own intrinsics for AVX-512. It asks the place of the
// intrinsic and each function that it was inlined into whether to warn: so this is for the
// intrinsics' headers (isa/ files get them from here), and, should the user have included them
// before, for what follows. unroll.hpp, through which nearly all vectors go, and isa/avx512.hpp do
// the same.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

LUMINA_FLOATS_AS_WRITTEN
#if !defined(LUMINA_ISA_SCALAR)
#include <xsimd/xsimd.hpp>
#if XSIMD_VERSION_MAJOR < 8 || (XSIMD_VERSION_MAJOR == 8 && XSIMD_VERSION_MINOR < 1)
#error "lumina: this xsimd is older than 8.1. Use a newer one, or define LUMINA_NO_XSIMD."
#endif
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The vector of T that has as many bytes as the vector Batch.
template <class Batch, class T>
struct Rebind;

template <class Batch, class T>
using rebind_t = typename Rebind<Batch, T>::type;

template <class T, class U>
struct Rebind<PortableBatch<T>, U> {
  using type = PortableBatch<U>;
};

/// The same bits, seen as lanes of another type.
template <class To, class From>
PortableBatch<To> bits_as(const PortableBatch<From>& from) {
  return std::bit_cast<PortableBatch<To>>(from);
}

/// Signed integers, each rounded to the nearest float.
inline PortableBatch<float> to_float(const PortableBatch<std::int32_t>& from) {
  PortableBatch<float> result(0.0f);
  float lanes[PortableBatch<float>::size];
  for (std::size_t i = 0; i < result.size; ++i) lanes[i] = static_cast<float>(from.get(i));
  return PortableBatch<float>::load_unaligned(lanes);
}

/// max(a, b), and b where a or b is NaN.
inline PortableBatch<float> max_or_second(const PortableBatch<float>& a,
                                          const PortableBatch<float>& b) {
  return max(b, a);
}
/// min(a, b), and b where a or b is NaN.
inline PortableBatch<float> min_or_second(const PortableBatch<float>& a,
                                          const PortableBatch<float>& b) {
  return min(b, a);
}

/// a·b + c rounded once.
inline PortableBatch<float> fused_multiply_add(const PortableBatch<float>& a,
                                               const PortableBatch<float>& b,
                                               const PortableBatch<float>& c) {
  return PortableBatch<float>::map(
      [](float x, float y, float z) { return fused_multiply_add(x, y, z); }, a, b, c);
}

/// The square root, rounded to nearest.
inline PortableBatch<float> square_root(const PortableBatch<float>& a) { return sqrt(a); }

/// a / b, rounded to nearest.
inline PortableBatch<float> quotient(const PortableBatch<float>& a, const PortableBatch<float>& b) {
  return a / b;
}

/// One link of a dot product's chain, see scalar_math.hpp.
inline PortableBatch<float> chain_multiply_add(const PortableBatch<float>& a,
                                               const PortableBatch<float>& b,
                                               const PortableBatch<float>& c) {
  return PortableBatch<float>::map(
      [](float x, float y, float z) { return chain_multiply_add(x, y, z); }, a, b, c);
}

/// a·b rounded by itself, see scalar_math.hpp.
inline PortableBatch<float> product(const PortableBatch<float>& a, const PortableBatch<float>& b) {
  return PortableBatch<float>::map([](float x, float y) { return product(x, y); }, a, b);
}

#if !defined(LUMINA_ISA_SCALAR)

template <class T, class A, class U>
struct Rebind<xsimd::batch<T, A>, U> {
  using type = xsimd::batch<U, A>;
};

template <class To, class From, class A>
xsimd::batch<To, A> bits_as(const xsimd::batch<From, A>& from) {
#if XSIMD_VERSION_MAJOR >= 11
  return xsimd::bitwise_cast<To>(from);
#else
  return xsimd::bitwise_cast<xsimd::batch<To, A>>(from);
#endif
}

template <class A>
xsimd::batch<float, A> to_float(const xsimd::batch<std::int32_t, A>& from) {
  return xsimd::batch_cast<float>(from);
}

// xsimd 14 turned the order of these two round, to agree with std::max and std::min.
template <class A>
xsimd::batch<float, A> max_or_second(const xsimd::batch<float, A>& a,
                                     const xsimd::batch<float, A>& b) {
#if defined(LUMINA_ISA_NEON)
  return xsimd::select(a > b, a, b);  // NEON's own would be NaN wherever a is
#elif XSIMD_VERSION_MAJOR >= 14
  return xsimd::max(b, a);
#else
  return xsimd::max(a, b);
#endif
}
template <class A>
xsimd::batch<float, A> min_or_second(const xsimd::batch<float, A>& a,
                                     const xsimd::batch<float, A>& b) {
#if defined(LUMINA_ISA_NEON)
  return xsimd::select(a < b, a, b);  // NEON's own would be NaN wherever a is
#elif XSIMD_VERSION_MAJOR >= 14
  return xsimd::min(b, a);
#else
  return xsimd::min(a, b);
#endif
}

template <class A>
xsimd::batch<float, A> fused_multiply_add(const xsimd::batch<float, A>& a,
                                          const xsimd::batch<float, A>& b,
                                          const xsimd::batch<float, A>& c) {
  // xsimd 8 has a product and a sum for these two: two roundings.
#if defined(LUMINA_ISA_AVX512)
  if constexpr (xsimd::batch<float, A>::size == 16) {
    return _mm512_fmadd_ps(a, b, c);
  } else {
    return xsimd::fma(a, b, c);
  }
#elif defined(LUMINA_ISA_NEON)
  return vfmaq_f32(c, a, b);
#else
  return xsimd::fma(a, b, c);
#endif
}

template <class A>
xsimd::batch<float, A> square_root(const xsimd::batch<float, A>& a) {
#if defined(LUMINA_ISA_NEON)
  return vsqrtq_f32(a);  // xsimd 8 refines an estimate here, which is not always the nearest.
#else
  return xsimd::sqrt(a);
#endif
}

template <class A>
xsimd::batch<float, A> quotient(const xsimd::batch<float, A>& a, const xsimd::batch<float, A>& b) {
#if defined(LUMINA_ISA_NEON)
  return vdivq_f32(a, b);  // as above
#else
  return a / b;
#endif
}

template <class A>
xsimd::batch<float, A> chain_multiply_add(const xsimd::batch<float, A>& a,
                                          const xsimd::batch<float, A>& b,
                                          const xsimd::batch<float, A>& c) {
  return fused_multiply_add(a, b, c);
}

template <class A>
xsimd::batch<float, A> product(const xsimd::batch<float, A>& a, const xsimd::batch<float, A>& b) {
  return fused_multiply_add(a, b, xsimd::batch<float, A>(-0.0f));
}

#endif

template <class Floats>
inline constexpr bool is_portable = false;
template <class T>
inline constexpr bool is_portable<PortableBatch<T>> = true;

/// The truth value of each lane of a mask of Floats as a bit, the first lane's the lowest.
template <class Floats, class Mask>
std::uint32_t bits_of_mask(const Mask& mask) {
#if defined(LUMINA_ISA_AVX512)
  if constexpr (!is_portable<Floats>) return static_cast<__mmask16>(mask);
#elif defined(LUMINA_ISA_AVX2)
  if constexpr (!is_portable<Floats>) return static_cast<std::uint32_t>(_mm256_movemask_ps(mask));
#endif
  alignas(64) float lanes[Floats::size];
  select(mask, Floats(1.0f), Floats(0.0f)).store_aligned(lanes);
  std::uint32_t bits = 0;
  for (std::size_t i = 0; i < Floats::size; ++i) bits |= (lanes[i] != 0.0f ? 1u : 0u) << i;
  return bits;
}

/// The values of the lanes whose bit is set, 0 in the others.
template <class Floats>
Floats keep_where(std::uint32_t bits, const Floats& values) {
#if defined(LUMINA_ISA_AVX512)
  if constexpr (!is_portable<Floats>) {
    return _mm512_maskz_mov_ps(static_cast<__mmask16>(bits), values);
  }
#endif
  using Ints = rebind_t<Floats, std::int32_t>;
  alignas(64) static constexpr std::int32_t kBitOfLane[16] = {
      1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
  const Ints set = Ints(static_cast<std::int32_t>(bits)) & Ints::load_aligned(kBitOfLane);
  return select(to_float(set) > Floats(0.0f), values, Floats(0.0f));
}

/// Nearest integer, ties to even, for |v| < 2^22; a result of zero is +0. Equal to the scalar form.
template <class Floats>
Floats round_half_even(const Floats& v) {
  const Floats shift(12582912.0f);
  if constexpr (is_portable<Floats>) {
    return (v + shift) - shift;
  } else {
    // In registers: here, and not in xsimd, it is sure to stay as written (float_modes.hpp).
    return Floats((v.data + shift.data) - shift.data);
  }
}

/// Integers |v| < 2^22 in floats, less `first`, as int32.
template <class Floats>
auto to_small_int(const Floats& v, std::int32_t first = 0) {
  using Ints = rebind_t<Floats, std::int32_t>;
  const float shift = 12582912.0f;  // 1.5·2^23: the integer lies in the last bits.
  return bits_as<std::int32_t>(v + Floats(shift)) -
         Ints(std::bit_cast<std::int32_t>(shift) + first);
}

/// v, limited to [lo, hi]; NaN stays NaN.
template <class Floats>
Floats clamp_keeping_nan(const Floats& v, const Floats& lo, const Floats& hi) {
  return min_or_second(hi, max_or_second(lo, v));
}

/// The first `count` lanes from memory, the others 0; reads nothing behind them.
template <class Floats>
Floats load_first(const float* from, std::size_t count) {
  alignas(64) float lanes[Floats::size] = {};
  for (std::size_t i = 0; i < count; ++i) lanes[i] = from[i];
  return Floats::load_aligned(lanes);
}

/// The first `count` lanes to memory; writes nothing behind them.
template <class Floats>
void store_first(const Floats& values, float* to, std::size_t count) {
  alignas(64) float lanes[Floats::size];
  values.store_aligned(lanes);
  for (std::size_t i = 0; i < count; ++i) to[i] = lanes[i];
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
