// How an architecture multiplies codes: x has unsigned bytes, weights have signed ones, four of
// each in a 32-bit lane, which holds one sum. Two ways, of which an isa/ file chooses one and adds
// its block sizes.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../config.hpp"
#include "../simd/signed_bytes.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Every lane the four bytes, or two halves, at `from`.
template <class Ints, class T>
[[gnu::always_inline]] inline Ints broadcast_word(const T* from) {
  std::int32_t word;
  std::memcpy(&word, from, sizeof(word));
  return Ints(word);
}

/// The same sums, of which the compiler knows nothing but the register: otherwise g++ adds products
/// to each other first, more of them than there are registers, and copies sums between rounds.
template <class Sums, class Register>
[[gnu::always_inline]] inline Sums added_in_order(Register sums) {
#if defined(__GNUC__) && defined(__x86_64__)
  asm("" : "+v"(sums));
#endif
  return sums;
}

/// A unit that multiplies bytes:
///   Sums              a vector of 32-bit sums
///   input_bias        what the unit wants subtracted from inputs: 0, or 128 where both of its
///                     operands are signed
///   dot(x, w, sums)   sums + x₀w₀ + x₁w₁ + x₂w₂ + x₃w₃ in every lane
///   four_inputs(x)    the four bytes at x in the form that dot() takes; without it, a vector with
///                     them in every lane
template <class U>
concept ByteUnit = requires(const typename U::Sums& sums, const std::uint8_t* x) {
  { U::input_bias } -> std::convertible_to<int>;
  requires requires { U::dot(sums, sums, sums); } || requires {
    U::dot(U::four_inputs(x), sums, sums);
  };
};

/// The products of codes of such a unit.
template <ByteUnit Unit>
struct ByteDot : Unit {
  using Input = std::uint8_t;
  using Weights = typename Unit::Sums;
  static constexpr std::size_t parts = 1;

  template <std::size_t Part>
  [[gnu::always_inline]] static Weights weights(const Weights& bytes) {
    return bytes;
  }
  template <std::size_t Part>
  [[gnu::always_inline]] static auto input(const Input* x) {
    if constexpr (requires { Unit::four_inputs(x); }) {
      return Unit::four_inputs(x);
    } else {
      return broadcast_word<Weights>(x);
    }
  }
  template <class Inputs>
  [[gnu::always_inline]] static Weights multiply_add(const Inputs& input, const Weights& weights,
                                                     const Weights& sums) {
    return Unit::dot(input, weights, sums);
  }
  /// Each weight's magnitude, and its rounded_square() (kernels/sum_planes.hpp).
  [[gnu::always_inline]] static Weights magnitudes(const Weights& weights) {
    return byte_magnitudes(weights);
  }
  [[gnu::always_inline]] static Weights rounded_squares(const Weights& weights) {
    return rounded_byte_squares(weights);
  }

  /// Codes in the form that input() reads; `count` is a multiple of 64.
  static void prepare(const std::uint8_t* codes, std::size_t count, Input* to) {
    if constexpr (Unit::input_bias == 0) {
      if (to != codes && count != 0) std::memcpy(to, codes, count);
    } else {
      for (std::size_t i = 0; i < count; ++i) to[i] = codes[i] ^ Unit::input_bias;
    }
  }
};

/// A unit that multiplies 16-bit integers:
///   Sums              a vector of 32-bit sums
///   dot(x, w, sums)   sums + x₀w₀ + x₁w₁ in every lane
///   widen(codes, to)  widened_codes bytes as 16-bit integers, fours in the order 0, 2, 1, 3
template <class U>
concept PairUnit = requires(const typename U::Sums& sums, const std::uint8_t* codes,
                            std::int16_t* to) {
  U::dot(sums, sums, sums);
  { U::widened_codes } -> std::convertible_to<std::size_t>;
  U::widen(codes, to);
};

/// The products of codes of such a unit. Bytes would do with fewer instructions on x86 (pmaddubsw),
/// but its 16-bit sums saturate.
template <PairUnit Unit>
struct PairDot : Unit {
  using Input = std::int16_t;  ///< in the order 0, 2, 1, 3
  using Weights = typename Unit::Sums;
  static constexpr std::size_t parts = 2;
  static constexpr int input_bias = 0;

  template <std::size_t Part>
  [[gnu::always_inline]] static Weights weights(const Weights& bytes) {
    // The signed bytes 0 and 2, or 1 and 3, of every lane as 16-bit integers.
    const auto halves = bits_as<std::int16_t>(bytes);
    if constexpr (Part == 0) {
      return bits_as<std::int32_t>((halves << 8) >> 8);
    } else {
      return bits_as<std::int32_t>(halves >> 8);
    }
  }
  template <std::size_t Part>
  [[gnu::always_inline]] static Weights input(const Input* x) {
    return broadcast_word<Weights>(x + 2 * Part);
  }
  [[gnu::always_inline]] static Weights multiply_add(const Weights& input, const Weights& weights,
                                                     const Weights& sums) {
    return Unit::dot(input, weights, sums);
  }
  /// Each weight's magnitude, and its rounded_square() (kernels/sum_planes.hpp).
  [[gnu::always_inline]] static Weights magnitudes(const Weights& weights) {
    return bits_as<std::int32_t>(abs(bits_as<std::int16_t>(weights)));
  }
  [[gnu::always_inline]] static Weights rounded_squares(const Weights& weights) {
    return bits_as<std::int32_t>(rounded_half_squares(bits_as<std::int16_t>(weights)));
  }

  /// Codes in the form that input() reads; `count` is a multiple of 64.
  static void prepare(const std::uint8_t* codes, std::size_t count, Input* to) {
    for (std::size_t i = 0; i < count; i += Unit::widened_codes) Unit::widen(codes + i, to + i);
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
