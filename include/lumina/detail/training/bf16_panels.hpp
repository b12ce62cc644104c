// Panels of bf16 for products over rows: those of codes of weights, or of x. 32 columns side by
// side as in layout/float_panels.hpp, in 32-bit words; a word holds the bf16 of two neighbouring
// rows, the first one in its lower half: panel[row / 2][column]. Filled up with zeros to 32 columns
// and to a multiple of 32 rows, which is what a matrix unit takes in a step.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../kernels/code_dot.hpp"
#include "../packing/code_panels.hpp"
#include "../packing/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The right operand of a product over `depth` rows, [depth, columns].
class Bf16Panels {
 public:
  /// Rows in a block: those of a step.
  static constexpr std::size_t kRows = 32;

  std::size_t depth() const { return depth_; }
  std::size_t columns() const { return columns_; }
  std::size_t panel_size() const {  ///< words
    return size_product(round_up(depth_, kRows) / 2, kPanelColumns);
  }
  const std::int32_t* panel(std::size_t index) const {
    return words_.data() + index * panel_size();
  }

  /// The codes of coded weights [out, in], as they are: out rows, in columns.
  template <int Bits>
  void pack(const CodedWeights<Bits>& weights) {
    constexpr int kStored = CodedWeights<Bits>::stored_bits;
    constexpr std::size_t kSteps = kPanelColumns / kCodesPerWord<kStored>;  // of a block's columns
    pack_blocks<std::int8_t>(
        weights.rows(), weights.cols(), [&](std::size_t row, std::size_t column, auto& block) {
          const std::size_t step = column / kCodesPerWord<kStored>;
          unpack<kStored>(weights.panel(row / kPanelColumns) + step * kPanelColumns,
                          std::min(kSteps, weights.steps() - step), block);
        });
  }

  /// x [batch, in] as codes of the DAC, with their signs if they have any, at most 8 bits: batch
  /// rows, in columns. `X`: float, or std::uint8_t, which are codes already.
  template <class X>
  void pack(MatrixView<const X> x, const UniformQuantizer& dac) {
    const auto lowest = static_cast<float>(dac.lowest());
    pack_blocks<float>(
        x.rows(), x.cols(), [&](std::size_t first_row, std::size_t column, auto& block) {
          const std::size_t rows = std::min(kRows, x.rows() - first_row);
          const std::size_t columns = std::min(kPanelColumns, x.cols() - column);
          for (std::size_t row = 0; row < rows; ++row) {
            const X* const from = x.row(first_row + row) + column;
            if constexpr (std::is_same_v<X, float>) {
              encode(from, columns, dac, block[row]);
            } else {
              std::transform(from, from + columns, block[row],
                             [lowest](X code) { return static_cast<float>(code) + lowest; });
            }
          }
        });
  }

 private:
  /// A block of integers [row][column].
  template <class Code>
  using Block = Code[kRows][kPanelColumns];

  /// get(first_row, first_column, block) for each block; what it leaves untouched is 0.
  template <class Code, class Get>
  void pack_blocks(std::size_t rows, std::size_t columns, const Get& get) {
    depth_ = rows;
    columns_ = columns;
    if (!words_.grow_to(size_product(panel_count(columns), panel_size()))) {
      depth_ = columns_ = 0;
      return;
    }
    for (std::size_t row = 0; row < rows; row += kRows) {
      for (std::size_t column = 0; column < columns; column += kPanelColumns) {
        alignas(kCacheLine) Block<Code> block;
        if (row + kRows > rows || column + kPanelColumns > columns) {
          std::fill_n(&block[0][0], kRows * kPanelColumns, Code{});
        }
        get(row, column, block);
        std::int32_t* const words = words_.data() + column / kPanelColumns * panel_size();
        store_words(block, words + row / 2 * kPanelColumns);
      }
    }
  }

  template <class Code>
  static void store_words(const Block<Code>& block, std::int32_t* words) {
    for (std::size_t row = 0; row < kRows; row += 2) {
      for (std::size_t column = 0; column < kPanelColumns; ++column) {
        const auto lower = std::bit_cast<std::uint32_t>(static_cast<float>(block[row][column]));
        const auto upper = std::bit_cast<std::uint32_t>(static_cast<float>(block[row + 1][column]));
        words[row / 2 * kPanelColumns + column] =
            static_cast<std::int32_t>(lower >> 16 | (upper & 0xffff0000u));
      }
    }
  }

  /// The codes of a panel's 32 outputs at up to 32 inputs, which are `steps` rows of words.
  template <int StoredBits>
  static void unpack(const std::int32_t* words, std::size_t steps, Block<std::int8_t>& block) {
    constexpr std::size_t kGroups = kCodesPerWord<StoredBits> / 4;
    for (std::size_t step = 0; step < steps; ++step) {
      std::uint32_t bytes[kGroups][kPanelColumns];
      for (std::size_t group = 0; group < kGroups; ++group) {
        for (std::size_t output = 0; output < kPanelColumns; ++output) {
          const auto word = static_cast<std::uint32_t>(words[step * kPanelColumns + output]);
          bytes[group][output] = signed_bytes<StoredBits>(word >> (group * StoredBits));
        }
      }
      for (std::size_t output = 0; output < kPanelColumns; ++output) {
        for (std::size_t group = 0; group < kGroups; ++group) {
          std::memcpy(block[output] + (step * kGroups + group) * 4, &bytes[group][output], 4);
        }
      }
    }
  }

  /// The lowest StoredBits of each byte, a signed number, as a signed byte.
  template <int StoredBits>
  static constexpr std::uint32_t signed_bytes(std::uint32_t word) {
    if constexpr (StoredBits == 8) {
      return word;
    } else {
      constexpr std::uint32_t kOnes = 0x01010101u, kTop = 0x80u * kOnes;
      constexpr std::uint32_t kField = ((1u << StoredBits) - 1u) * kOnes;
      constexpr std::uint32_t kSign = (1u << (StoredBits - 1)) * kOnes;
      // (field ^ sign) - sign, with the top bit set meanwhile so that no byte borrows from the
      // next.
      return ((((word & kField) ^ kSign) | kTop) - kSign) ^ kTop;
    }
  }

  /// A row's inputs to codes.
  static void encode(const float* x, std::size_t count, const UniformQuantizer& dac,
                     float (&codes)[kPanelColumns]) {
    using Floats = Native::Batch<float>;
    constexpr std::size_t kVectors = kPanelColumns / Floats::size;
    alignas(kCacheLine) float padded[kPanelColumns];
    if (count < kPanelColumns) {
      std::fill(std::copy_n(x, count, padded), padded + kPanelColumns, 0.0f);
      x = padded;
    }
    std::array<Floats, kVectors> values;
    unroll<kVectors>([&](auto i) __attribute__((always_inline)) {
      values[i] = Floats::load_unaligned(x + i * Floats::size);
    });
    const auto encoded = dac.codes_of_lanes(values);
    unroll<kVectors>([&](auto i) __attribute__((always_inline)) {
      encoded[i].store_aligned(codes + i * Floats::size);
    });
    std::fill(codes + count, codes + kPanelColumns, 0.0f);
  }

  std::size_t depth_ = 0;
  std::size_t columns_ = 0;
  AlignedBuffer<std::int32_t> words_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
