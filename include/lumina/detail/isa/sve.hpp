// SVE of a fixed vector length (-msve-vector-bits=256 or 512): 32 registers of 8 or 16 floats.
//
// The vectors are the library's own: xsimd knows SVE from series 11 on only.
#pragma once

#include <arm_sve.h>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../simd/vectors.hpp"
#include "defaults.hpp"
#include "integer_dot.hpp"
#include "neon.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

inline constexpr std::size_t kSveBytes = __ARM_FEATURE_SVE_BITS / 8;

// A register with elements of type T. (The compiler has no template for its types; with the
// attribute they are members and elements of arrays like any other, and have operators.)
template <class T>
struct SveRegister;
#define LUMINA_SVE_REGISTER(T, sizeless)                                                \
  template <>                                                                           \
  struct SveRegister<T> {                                                               \
    typedef sizeless type __attribute__((arm_sve_vector_bits(__ARM_FEATURE_SVE_BITS))); \
  }
LUMINA_SVE_REGISTER(bool, svbool_t);
LUMINA_SVE_REGISTER(float, svfloat32_t);
LUMINA_SVE_REGISTER(std::int8_t, svint8_t);
LUMINA_SVE_REGISTER(std::int32_t, svint32_t);
LUMINA_SVE_REGISTER(std::uint32_t, svuint32_t);
LUMINA_SVE_REGISTER(std::uint64_t, svuint64_t);
#undef LUMINA_SVE_REGISTER

/// The truth values of lanes.
struct SveMask {
  using Register = SveRegister<bool>::type;
  Register data;

  friend SveMask operator&(const SveMask& a, const SveMask& b) {
    return {svand_z(svptrue_b8(), a.data, b.data)};
  }
};

/// The part of xsimd::batch's interface that the library uses (portable_batch.hpp).
template <class T>
struct SveBatch {
  using value_type = T;
  using Register = typename SveRegister<T>::type;
  static constexpr std::size_t size = kSveBytes / sizeof(T);

  Register data;

  SveBatch() = default;
  [[gnu::always_inline]] SveBatch(Register lanes) : data(lanes) {}
  [[gnu::always_inline]] SveBatch(T value) : data(broadcast(value)) {}

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
    return {svcmplt(svptrue_b8(), a.data, b.data)};
  }
  friend SveMask operator<=(const SveBatch& a, const SveBatch& b) {
    return {svcmple(svptrue_b8(), a.data, b.data)};
  }
  friend SveMask operator>(const SveBatch& a, const SveBatch& b) { return b < a; }
  friend SveMask operator>=(const SveBatch& a, const SveBatch& b) { return b <= a; }
  /// Whether the mask of a comparison of such vectors is true in all lanes.
  friend SveBatch select(const SveMask& mask, const SveBatch& a, const SveBatch& b) {
    return Register(svsel(mask.data, a.data, b.data));
  }
  friend SveBatch min(const SveBatch& a, const SveBatch& b) { return select(b < a, b, a); }
  friend SveBatch max(const SveBatch& a, const SveBatch& b) { return select(a < b, b, a); }
  friend SveBatch abs(const SveBatch& a) { return Register(svabs_x(svptrue_b8(), a.data)); }

 private:
  [[gnu::always_inline]] static Register broadcast(T value) {
    if constexpr (std::is_same_v<T, float>) {
      return svdup_n_f32(value);
    } else if constexpr (std::is_same_v<T, std::int32_t>) {
      return svdup_n_s32(value);
    } else if constexpr (std::is_same_v<T, std::uint32_t>) {
      return svdup_n_u32(value);
    } else {
      static_assert(std::is_same_v<T, std::uint64_t>);
      return svdup_n_u64(value);
    }
  }
};

template <class T, class U>
struct Rebind<SveBatch<T>, U> {
  using type = SveBatch<U>;
};

template <class To, class From>
SveBatch<To> bits_as(const SveBatch<From>& from) {
  return std::bit_cast<SveBatch<To>>(from);
}

/// Only of comparisons of floats: each lane's truth value is the first bit of four.
inline bool all(const SveMask& mask) {
  return !svptest_any(svptrue_b32(), svnot_z(svptrue_b32(), mask.data));
}

inline SveBatch<float> to_float(const SveBatch<std::int32_t>& from) {
  return SveBatch<float>::Register(svcvt_f32_x(svptrue_b32(), from.data));
}

inline SveBatch<float> max_or_second(const SveBatch<float>& a, const SveBatch<float>& b) {
  return select(a > b, a, b);
}
inline SveBatch<float> min_or_second(const SveBatch<float>& a, const SveBatch<float>& b) {
  return select(a < b, a, b);
}

inline SveBatch<float> fused_multiply_add(const SveBatch<float>& a, const SveBatch<float>& b,
                                          const SveBatch<float>& c) {
  return SveBatch<float>::Register(svmla_x(svptrue_b32(), c.data, a.data, b.data));
}
inline SveBatch<float> chain_multiply_add(const SveBatch<float>& a, const SveBatch<float>& b,
                                          const SveBatch<float>& c) {
  return fused_multiply_add(a, b, c);
}
inline SveBatch<float> product(const SveBatch<float>& a, const SveBatch<float>& b) {
  return fused_multiply_add(a, b, SveBatch<float>(-0.0f));
}
inline SveBatch<float> quotient(const SveBatch<float>& a, const SveBatch<float>& b) {
  return SveBatch<float>::Register(svdiv_x(svptrue_b32(), a.data, b.data));
}
inline SveBatch<float> square_root(const SveBatch<float>& a) {
  return SveBatch<float>::Register(svsqrt_x(svptrue_b32(), a.data));
}

/// Codes as signed bytes, the inputs' less 128.
struct SveCodeUnit {
  using Sums = SveBatch<std::int32_t>;
  static constexpr int input_bias = 128;

  [[gnu::always_inline]] static Sums dot(const Sums& x, const Sums& w, const Sums& sums) {
    return Sums::Register(
        svdot(sums.data, svreinterpret_s8(svint32_t(x.data)), svreinterpret_s8(svint32_t(w.data))));
  }
};

struct Sve : ArchDefaults {
  static constexpr const char* name = kSveBytes == 64 ? "sve512" : "sve256";
  template <class T>
  using Batch = SveBatch<T>;
  using Quad = Neon::Quad;  ///< four floats

  // 12 × 2 vectors of sums, 2 with weights, 1 with an input.
  static constexpr std::size_t vector_floats = kSveBytes / sizeof(float);
  static constexpr Blocks blocks{
      .tile_widths = {{3, 8 * vector_floats}, {6, 4 * vector_floats}, {12, 2 * vector_floats}},
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
  static void store_code_bytes(const std::array<Batch<std::int32_t>, 4>& codes, std::uint8_t* to) {
    for (std::size_t i = 0; i < 4; ++i) store_codes(codes[i], to + i * codes[i].size);
  }

  /// Lane-wise product modulo 2^64.
  static Batch<std::uint64_t> multiply_low(const Batch<std::uint64_t>& a, std::uint64_t b) {
    return a * Batch<std::uint64_t>(b);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
