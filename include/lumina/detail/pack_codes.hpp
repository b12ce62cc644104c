// Panels of codes: 32 outputs side by side as in pack.hpp, in 32-bit words. A word holds one
// output's codes of 4, 8 or 16 neighbouring inputs, stored in 8, 4 or 2 bits: panel[step][column].
// Byte i of a word has, from its lowest bits up, the codes of inputs i, 4 + i, 8 + i …, so that one
// shift and one mask make four signed bytes of them (CodeProducts::unpack). Free places hold 0. The
// same on every instruction set.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../config.hpp"
#include "../matrix.hpp"
#include "../quantizer.hpp"
#include "arch/native.hpp"
#include "pack.hpp"
#include "products.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// In how many bits codes are stored.
constexpr int stored_bits(int bits) { return bits <= 2 ? 2 : bits <= 4 ? 4 : 8; }

/// Coded weights as the engine reads them, whichever number of bits is stored in StoredBits: panels
/// of panel_size words one after the other; each output's scale and sum of codes, filled up with
/// zeros to a multiple of 128.
template <int StoredBits>
struct CodePanels {
  const std::int32_t* words;
  std::size_t panel_size;
  const float* scales;
  const std::int32_t* code_sums;
};

/// One code of a panel.
template <int StoredBits>
constexpr std::int32_t unpack_code(const std::int32_t* panel, std::size_t column, std::size_t k) {
  constexpr std::size_t per_word = kCodesPerWord<StoredBits>;
  const auto word = static_cast<std::uint32_t>(panel[k / per_word * kPanelColumns + column]);
  const std::size_t lowest = k % 4 * 8 + k % per_word / 4 * StoredBits;
  return static_cast<std::int32_t>(word << (32 - StoredBits - lowest)) >> (32 - StoredBits);
}

/// The largest magnitude of `count` floats, as bits: those of Inf and NaN exceed all others.
inline std::uint32_t largest_magnitude_bits(const float* values, std::size_t count) {
  using Floats = Native::Batch<float>;
  using Ints = rebind_t<Floats, std::int32_t>;
  const Ints magnitude(0x7fffffff);
  Ints largest(0);
  std::size_t i = 0;
  for (; i + Floats::size <= count; i += Floats::size) {
    largest = max(largest, bits_as<std::int32_t>(Floats::load_unaligned(values + i)) & magnitude);
  }
  const Floats rest = load_first<Floats>(values + i, count - i);
  largest = max(largest, bits_as<std::int32_t>(rest) & magnitude);
  alignas(kCacheLine) std::int32_t lanes[Ints::size];
  largest.store_aligned(lanes);
  return static_cast<std::uint32_t>(*std::max_element(lanes, lanes + Ints::size));
}

/// Four bytes of codes, g-th group of a word, in their places.
template <int StoredBits>
constexpr std::uint32_t place_group(std::uint32_t bytes, std::size_t group) {
  constexpr std::uint32_t kField = (1u << StoredBits) - 1u;
  return (bytes & kField * 0x01010101u) << (group * StoredBits);
}

/// Output rows [first, first + count) of w, count ≤ 32, to one panel; and each one's sum of codes.
template <int Bits>
void pack_code_panel(MatrixView<const float> w, std::size_t first, std::size_t count,
                     const float* scales, std::int32_t* panel, std::int32_t* code_sums) {
  using Floats = Native::Batch<float>;
  using Ints = rebind_t<Floats, std::int32_t>;
  constexpr int kStored = stored_bits(Bits);
  constexpr std::size_t kBlock = 64;  // inputs at a time: few enough to meet again in the L1 cache
  constexpr std::size_t kGroups = kCodesPerWord<kStored> / 4;
  const Floats top(static_cast<float>((1 << (Bits - 1)) - 1));

  std::fill(code_sums, code_sums + kPanelColumns, 0);
  for (std::size_t begin = 0; begin < w.cols(); begin += kBlock) {
    const std::size_t inputs = std::min(kBlock, w.cols() - begin);
    const std::size_t steps = (inputs + 4 * kGroups - 1) / (4 * kGroups);
    std::int32_t* const words = panel + begin / (4 * kGroups) * kPanelColumns;
    for (std::size_t column = 0; column < kPanelColumns; ++column) {
      alignas(kCacheLine) std::uint8_t bytes[kBlock] = {};
      if (column < count && scales[column] != 0.0f) {
        const float* const row = w.row(first + column) + begin;
        const Floats scale(scales[column]);
        Ints sum(0);
        for (std::size_t k = 0; k < inputs; k += Floats::size) {
          const Floats values = k + Floats::size <= inputs
                                    ? Floats::load_unaligned(row + k)
                                    : load_first<Floats>(row + k, inputs - k);
          const Ints codes = to_small_int(symmetric_code(values, scale, top));
          sum = sum + codes;
          Native::store_codes(codes & Ints(0xff), bytes + k);
        }
        alignas(kCacheLine) std::int32_t lanes[Ints::size];
        sum.store_aligned(lanes);
        for (const std::int32_t lane : lanes) code_sums[column] += lane;
      }
      for (std::size_t step = 0; step < steps; ++step) {
        std::uint32_t word = 0;
        for (std::size_t group = 0; group < kGroups; ++group) {
          std::uint32_t four;
          std::memcpy(&four, bytes + (step * kGroups + group) * 4, sizeof(four));
          word |= place_group<kStored>(four, group);
        }
        words[step * kPanelColumns + column] = static_cast<std::int32_t>(word);
      }
    }
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
