// Rows of weights into panels of codes (layout/code_panels.hpp).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../layout/code_panels.hpp"
#include "../simd/vectors.hpp"
#include "symmetric_encoder.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Output rows [0, count) of w, count ≤ 32, to one panel of codes up to ±max_code, stored in
/// kStored bits; and each one's sum of codes.
template <int kStored>
class CodePanelWriter {
 public:
  CodePanelWriter(const float* scales, std::size_t count, std::int32_t max_code,
                  std::int32_t* panel)
      : panel_(panel) {
    for (std::size_t column = 0; column < kPanelColumns; ++column) {
      coders_[column] =
          column < count ? SymmetricEncoder(scales[column], max_code) : SymmetricEncoder();
      Words(0u).store_aligned(sums_[column]);
    }
  }

  /// The next inputs of all outputs, w [count, inputs]: a multiple of kBlock, but for the last
  /// time.
  void write(MatrixView<const float> w) {
    for (std::size_t begin = 0; begin < w.cols(); begin += kBlock) {
      const std::size_t inputs = std::min(kBlock, w.cols() - begin);
      for (std::size_t column = 0; column < kPanelColumns; ++column) {
        if (coders_[column].all_zero()) {  // or there is no such row
          std::fill_n(fours_[column], kBlock / 4, 0);
          continue;
        }
        const float* const from = w.row(column) + begin;
        if (inputs == kBlock) {
          encode(column, [from](std::size_t k) { return Floats::load_unaligned(from + k); });
          // The row's next block: a panel's rows are too many streams for the machine to foresee.
          if (begin + 2 * kBlock <= w.cols()) {
            for (std::size_t i = 0; i < kBlock; i += kCacheLine / sizeof(float)) {
              __builtin_prefetch(from + kBlock + i);
            }
          }
        } else {
          encode(column, [from, inputs](std::size_t k) {
            if (k + Floats::size <= inputs) return Floats::load_unaligned(from + k);
            return k < inputs ? load_first<Floats>(from + k, inputs - k) : Floats(0.0f);
          });
        }
      }
      const std::size_t steps = ceil_div(inputs, kCodesPerWord<kStored>);
      store_words(steps);
      panel_ += steps * kPanelColumns;
      encoded_ += kBlock;
    }
  }

  void store_sums(std::int32_t* code_sums) const {
    for (std::size_t column = 0; column < kPanelColumns; ++column) {
      std::uint32_t sum = 0;  // modulo 2^32: the excess overflows
      for (const std::uint32_t lane : sums_[column]) sum += lane;
      constexpr auto kExcess = static_cast<std::uint32_t>(SymmetricEncoder::kExcess);
      if (!coders_[column].all_zero()) sum -= encoded_ * kExcess;
      code_sums[column] = static_cast<std::int32_t>(sum);
    }
  }

  /// Inputs at a time: a cache line of codes, whole words of any number of bits.
  static constexpr std::size_t kBlock = kCacheLine;

 private:
  using Floats = Native::Batch<float>;
  using Ints = rebind_t<Floats, std::int32_t>;
  using Words = rebind_t<Floats, std::uint32_t>;
  using IntQuad = rebind_t<Native::Quad, std::int32_t>;

  /// kBlock inputs of an output to bytes; load(k) has a vector from number k on.
  template <class Load>
  [[gnu::always_inline]] void encode(std::size_t column, Load load) {
    constexpr std::size_t kVectors = 4;
    Words sum = Words::load_aligned(sums_[column]);
    for (std::size_t k = 0; k < kBlock; k += kVectors * Floats::size) {
      std::array<Floats, kVectors> values;
      unroll<kVectors>([&](auto i) __attribute__((always_inline)) {
        values[i] = load(k + i * Floats::size);
      });
      std::array<Ints, kVectors> codes = coders_[column].encode_lanes(values);
      for (Ints& code : codes) {
        sum = sum + bits_as<std::uint32_t>(code);
        code = code & Ints(0xff);
      }
      Native::store_code_bytes(codes, reinterpret_cast<std::uint8_t*>(fours_[column]) + k);
    }
    sum.store_aligned(sums_[column]);
  }

  /// Turns the fours, and puts groups of them together into words.
  void store_words(std::size_t steps) {
    constexpr std::size_t kGroups = kCodesPerWord<kStored> / 4;
    for (std::size_t column = 0; column < kPanelColumns; column += 4) {
      for (std::size_t four = 0; four * 4 < steps * kGroups; ++four) {
        const auto turned = transposed_4x4<IntQuad>(fours_[column] + 4 * four, kBlock / 4);
        unroll<4 / kGroups>([&](auto i) __attribute__((always_inline)) {
          const std::size_t step = four * (4 / kGroups) + i;
          if (step >= steps) return;
          IntQuad words = turned[i * kGroups];
          if constexpr (kGroups > 1) {
            constexpr std::int32_t kField = ((1 << kStored) - 1) * 0x01010101;
            words = words & IntQuad(kField);
            unroll<kGroups - 1>([&](auto j) __attribute__((always_inline)) {
              constexpr int kShift = (static_cast<int>(j) + 1) * kStored;
              words = words | ((turned[i * kGroups + j + 1] & IntQuad(kField)) << kShift);
            });
          }
          words.store_aligned(panel_ + step * kPanelColumns + column);
        });
      }
    }
  }

  SymmetricEncoder coders_[kPanelColumns];
  std::int32_t* panel_;
  std::uint32_t encoded_ = 0;  ///< inputs, those that fill up the last block too
  alignas(kCacheLine) std::uint32_t sums_[kPanelColumns][Words::size];  ///< lane by lane
  alignas(kCacheLine) std::int32_t fours_[kPanelColumns][kBlock / 4];   ///< codes in bytes
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
