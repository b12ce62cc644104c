// What the planes of extra sums (kernels/sum_planes.hpp) have in place of codes of x.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../quantizer.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/scalar_math.hpp"
#include "../base/unroll.hpp"
#include "../simd/vectors.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A cache line of bytes, four to a word.
struct ByteBlock {
  static constexpr std::size_t size = kCacheLine;
  alignas(kCacheLine) std::int32_t words[size / 4];

  std::uint8_t* bytes() { return reinterpret_cast<std::uint8_t*>(words); }
  const std::uint8_t* bytes() const { return reinterpret_cast<const std::uint8_t*>(words); }
};

/// |x̂| and x̂² in 8 bits, of the value x that a code of the DAC stands for: x̂ = x / r in [−1, 1],
/// r = max(|lo|, |hi|). With the code counted from the lowest one, which stands for x₀,
///   magnitude = rint(|fma(code, 255·step / r, 255·x₀ / r)|)
///   square = rint(t·t), t = fma(code, √255·step / r, √255·x₀ / r)
/// with factors in double, rounded to float; t·t is rounded once, to an integer, ties to even. Both
/// are 0 … 255, and 0 where the code stands for 0.
///
/// And x̂ by its position among an array's n inputs, in 8 bits with a sign, plus kPositionBias:
///   position = rint(fma(code, 127·step / r, 127·x₀ / r)·p),   p = fma(−u, u, 1), u = fma(k, −1/n,
///   1)
/// with the product rounded: −127 … 127.
class InputPlanes {
 public:
  explicit constexpr InputPlanes(const UniformQuantizer& dac) {
    constexpr double kRootOf255 = 15.968719422671311;
    const double below = static_cast<double>(dac.lo()), above = static_cast<double>(dac.hi());
    const double range = -below < above ? (below < above ? above : below) : -below;
    const double unit = static_cast<double>(dac.step()) / range;
    const double first = (static_cast<double>(dac.offset()) +
                          static_cast<double>(dac.lowest()) * static_cast<double>(dac.step())) /
                         range;
    magnitude_ = {static_cast<float>(255.0 * unit), static_cast<float>(255.0 * first)};
    root_ = {static_cast<float>(kRootOf255 * unit), static_cast<float>(kRootOf255 * first)};
    signed_ = {static_cast<float>(127.0 * unit), static_cast<float>(127.0 * first)};
  }

  /// `code` is counted from the lowest one, as UniformQuantizer::encode has it.
  constexpr std::uint32_t magnitude(std::uint32_t code) const {
    const float v = magnitude_.at(static_cast<float>(code));
    return static_cast<std::uint32_t>(round_half_even(v < 0.0f ? -v : v));
  }
  constexpr std::uint32_t square(std::uint32_t code) const {
    const float t = root_.at(static_cast<float>(code));
    return std::bit_cast<std::uint32_t>(fused_multiply_add(t, t, kRoundingShift)) - kExcess;
  }

  /// Of input k of an array's n, plus kPositionBias.
  constexpr std::uint32_t position(std::uint32_t code, std::size_t k, std::size_t n) const {
    const float far =
        fused_multiply_add(static_cast<float>(k), -1.0f / static_cast<float>(n), 1.0f);
    const float weight = fused_multiply_add(-far, far, 1.0f);
    const float v = product(signed_.at(static_cast<float>(code)), weight) + kRoundingShift;
    return std::bit_cast<std::uint32_t>(v) - (kExcess - kPositionBias);
  }

  /// The same for a block of codes: those of the two that are wanted, and to `square_sums`, lane by
  /// lane and modulo 2^32, each square plus kExcess.
  template <class Floats, bool kMagnitudes, bool kSquares>
  [[gnu::always_inline]] void make(const ByteBlock& codes, ByteBlock& magnitudes,
                                   ByteBlock& squares,
                                   rebind_t<Floats, std::uint32_t>& square_sums) const {
    using Ints = rebind_t<Floats, std::int32_t>;
    using Words = rebind_t<Floats, std::uint32_t>;
    const Floats shift(kRoundingShift);
    // Four numbers plus kExcess, each 8 bits higher than the one before.
    const Words excess(kExcess * 0x01010101u);
    for (std::size_t i = 0; i < ByteBlock::size / 4; i += Ints::size) {
      const Words words = bits_as<std::uint32_t>(Ints::load_aligned(codes.words + i));
      Words four_magnitudes(0u), four_squares(0u);
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        constexpr int kShift = 8 * static_cast<int>(j);
        const Words byte = j == 3 ? words >> 24 : (words >> kShift) & Words(0xffu);
        const Floats code = nearest_floats(bits_as<std::int32_t>(byte));
        if constexpr (kMagnitudes) {
          const Floats v = abs(magnitude_.template lanes_at<Floats>(code)) + shift;
          four_magnitudes = four_magnitudes + (bits_as<std::uint32_t>(v) << kShift);
        }
        if constexpr (kSquares) {
          const Floats t = root_.template lanes_at<Floats>(code);
          const Words square = bits_as<std::uint32_t>(fused_multiply_add(t, t, shift));
          square_sums = square_sums + square;
          four_squares = four_squares + (square << kShift);
        }
      });
      if constexpr (kMagnitudes) {
        bits_as<std::int32_t>(four_magnitudes - excess).store_aligned(magnitudes.words + i);
      }
      if constexpr (kSquares) {
        bits_as<std::int32_t>(four_squares - excess).store_aligned(squares.words + i);
      }
    }
  }
  /// Of a block of codes those of inputs k, k + 1, … of an array's n.
  template <class Floats>
  [[gnu::always_inline]] void make_positions(const ByteBlock& codes, std::size_t k, std::size_t n,
                                             ByteBlock& positions) const {
    using Ints = rebind_t<Floats, std::int32_t>;
    using Words = rebind_t<Floats, std::uint32_t>;
    static_assert(Floats::size <= 16);
    const Floats shift(kRoundingShift), one(1.0f), down(-1.0f / static_cast<float>(n));
    // Four numbers plus kExcess − kPositionBias, each 8 bits higher than the one before.
    const Words excess((kExcess - kPositionBias) * 0x01010101u);
    for (std::size_t i = 0; i < ByteBlock::size / 4; i += Ints::size) {
      const Words words = bits_as<std::uint32_t>(Ints::load_aligned(codes.words + i));
      Words four(0u);
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        constexpr int kShift = 8 * static_cast<int>(j);
        const Words byte = j == 3 ? words >> 24 : (words >> kShift) & Words(0xffu);
        const Floats code = nearest_floats(bits_as<std::int32_t>(byte));
        const Floats input =
            Floats::load_aligned(kInputOfLane) + Floats(static_cast<float>(k + 4 * i + j));
        const Floats u = fused_multiply_add(input, down, one);
        const Floats weight = fused_multiply_add(Floats(0.0f) - u, u, one);
        const Floats v = product(signed_.template lanes_at<Floats>(code), weight) + shift;
        four = four + (bits_as<std::uint32_t>(v) << kShift);
      });
      bits_as<std::int32_t>(four - excess).store_aligned(positions.words + i);
    }
  }
  static constexpr std::uint32_t kPositionBias = 128;
  static constexpr auto kExcess = std::bit_cast<std::uint32_t>(kRoundingShift);

 private:
  /// Of the first bytes of words.
  alignas(kCacheLine) static constexpr float kInputOfLane[16] = {0,  4,  8,  12, 16, 20, 24, 28,
                                                                 32, 36, 40, 44, 48, 52, 56, 60};

  /// Of codes.
  struct Line {
    float unit, first;

    constexpr float at(float code) const { return fused_multiply_add(code, unit, first); }
    template <class Floats>
    [[gnu::always_inline]] Floats lanes_at(const Floats& code) const {
      return fused_multiply_add(code, Floats(unit), Floats(first));
    }
  };
  Line magnitude_{}, root_{}, signed_{};
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
