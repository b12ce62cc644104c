// What the planes of extra sums (kernels/sum_planes.hpp) have in place of codes of x.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

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
/// r = max(|lo|, |hi|). In float, every operation rounded by itself:
///   x̂ = fma(code, step / r, offset / r), code with its sign
///   magnitude = rint(|x̂|·255), square = rint((x̂·x̂)·255), ties to even: 0 … 255
class InputPlanes {
 public:
  explicit constexpr InputPlanes(const UniformQuantizer& dac) : lowest_(dac.lowest()) {
    const float below = dac.lo() < 0.0f ? -dac.lo() : dac.lo();
    const float above = dac.hi() < 0.0f ? -dac.hi() : dac.hi();
    const float range = below < above ? above : below;
    unit_ = dac.step() / range;
    base_ = dac.offset() / range;
  }

  /// `code` is counted from the lowest one, as UniformQuantizer::encode has it.
  constexpr std::uint32_t magnitude(std::uint32_t code) const {
    const float x = position(code);
    return in_8_bits(x < 0.0f ? -x : x);
  }
  constexpr std::uint32_t square(std::uint32_t code) const {
    const float x = position(code);
    return in_8_bits(product(x, x));
  }

  /// The same for a block of codes: those of the two that are wanted, and to `square_sums`, lane by
  /// lane, the squares.
  template <class Floats, bool kMagnitudes, bool kSquares>
  [[gnu::always_inline]] void make(const ByteBlock& codes, ByteBlock& magnitudes,
                                   ByteBlock& squares,
                                   rebind_t<Floats, std::int32_t>& square_sums) const {
    using Ints = rebind_t<Floats, std::int32_t>;
    const Ints lowest(lowest_), byte(0xff);
    const Floats unit(unit_), base(base_), top(255.0f);
    for (std::size_t i = 0; i < ByteBlock::size / 4; i += Ints::size) {
      const Ints words = Ints::load_aligned(codes.words + i);
      Ints four_magnitudes(0), four_squares(0);
      unroll<4>([&](auto j) __attribute__((always_inline)) {
        constexpr int kShift = 8 * static_cast<int>(j);
        const Floats code = nearest_floats(((words >> kShift) & byte) + lowest);
        const Floats x = fused_multiply_add(code, unit, base);
        if constexpr (kMagnitudes) {
          const Ints magnitude = to_small_int(product(abs(x), top));  // and rounds
          four_magnitudes = four_magnitudes | (magnitude << kShift);
        }
        if constexpr (kSquares) {
          const Ints square = to_small_int(product(product(x, x), top));
          square_sums = square_sums + square;
          four_squares = four_squares | (square << kShift);
        }
      });
      if constexpr (kMagnitudes) four_magnitudes.store_aligned(magnitudes.words + i);
      if constexpr (kSquares) four_squares.store_aligned(squares.words + i);
    }
  }

 private:
  constexpr float position(std::uint32_t code) const {
    return fused_multiply_add(static_cast<float>(static_cast<std::int32_t>(code) + lowest_), unit_,
                              base_);
  }
  static constexpr std::uint32_t in_8_bits(float v) {
    return static_cast<std::uint32_t>(round_half_even(product(v, 255.0f)));
  }

  std::int32_t lowest_;
  float unit_ = 0.0f;
  float base_ = 0.0f;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
