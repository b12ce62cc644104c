// xsimd's vectors, of the series 8 to 14, whose interfaces differ: the vocabulary of vectors.hpp.
#pragma once

#include <cstdint>

#include "../../config.hpp"
#include "vectors.hpp"

// False alarms inside of g++'s intrinsics, see vectors.hpp: for their headers, which isa/ files get
// from here.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

LUMINA_FLOATS_AS_WRITTEN
#include <xsimd/xsimd.hpp>
#if XSIMD_VERSION_MAJOR < 8 || (XSIMD_VERSION_MAJOR == 8 && XSIMD_VERSION_MINOR < 1)
#error "lumina: this xsimd is older than 8.1. Use a newer one, or define LUMINA_NO_XSIMD."
#endif

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What xsimd does right on most machines. An isa/ file that has something to set right or to do
/// better specialises VectorOperations and derives from this.
template <class T, class A>
struct XsimdOperations : LaneOperations<xsimd::batch<T, A>> {
  using Batch = xsimd::batch<T, A>;
  template <class U>
  using Rebound = xsimd::batch<U, A>;

  template <class To>
  static Rebound<To> bits_as(const Batch& from) {
#if XSIMD_VERSION_MAJOR >= 11
    return xsimd::bitwise_cast<To>(from);
#else
    return xsimd::bitwise_cast<Rebound<To>>(from);
#endif
  }
  static Rebound<float> nearest_floats(const Batch& from) { return xsimd::batch_cast<float>(from); }

  // xsimd 14 turned the order of these two round, to agree with std::max and std::min.
  static Batch max_or_second(const Batch& a, const Batch& b) {
#if XSIMD_VERSION_MAJOR >= 14
    return xsimd::max(b, a);
#else
    return xsimd::max(a, b);
#endif
  }
  static Batch min_or_second(const Batch& a, const Batch& b) {
#if XSIMD_VERSION_MAJOR >= 14
    return xsimd::min(b, a);
#else
    return xsimd::min(a, b);
#endif
  }

  static Batch fused_multiply_add(const Batch& a, const Batch& b, const Batch& c) {
    return xsimd::fma(a, b, c);
  }
  static Batch chain_multiply_add(const Batch& a, const Batch& b, const Batch& c) {
    return VectorOperations<Batch>::fused_multiply_add(a, b, c);
  }
  static Batch product(const Batch& a, const Batch& b) {
    return VectorOperations<Batch>::fused_multiply_add(a, b, Batch(-0.0f));
  }
  static Batch quotient(const Batch& a, const Batch& b) { return a / b; }
  static Batch square_root(const Batch& a) { return xsimd::sqrt(a); }
  static Batch round_half_even(const Batch& v) {
    // In registers: here, and not in xsimd, it is sure to stay as written (float_modes.hpp).
    const Batch shift(kRoundingShift);
    return Batch((v.data + shift.data) - shift.data);
  }
};

template <class T, class A>
struct VectorOperations<xsimd::batch<T, A>> : XsimdOperations<T, A> {};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
