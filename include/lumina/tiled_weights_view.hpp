// Weights on arrays that lie in somebody's memory: those of a TiledWeights, or constants in a
// microcontroller's flash, as coded_weights_view.hpp has them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "border.hpp"
#include "coded_weights_view.hpp"
#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/isa/native.hpp"
#include "detail/layout/tiles.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// How many words weights [rows, cols] on arrays are, with the zeros that this translation unit's
/// instruction set reads behind them.
template <int Bits>
constexpr std::size_t tiled_word_count(std::size_t rows, std::size_t cols, const Mapping& mapping) {
  const auto inputs = detail::Tiling::of(cols, mapping.tile.inputs, mapping.split);
  const std::size_t words = detail::size_product(
      detail::panel_count(rows),
      detail::steps_before<detail::stored_bits(Bits)>(inputs, inputs.count), detail::kPanelColumns);
  return words == 0 ? 0 : words + detail::Native::words_behind;
}

/// Coded weights w [out, in] on arrays that somebody else owns. Copying a view copies no weights.
/// (Not for stages that want sums where an instruction set sends inputs less a bias, 64-bit Arm: a
/// TiledWeights has what that takes.)
template <int Bits>
class TiledWeightsView {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::TiledWeightsView: Bits must be in 2..8");

 public:
  static constexpr int stored_bits = detail::stored_bits(Bits);

  constexpr TiledWeightsView() = default;

  /// `words`: at least tiled_word_count<Bits>(rows, cols, mapping), panels of 32 outputs in which
  /// each array's inputs begin with a word of their own; `scales` and `code_sums`: at least
  /// padded_outputs(rows) for each array along the inputs. All begin at multiples of 64 bytes.
  /// Errors: a tile of 0 inputs, too short an array; the view is empty then.
  constexpr TiledWeightsView(std::size_t rows, std::size_t cols, const Mapping& mapping,
                             detail::KeptSpan<const std::int32_t> words,
                             detail::KeptSpan<const float> scales,
                             detail::KeptSpan<const std::int32_t> code_sums)
      : rows_(rows), cols_(cols) {
    if (mapping.tile.inputs == 0) {
      refuse("inputs of a tile", 0, 1);
      return;
    }
    inputs_ = detail::Tiling::of(cols, mapping.tile.inputs, mapping.split);
    words_ = words.data();
    scales_ = scales.data();
    code_sums_ = code_sums.data();
    const std::size_t outputs = detail::size_product(inputs_.count, padded_outputs(rows));
    if (words.size() < tiled_word_count<Bits>(rows, cols, mapping)) {
      refuse("words", words.size(), tiled_word_count<Bits>(rows, cols, mapping));
    } else if (scales.size() < outputs) {
      refuse("scales", scales.size(), outputs);
    } else if (code_sums.size() < outputs) {
      refuse("code_sums", code_sums.size(), outputs);
    }
  }

  constexpr std::size_t rows() const { return rows_; }  ///< outputs
  constexpr std::size_t cols() const { return cols_; }  ///< inputs
  constexpr std::size_t tiles() const { return inputs_.count; }

  /// For the engine.
  constexpr detail::TiledPanels<stored_bits> panels() const {
    return {words_,
            detail::steps_before<stored_bits>(inputs_, inputs_.count) * detail::kPanelColumns,
            inputs_,
            padded_outputs(rows_),
            1.0f / static_cast<float>((1 << (Bits - 1)) - 1),
            scales_,
            code_sums_,
            nullptr,
            nullptr};
  }

 private:
  constexpr void refuse(const char* what, std::size_t there, std::size_t needed) {
    detail::report_error((detail::Message()
                          << "lumina::TiledWeightsView: w is " << detail::Shape{rows_, cols_}
                          << ", there are " << there << " " << what << "; it needs " << needed)
                             .c_str());
    *this = TiledWeightsView();
  }

  std::size_t rows_ = 0, cols_ = 0;
  detail::Tiling inputs_;
  const std::int32_t* words_ = nullptr;
  const float* scales_ = nullptr;
  const std::int32_t* code_sums_ = nullptr;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
