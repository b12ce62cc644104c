// SVE of a vector length that the compiler knows (-msve-vector-bits=256 or 512): 32 registers of 8
// or 16 floats. The vectors are the library's own, for xsimd has none for SVE before series 11.
#pragma once

#include <arm_sve.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../simd/vectors.hpp"
#include "defaults.hpp"
#include "integer_dot.hpp"
#include "neon.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kSveBytes = __ARM_FEATURE_SVE_BITS / 8;

/// The truth values of 32-bit lanes.
struct SveMask {
  typedef svbool_t Register __attribute__((arm_sve_vector_bits(__ARM_FEATURE_SVE_BITS)));
  Register data;

  friend SveMask operator&(const SveMask& a, const SveMask& b) {
    return {svand_z(svptrue_b32(), a.data, b.data)};
  }
  friend bool all(const SveMask& mask) {
    return !svptest_any(svptrue_b32(), svnot_z(svptrue_b32(), mask.data));
  }
};

/// The part of xsimd::batch's interface that the library uses (simd/portable_batch.hpp).
template <class T>
struct SveBatch {
  using value_type = T;
  /// The compiler's own vectors of this size are SVE's.
  typedef T Register __attribute__((vector_size(kSveBytes)));
  static constexpr std::size_t size = kSveBytes / sizeof(T);

  Register data;

  SveBatch() = default;
  [[gnu::always_inline]] SveBatch(const Register& lanes) : data(lanes) {}
  [[gnu::always_inline]] SveBatch(T value) : data(value - Register{}) {}  // −0 and NaN too

  [[gnu::always_inline]] static SveBatch load_unaligned(const T* from) {
    return Register(svld1(svptrue_b8(), from));
  }
  [[gnu::always_inline]] static SveBatch load_aligned(const T* from) {
    return load_unaligned(from);
  }
  [[gnu::always_inline]] void store_unaligned(T* to) const { svst1(svptrue_b8(), to, data); }
  [[gnu::always_inline]] void store_aligned(T* to) const { store_unaligned(to); }

  T get(std::size_t i) const { return data[i]; }

  friend SveBatch operator+(const SveBatch& a, const SveBatch& b) { return a.data + b.data; }
  friend SveBatch operator-(const SveBatch& a, const SveBatch& b) { return a.data - b.data; }
  friend SveBatch operator*(const SveBatch& a, const SveBatch& b) { return a.data * b.data; }
  friend SveBatch operator/(const SveBatch& a, const SveBatch& b) { return a.data / b.data; }
  friend SveBatch operator&(const SveBatch& a, const SveBatch& b) { return a.data & b.data; }
  friend SveBatch operator|(const SveBatch& a, const SveBatch& b) { return a.data | b.data; }
  friend SveBatch operator^(const SveBatch& a, const SveBatch& b) { return a.data ^ b.data; }
  friend SveBatch operator<<(const SveBatch& a, int bits) { return a.data << T(bits); }
  friend SveBatch operator>>(const SveBatch& a, int bits) { return a.data >> T(bits); }
  friend SveBatch operator-(const SveBatch& a) { return -a.data; }

  friend SveMask operator<(const SveBatch& a, const SveBatch& b) {
    return {svcmplt(svptrue_b32(), a.data, b.data)};
  }
  friend SveMask operator<=(const SveBatch& a, const SveBatch& b) {
    return {svcmple(svptrue_b32(), a.data, b.data)};
  }
  friend SveMask operator>(const SveBatch& a, const SveBatch& b) { return b < a; }
  friend SveMask operator>=(const SveBatch& a, const SveBatch& b) { return b <= a; }
  friend SveBatch select(const SveMask& mask, const SveBatch& a, const SveBatch& b) {
    return Register(svsel(mask.data, a.data, b.data));
  }
  friend SveBatch min(const SveBatch& a, const SveBatch& b) { return select(b < a, b, a); }
  friend SveBatch max(const SveBatch& a, const SveBatch& b) { return select(a < b, b, a); }
  friend SveBatch abs(const SveBatch& a) { return Register(svabs_x(svptrue_b8(), a.data)); }
};

template <class T>
struct VectorOperations<SveBatch<T>> : LaneOperations<SveBatch<T>> {
  using Batch = SveBatch<T>;
  using Register = typename Batch::Register;
  template <class U>
  using Rebound = SveBatch<U>;

  template <class To>
  static Rebound<To> bits_as(const Batch& from) {
    return std::bit_cast<Rebound<To>>(from);
  }
  static SveBatch<float> nearest_floats(const Batch& from) {
    return SveBatch<float>::Register(svcvt_f32_x(svptrue_b32(), from.data));
  }

  static Batch max_or_second(const Batch& a, const Batch& b) { return select(a > b, a, b); }
  static Batch min_or_second(const Batch& a, const Batch& b) { return select(a < b, a, b); }

  static Batch fused_multiply_add(const Batch& a, const Batch& b, const Batch& c) {
    return Register(svmla_x(svptrue_b32(), c.data, a.data, b.data));
  }
  /// Written out for g++: where many sums wait, it takes the form of the instruction that
  /// overwrites a factor, has too few registers then, and sums on the stack.
  static Batch chain_multiply_add(const Batch& a, const Batch& b, const Batch& c) {
#if defined(__clang__)
    return fused_multiply_add(a, b, c);
#else
    Register sum = c.data;
    asm("fmla %0.s, %1/m, %2.s, %3.s" : "+w"(sum) : "Upl"(svptrue_b32()), "w"(a.data), "w"(b.data));
    return sum;
#endif
  }
  static Batch product(const Batch& a, const Batch& b) {
    return fused_multiply_add(a, b, Batch(-0.0f));
  }
  static Batch quotient(const Batch& a, const Batch& b) { return a / b; }
  static Batch square_root(const Batch& a) { return Register(svsqrt_x(svptrue_b32(), a.data)); }
  static Batch round_half_even(const Batch& v) {
    const Batch shift(kRoundingShift);
    return (v + shift) - shift;
  }
};

/// Codes as signed bytes, the inputs' less 128.
struct SveCodeUnit {
  using Sums = SveBatch<std::int32_t>;
  static constexpr int input_bias = 128;

  /// Written out for g++, see chain_multiply_add.
  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    Sums::Register sum = sums.data;
#if defined(__clang__)
    using Bytes = SveBatch<std::int8_t>::Register;
    sum = svdot(sum, std::bit_cast<Bytes>(x.data), std::bit_cast<Bytes>(w.data));
#else
    asm("sdot %0.s, %1.b, %2.b" : "+w"(sum) : "w"(x.data), "w"(w.data));
#endif
    return sum;
  }
};

struct Sve : ArchDefaults {
  static constexpr const char* name = kSveBytes == 64 ? "sve512" : "sve256";
  template <class T>
  using Batch = SveBatch<T>;
  using Quad = Neon::Quad;  ///< four floats

  // At most 24 vectors of sums, 2, 4 or 8 with weights, 1 with an input. Nobody has measured it.
  static constexpr std::size_t lanes = Batch<float>::size;
  static constexpr Blocks blocks{.tile_widths = {{2, 8 * lanes}, {6, 4 * lanes}, {12, 2 * lanes}},
                                 .chunk_tiles = 4};
  struct Codes : ByteDot<SveCodeUnit> {
    static constexpr Blocks blocks = Sve::blocks;
  };
  static constexpr std::size_t epilogue_rows = kSveBytes == 64 ? 4 : 2;

  /// Four neighbouring elements of Column::size rows, turned.
  using Column = Neon::Column;
  static std::array<Column, 4> turned(const float* from, std::size_t row_stride) {
    return Neon::turned(from, row_stride);
  }

  /// The low bytes or halves of the lanes to memory, side by side.
  static void store_codes(const Batch<std::int32_t>& codes, std::uint8_t* to) {
    svst1b(svptrue_b32(), reinterpret_cast<std::int8_t*>(to), codes.data);
  }
  static void store_codes(const Batch<std::int32_t>& codes, std::uint16_t* to) {
    svst1h(svptrue_b32(), reinterpret_cast<std::int16_t*>(to), codes.data);
  }
  /// Four vectors of codes below 256.
  static void store_code_bytes(const std::array<Batch<std::int32_t>, 4>& codes, std::uint8_t* to) {
    for (const Batch<std::int32_t>& four : codes) {
      store_codes(four, to);
      to += four.size;
    }
  }

  /// Lane-wise product modulo 2^64.
  static Batch<std::uint64_t> multiply_low(const Batch<std::uint64_t>& a, std::uint64_t b) {
    return a * Batch<std::uint64_t>(b);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
