// Inputs in digits of few bits: the planes of their codes that arrays of sliced weights take one by
// one.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../quantizer.hpp"
#include "input_planes.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A code q of a DAC, with its sign where it has one, is Σ worth(p)·digit(p) over its planes. A
/// digit has the sign of q (InputSigns::pulses), or none; of two passes the first has the planes of
/// max(q, 0), the second those of max(−q, 0), worth as much with a minus.
class InputDigits {
 public:
  static constexpr std::size_t kMaxPlanes = 14;  ///< two passes of 7

  InputDigits(const Slices& slices, const UniformQuantizer& dac)
      : signs_(dac.is_symmetric()),
        two_passes_(signs_ && slices.signs == InputSigns::two_passes),
        lowest_(dac.lowest()) {
    // Symmetric codes count to 2m.
    const auto all_bits = static_cast<int>(std::bit_width(dac.encode(dac.hi())));
    const int magnitude_bits = all_bits - (signs_ ? 1 : 0);
    bits_ = slices.input_bits == 0 || slices.input_bits > magnitude_bits ? magnitude_bits
                                                                         : slices.input_bits;
    digits_ = static_cast<std::size_t>((magnitude_bits + bits_ - 1) / bits_);
  }

  std::size_t planes() const { return digits_ * (two_passes_ ? 2 : 1); }
  float worth(std::size_t plane) const {
    const auto shifted =
        static_cast<float>(1 << (static_cast<std::size_t>(bits_) * (plane % digits_)));
    return plane < digits_ ? shifted : -shifted;
  }
  std::int32_t largest() const { return (1 << bits_) - 1; }
  /// Where digits have signs, minus the largest one.
  std::int32_t lowest() const { return signs_ && !two_passes_ ? -largest() : 0; }
  /// The converter whose codes the digits are, of x̂ = digit / largest().
  RuntimeQuantizer dac() const {
    const auto limit = static_cast<float>(largest());
    if (lowest() != 0) return RuntimeQuantizer::symmetric(bits_ + 1, limit);
    return {bits_, 0.0f, limit};
  }

  /// A plane's digits of a block of codes, both counted from the lowest one.
  void make(std::size_t plane, const ByteBlock& codes, ByteBlock& digits) const {
    const int shift = bits_ * static_cast<int>(plane % digits_);
    const int mask = largest(), below = lowest();
    const std::uint8_t* const from = codes.bytes();
    std::uint8_t* const to = digits.bytes();
    if (!signs_) {
      for (std::size_t i = 0; i < ByteBlock::size; ++i) {
        to[i] = static_cast<std::uint8_t>(from[i] >> shift & mask);
      }
    } else if (two_passes_) {
      const int sign = plane < digits_ ? 1 : -1;
      for (std::size_t i = 0; i < ByteBlock::size; ++i) {
        const int own = sign * (from[i] + lowest_);
        to[i] = static_cast<std::uint8_t>((own > 0 ? own : 0) >> shift & mask);
      }
    } else {
      for (std::size_t i = 0; i < ByteBlock::size; ++i) {
        const int code = from[i] + lowest_;
        const int digit = (code < 0 ? -code : code) >> shift & mask;
        to[i] = static_cast<std::uint8_t>((code < 0 ? -digit : digit) - below);
      }
    }
  }

 private:
  bool signs_, two_passes_;
  std::int32_t lowest_;
  int bits_ = 0;
  std::size_t digits_ = 0;
};

/// Rows in front of arrays (array_rows.hpp) that come in planes of digits.
template <class Rows>
concept RowsOfDigits = requires(const Rows& rows) {
  { rows.digits() } -> std::convertible_to<InputDigits>;
};
template <class Rows>
constexpr std::size_t digit_planes_of([[maybe_unused]] const Rows& rows) {
  if constexpr (RowsOfDigits<Rows>) {
    return rows.digits().planes();
  } else {
    return 1;
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
