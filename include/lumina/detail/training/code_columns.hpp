// Panels of integers for products over rows: of codes of weights, or of x. 32 columns side by side
// in 32-bit words as in layout/code_panels.hpp; a word holds signed bytes of four neighbouring
// rows, or 16 bits of two: panel[row / rows in a word][column]. Filled up with zeros to 32 columns
// and to a multiple of 64 rows.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../engine/tasks.hpp"
#include "../engine/thresholds.hpp"
#include "../epilogue/split_sums.hpp"
#include "../isa/native.hpp"
#include "../kernels/pair_dot.hpp"
#include "../layout/code_panels.hpp"
#include "../layout/float_panels.hpp"
#include "../packing/packed_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The right operand of a product over `depth` rows, [depth, columns].
class CodeColumns {
 public:
  /// What a word holds: four bytes, or a pair of 16 bits.
  enum class Form { bytes, pairs };

  std::size_t depth() const { return depth_; }
  std::size_t columns() const { return columns_; }
  /// With the rows of zeros.
  std::size_t padded_depth() const { return round_up(depth_, kBlockRows); }
  template <std::size_t RowsInWord>
  PackedPanels<std::int32_t, RowsInWord> words() const {
    return {words_.data(), panel_size()};
  }
  /// Of the bytes of each column; not of pairs.
  const std::int32_t* sums() const { return sums_.data(); }

  /// The codes of some outputs of weights [out, in], CodedWeights or a WeightTile: out rows, in
  /// columns. `outputs` begins at a multiple of 32. False: no memory, which is reported.
  template <class Weights, class Executor>
  bool pack(const Weights& weights, const Range& outputs, Form form, const Executor& executor) {
    if constexpr (kHasPairs<Native>) {
      if (form == Form::pairs) return pack_weights<true>(weights, outputs, executor);
    }
    return pack_weights<false>(weights, outputs, executor);
  }

  /// x [batch, in] as codes of the DAC, at most 8 bits: batch rows, in columns. `X`: float, or
  /// std::uint8_t, which are codes already. What the bytes stand for is value_of(dac).
  template <class X, class Executor>
  bool pack(MatrixView<const X> x, const UniformQuantizer& dac, Form form,
            const Executor& executor) {
    if constexpr (kHasPairs<Native>) {
      if (form == Form::pairs) return pack_inputs<true>(x, dac, executor);
    }
    return pack_inputs<false>(x, dac, executor);
  }
  /// Bytes are codes with their signs; those that need 8 bits without less 128.
  template <class X>
  static ByteValue value_of(const UniformQuantizer& dac, Form form) {
    return {form == Form::bytes ? zero_byte_of<X>(dac) + dac.lowest() : 0, dac.step(),
            dac.offset()};
  }

 private:
  using Floats = Native::Batch<float>;
  using Ints = rebind_t<Floats, std::int32_t>;
  static constexpr std::size_t kBlockRows = 64;   ///< of a matrix unit's step
  static constexpr std::size_t kRowsAtOnce = 16;  ///< panels are written in long enough pieces
  static constexpr std::size_t kVectors = kPanelColumns / Ints::size;

  template <bool Pairs, class Weights, class Executor>
  bool pack_weights(const Weights& weights, const Range& outputs, const Executor& executor) {
    if (!reshape<Pairs>(outputs.size, weights.cols())) return false;
    run_tasks(executor, worth_threads(), panel_count(outputs.size), [&](std::size_t panel) {
      pack_panel<Pairs>(weights, outputs.begin / kPanelColumns + panel, panel * kPanelColumns);
    });
    if constexpr (!Pairs) store_sums(executor);
    return true;
  }
  /// The codes of 32 outputs, rows `row` and those behind it.
  template <bool Pairs, class Weights>
  void pack_panel(const Weights& weights, std::size_t panel, std::size_t row) {
    constexpr int kStored = Weights::stored_bits;
    constexpr std::size_t kGroups = kCodesPerWord<kStored> / 4;
    using Quad = rebind_t<Native::Quad, std::int32_t>;
    const std::int32_t* from = weights.panel(panel);
    for (std::size_t step = 0; step < weights.steps(); ++step, from += kPanelColumns) {
      unroll<kGroups>([&](auto group) __attribute__((always_inline)) {
        const std::size_t column = (step * kGroups + group) * 4;
        if (column >= columns_) return;
        std::int32_t* to = row_of_words(row, column);
        for (std::size_t four = 0; four < kPanelColumns; four += 4) {
          to = store_four<Pairs>(
              signed_bytes<kStored>(Quad::load_aligned(from + four), group * kStored), to);
        }
      });
    }
  }

  /// Four outputs' codes of four inputs each, a word for an output, as words of the panel; where
  /// the next ones go.
  template <bool Pairs, class Quad, class Arch = Native>
  [[gnu::always_inline]] static std::int32_t* store_four(const Quad& words, std::int32_t* to) {
    if constexpr (Pairs) {
      const auto halves = bits_as<std::int16_t>(Arch::template transposed_bytes<true>(words));
      bits_as<std::int32_t>((halves << 8) >> 8).store_aligned(to);
      bits_as<std::int32_t>(halves >> 8).store_aligned(to + kPanelColumns);
      return to + 2 * kPanelColumns;
    } else {
      Arch::transposed_bytes(words).store_aligned(to);
      return to + kPanelColumns;
    }
  }

  template <bool Pairs, class X, class Executor>
  bool pack_inputs(MatrixView<const X> x, const UniformQuantizer& dac, const Executor& executor) {
    if (!reshape<Pairs>(x.rows(), x.cols())) return false;
    run_tasks(executor, worth_threads(), ceil_div(x.rows(), kRowsAtOnce), [&](std::size_t task) {
      const std::size_t row = task * kRowsAtOnce;
      pack_rows<Pairs>(x, dac, {row, std::min(kRowsAtOnce, x.rows() - row)});
    });
    if constexpr (!Pairs) store_sums(executor);
    return true;
  }
  template <bool Pairs, class X>
  void pack_rows(MatrixView<const X> x, const UniformQuantizer& dac, const Range& rows) {
    constexpr std::size_t kInWord = Pairs ? 2 : 4;
    constexpr int kBits = 32 / static_cast<int>(kInWord);
    const UniformQuantizer quantizer = dac;  // writing words does not change it
    const Ints zero(Pairs ? -dac.lowest() : zero_byte_of<X>(dac));
    const Ints mask(Pairs ? 0xffff : 0xff);
    for (std::size_t column = 0; column < x.cols(); column += kPanelColumns) {
      const std::size_t columns = std::min(kPanelColumns, x.cols() - column);
      std::int32_t* to = row_of_words(rows.begin, column);
      for (std::size_t row = rows.begin; row < rows.end(); row += kInWord, to += kPanelColumns) {
        std::array<Ints, kVectors> words;
        words.fill(Ints(0));
        unroll<kInWord>([&](auto i) __attribute__((always_inline)) {
          if (row + i >= rows.end()) return;
          const auto codes = codes_of(x.row(row + i) + column, columns, quantizer);
          constexpr int kShift = kBits * static_cast<int>(i);
          unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
            words[v] = words[v] | (((codes[v] - zero) & mask) << kShift);
          });
        });
        for (std::size_t v = 0; v < kVectors; ++v) words[v].store_aligned(to + v * Ints::size);
        std::fill(to + columns, to + kPanelColumns, 0);
      }
    }
  }

  bool worth_threads() const {
    return static_cast<double>(depth_) * static_cast<double>(columns_) >=
           static_cast<double>(Thresholds::packing_worth_threads);
  }
  std::size_t panel_size() const { return panel_size_; }
  /// The word that has this row.
  std::int32_t* row_of_words(std::size_t row, std::size_t column) {
    return words_.data() + column / kPanelColumns * panel_size_ +
           row / rows_in_word_ * kPanelColumns + column % kPanelColumns;
  }

  /// The code, counted from the lowest one, that becomes byte 0. (Bytes of x may be codes that the
  /// DAC does not have.)
  template <class X>
  static std::int32_t zero_byte_of(const UniformQuantizer& dac) {
    if (std::is_same_v<X, std::uint8_t>) return 128;
    return dac.is_symmetric() ? -dac.lowest() : dac.highest() > 127 ? 128 : 0;
  }

  /// The codes of up to 32 columns, counted from the lowest one; any behind them.
  template <class X>
  [[gnu::always_inline]] static std::array<Ints, kVectors> codes_of(const X* x, std::size_t columns,
                                                                    const UniformQuantizer& dac) {
    std::array<Floats, kVectors> values;
    if constexpr (std::is_same_v<X, float>) {
      alignas(kCacheLine) float padded[kPanelColumns];
      if (columns < kPanelColumns) {
        std::fill(std::copy_n(x, columns, padded), padded + kPanelColumns, 0.0f);
        x = padded;
      }
      unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
        values[v] = Floats::load_unaligned(x + v * Floats::size);
      });
      return dac.encode_lanes(values);
    } else {
      std::uint8_t padded[kPanelColumns];
      if (columns < kPanelColumns) {
        std::fill(std::copy_n(x, columns, padded), padded + kPanelColumns, std::uint8_t{0});
        x = padded;
      }
      std::array<Ints, kVectors> codes;
      unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
        codes[v] = Native::load_code_bytes<Ints>(x + v * Ints::size);
      });
      return codes;
    }
  }

  /// Group number shift / StoredBits of four codes in each word: one in each byte, with its sign.
  template <int StoredBits, class Words>
  [[gnu::always_inline]] static Words signed_bytes(const Words& words, std::size_t shift) {
    if constexpr (StoredBits == 8) {
      return words;
    } else {
      constexpr std::uint32_t kOnes = 0x01010101u;
      const auto all = [](std::uint32_t byte) {
        return Words(static_cast<std::int32_t>(byte * kOnes));
      };
      // (field ^ sign) − sign, with the top bit set meanwhile so that no byte borrows from the
      // next.
      const Words field = (words >> static_cast<int>(shift)) & all((1u << StoredBits) - 1u);
      const Words sign = all(1u << (StoredBits - 1)), top = all(0x80u);
      return (((field ^ sign) | top) - sign) ^ top;
    }
  }

  template <bool Pairs>
  bool reshape(std::size_t rows, std::size_t columns) {
    rows_in_word_ = Pairs ? 2 : 4;
    depth_ = rows;
    columns_ = columns;
    panel_size_ = size_product(padded_depth() / rows_in_word_, kPanelColumns);
    if (!words_.grow_to(size_product(panel_count(columns), panel_size_)) ||
        !sums_.grow_to(round_up(columns, kBlockColumns))) {
      depth_ = columns_ = 0;
      return false;
    }
    // What lies behind the last row, and all of a panel that columns do not fill.
    for (std::size_t column = 0; column < columns; column += kPanelColumns) {
      const bool whole = column + kPanelColumns <= columns;
      std::fill(row_of_words(whole ? rows / kPanelColumns * kPanelColumns : 0, column),
                row_of_words(padded_depth(), column), 0);
    }
    return true;
  }

  /// The columns' sums, and zeros behind them.
  template <class Executor>
  void store_sums(const Executor& executor) {
    std::fill_n(sums_.data(), round_up(columns_, kBlockColumns), 0);
    run_tasks(executor, worth_threads(), panel_count(columns_), [&](std::size_t panel) {
      const std::size_t first = panel * kPanelColumns;
      for (std::size_t column = first; column < first + kPanelColumns; column += Ints::size) {
        Ints sum(0);
        const std::int32_t* words = row_of_words(0, column);
        for (std::size_t row = 0; row < padded_depth(); row += 4, words += kPanelColumns) {
          const Ints four = Ints::load_aligned(words);
          sum = sum + (((four << 24) >> 24) + ((four << 16) >> 24)) +
                (((four << 8) >> 24) + (four >> 24));
        }
        sum.store_aligned(sums_.data() + column);
      }
    });
  }

  std::size_t depth_ = 0;
  std::size_t columns_ = 0;
  std::size_t rows_in_word_ = 4;
  std::size_t panel_size_ = 0;
  AlignedBuffer<std::int32_t> words_;
  AlignedBuffer<std::int32_t> sums_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
