// How codes of weights lie in memory: in panels of 32 outputs side by side, as floats do, in 32-bit
// words. A word holds one output's codes of 4, 8 or 16 neighbouring inputs, stored in 8, 4 or 2
// bits: panel[step][column]. Byte i of a word has, from its lowest bits up, the codes of inputs i,
// 4 + i, 8 + i …, so that one shift and one mask make four signed bytes of them (CodeDot::unpack).
// Free places hold 0. The same on every instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/range.hpp"
#include "float_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Inputs that four-byte words of weights with StoredBits bits each cover.
template <int StoredBits>
inline constexpr std::size_t kCodesPerWord = 32 / StoredBits;

/// In how many bits codes are stored.
constexpr int stored_bits(int bits) { return bits <= 2 ? 2 : bits <= 4 ? 4 : 8; }

/// Rows of words in a panel.
template <int Bits>
constexpr std::size_t coded_steps(std::size_t cols) {
  return ceil_div(cols, kCodesPerWord<stored_bits(Bits)>);
}

/// AMX reads whole blocks of 16 rows of words, so up to 15 behind the last panel.
inline constexpr std::size_t kMaxWordsBehind = 15 * kPanelColumns;

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

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
