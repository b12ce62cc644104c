// Coded weights that lie in somebody's memory: those of a CodedWeights, or constants in a
// microcontroller's flash.
//
//   alignas(64) constexpr std::int32_t words[coded_word_count<4>(12, 144)] = {…};
//   alignas(64) constexpr float scales[padded_outputs(12)] = {…};
//   alignas(64) constexpr std::int32_t code_sums[padded_outputs(12)] = {…};
//   constexpr CodedWeightsView<4> weights(12, 144, words, scales, code_sums);
//
// The three arrays are what words(), scales() and code_sums() of a CodedWeights' view() hold, on
// any machine: the layout is the same on every instruction set. What fills them up, if the lists
// are shorter, is zeros, as it must be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/isa/native.hpp"
#include "detail/kernels/code_dot.hpp"
#include "detail/packing/code_panels.hpp"
#include "matrix.hpp"
#include "noise.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// How many words weights [rows, cols] are, with the zeros that this translation unit's instruction
/// set reads behind them.
template <int Bits>
constexpr std::size_t coded_word_count(std::size_t rows, std::size_t cols) {
  const std::size_t words = detail::size_product(
      detail::panel_count(rows), detail::coded_steps<Bits>(cols), detail::kPanelColumns);
  return words == 0 ? 0 : words + detail::Native::words_behind;
}

/// How many scales, and sums of codes, `rows` outputs have, with the zeros behind them.
constexpr std::size_t padded_outputs(std::size_t rows) {
  return detail::round_up(std::min(rows, detail::kTooMany), detail::kBlockColumns);
}

/// Coded weights w [out, in] that somebody else owns. Copying a view copies no weights.
template <int Bits>
class CodedWeightsView {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::CodedWeightsView: Bits must be in 2..8");

 public:
  static constexpr int bits = Bits;
  static constexpr int stored_bits = detail::stored_bits(Bits);

  constexpr CodedWeightsView() = default;

  /// `words`: at least coded_word_count<Bits>(rows, cols); `scales` and `code_sums`: at least
  /// padded_outputs(rows). All begin at multiples of 64 bytes, which the calls check. Error: too
  /// short an array; the view is empty then.
  constexpr CodedWeightsView(std::size_t rows, std::size_t cols,
                             detail::KeptSpan<const std::int32_t> words,
                             detail::KeptSpan<const float> scales,
                             detail::KeptSpan<const std::int32_t> code_sums)
      : rows_(rows),
        cols_(cols),
        words_(words.data()),
        scales_(scales.data()),
        code_sums_(code_sums.data()) {
    require("words", words.size(), coded_word_count<Bits>(rows, cols));
    require("scales", scales.size(), padded_outputs(rows));
    require("code_sums", code_sums.size(), padded_outputs(rows));
  }

  constexpr std::size_t rows() const { return rows_; }  ///< outputs
  constexpr std::size_t cols() const { return cols_; }  ///< inputs

  /// What code 1 is worth, for each output; 0 where a row of w is all zeros.
  constexpr std::span<const float> scales() const { return {scales_, rows_}; }
  /// Σ code over the inputs, for each output.
  constexpr std::span<const std::int32_t> code_sums() const { return {code_sums_, rows_}; }
  /// The codes, in panels of 32 outputs (detail/packing/code_panels.hpp).
  constexpr std::span<const std::int32_t> words() const {
    return {words_, detail::panel_count(rows_) * panel_size()};
  }

  constexpr std::int32_t code(std::size_t row, std::size_t col) const {
    return detail::unpack_code<stored_bits>(panel(row / detail::kPanelColumns),
                                            row % detail::kPanelColumns, col);
  }

  /// For the engine: the panel of outputs 32·index … 32·index + 31, panel_size() words in steps()
  /// rows.
  constexpr const std::int32_t* panel(std::size_t index) const {
    return words_ + index * panel_size();
  }
  constexpr std::size_t panel_size() const { return steps() * detail::kPanelColumns; }
  constexpr std::size_t steps() const { return detail::coded_steps<Bits>(cols_); }
  constexpr detail::CodePanels<stored_bits> panels() const {
    return {words_, panel_size(), scales_, code_sums_};
  }

 private:
  constexpr void require(const char* what, std::size_t there, std::size_t needed) {
    if (there >= needed) return;
    detail::report_error((detail::Message()
                          << "lumina::CodedWeightsView: w is " << detail::Shape{rows_, cols_}
                          << ", there are " << there << " " << what << "; it needs " << needed)
                             .c_str());
    *this = CodedWeightsView();
  }

  std::size_t rows_ = 0;
  std::size_t cols_ = 0;
  const std::int32_t* words_ = nullptr;
  const float* scales_ = nullptr;
  const std::int32_t* code_sums_ = nullptr;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
