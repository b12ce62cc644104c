// Rows of floats in fixed point, as the bytes that a kernel of codes multiplies.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../config.hpp"
#include "../../noise.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/fixed_point.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../random/input_numbers.hpp"
#include "../random/noise_field.hpp"
#include "../simd/fixed_point.hpp"
#include "../simd/stochastic_code.hpp"
#include "row_source.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What is known of a row in fixed point.
template <std::size_t Parts>
struct SplitRow {
  float unit;                ///< what 1 is worth
  std::int32_t sums[Parts];  ///< of each part, over the row
};

/// Integers as Parts bytes, of which a kernel of codes multiplies each as a row of its own: the
/// integers plus 2^(8·Parts − 1), the lowest byte first.
template <class Arch, std::size_t Parts>
struct InBytes {
  using Element = typename Arch::Codes::Input;
  using Ints = typename Arch::template Batch<std::int32_t>;
  static constexpr std::size_t parts = Parts;

  /// Some vectors of integers, number `first` and those behind it of a block of `Size`.
  template <std::size_t Size>
  class Block {
   public:
    template <std::size_t Count>
    [[gnu::always_inline]] void write(const std::array<Ints, Count>& integers, std::size_t first,
                                      std::int32_t (&sums)[Parts][Ints::size]) {
      using Words = rebind_t<Ints, std::uint32_t>;
      const Words half(std::uint32_t{1} << (8 * Parts - 1));
      unroll<Parts>([&](auto part) __attribute__((always_inline)) {
        std::array<Ints, Count> own;
        Ints sum = Ints::load_aligned(sums[part]);
        unroll<Count>([&](auto v) __attribute__((always_inline)) {
          const Words bits = bits_as<std::uint32_t>(integers[v]) + half;
          own[v] = bits_as<std::int32_t>(bits >> (8 * static_cast<int>(part))) & Ints(0xff);
          sum = sum + own[v];
        });
        sum.store_aligned(sums[part]);
        Arch::store_code_bytes(own, bytes_[part] + first);
      });
    }
    void store(Element* to, std::size_t stride) const {
      for (std::size_t part = 0; part < Parts; ++part) {
        Arch::Codes::prepare(bytes_[part], Size, to + part * stride);
      }
    }

   private:
    alignas(kCacheLine) std::uint8_t bytes_[Parts][Size];
  };
};

/// Integers of 16 bits as they are.
template <class Arch>
struct InPairs {
  using Element = std::int16_t;
  using Ints = typename Arch::template Batch<std::int32_t>;
  static constexpr std::size_t parts = 1;

  template <std::size_t Size>
  class Block {
   public:
    template <std::size_t Count>
    [[gnu::always_inline]] void write(const std::array<Ints, Count>& integers, std::size_t first,
                                      std::int32_t (&sums)[1][Ints::size]) {
      Ints sum = Ints::load_aligned(sums[0]);
      unroll<Count>([&](auto v) __attribute__((always_inline)) { sum = sum + integers[v]; });
      sum.store_aligned(sums[0]);
      Arch::store_halves(integers, halves_ + first);
    }
    void store(Element* to, std::size_t) const { std::copy_n(halves_, Size, to); }

   private:
    alignas(kCacheLine) std::int16_t halves_[Size];
  };
};

/// How the integers of rows of floats are rounded: to the nearest ones.
struct ToNearest {};
/// Or at random, row r with the uniform numbers standard_uniform_at(key, r, k, draw), k counting
/// from first_input.
struct AtRandom {
  NoiseKey key;
  std::size_t draw;
  std::size_t first_input = 0;
};

/// Whose rows are floats, and of which the largest magnitude of each is known.
template <class S>
concept FloatsInRange = RowSource<S> && requires(const S& source, const Range& rows, float* to) {
  requires std::is_same_v<typename S::Element, float>;
  source.largest_magnitudes(rows, to);
};

/// Rows as integers (fixed_point.hpp) of 8·Parts bits. `Form`: InBytes, a row of which becomes
/// several, one below the other, or InPairs. Behind a row's end lies what 0 is; panels have zeros
/// there.
template <class Arch, std::size_t Parts, class Form, FloatsInRange Source,
          class Rounding = ToNearest>
class SplitRows {
 public:
  using Element = typename Form::Element;
  using Number = SplitRow<Form::parts>;
  static constexpr std::size_t row_multiple = kCacheLine;
  static constexpr std::size_t elements_per_input = Form::parts;

  explicit SplitRows(const Source& source, const Rounding& rounding = {})
      : source_(source), rounding_(rounding) {}

  std::size_t rows() const { return source_.rows(); }
  std::size_t depth() const { return source_.depth(); }

  /// Part p of the i-th of these rows to to + (i·Form::parts + p)·stride; what is known of it to
  /// numbers[i], or, where inputs do not begin with the first one, added to what stands there.
  void read(const Range& rows, const Range& inputs, Element* to, std::size_t stride,
            Number* numbers = nullptr) const {
    for (std::size_t first = 0; first < rows.size; first += kRows) {
      const Range own{rows.begin + first, std::min(kRows, rows.size - first)};
      read_some(own, inputs, to + first * Form::parts * stride, stride,
                numbers != nullptr ? numbers + first : nullptr);
    }
  }

 private:
  using Floats = typename Arch::template Batch<float>;
  using Ints = typename Arch::template Batch<std::int32_t>;
  static constexpr std::size_t kRows = 16;  ///< read at once
  static constexpr std::size_t kBlock = row_multiple;
  static constexpr std::size_t kVectors = 4;
  static constexpr bool kAtRandom = std::is_same_v<Rounding, AtRandom>;
  static_assert(!kAtRandom || Parts == 1);

  /// The sums of a row's parts, lane by lane.
  using Sums = std::int32_t[Form::parts][Ints::size];

  void read_some(const Range& rows, const Range& inputs, Element* to, std::size_t stride,
                 Number* numbers) const {
    alignas(kCacheLine) float floats[kRows * kBlock];
    alignas(kCacheLine) Sums sums[kRows] = {};
    FixedPoint<Parts> points[kRows];
    source_.largest_magnitudes(rows, floats);
    for (std::size_t row = 0; row < rows.size; ++row) points[row] = FixedPoint<Parts>(floats[row]);
    Random random(rounding_, rows, inputs.begin);
    for (std::size_t begin = 0; begin < inputs.size; begin += kBlock) {
      const std::size_t size = std::min(kBlock, inputs.size - begin);
      if (size < kBlock) std::fill_n(floats, rows.size * kBlock, 0.0f);
      source_.read(rows, {inputs.begin + begin, size}, floats, kBlock);
      for (std::size_t row = 0; row < rows.size; ++row) {
        write(floats + row * kBlock, points[row].scale, random.next(row),
              to + row * Form::parts * stride + begin, stride, sums[row]);
      }
    }
    if (numbers == nullptr) return;
    for (std::size_t row = 0; row < rows.size; ++row) {
      numbers[row].unit = points[row].unit;
      for (std::size_t part = 0; part < Form::parts; ++part) {
        // (Of NaN anything, so it may wrap.)
        auto sum = static_cast<std::uint32_t>(inputs.begin == 0 ? 0 : numbers[row].sums[part]);
        for (const std::int32_t lane : sums[row][part]) sum += static_cast<std::uint32_t>(lane);
        numbers[row].sums[part] = static_cast<std::int32_t>(sum);
      }
    }
  }

  /// kBlock floats of a row to all of its parts.
  [[gnu::always_inline]] static void write(const float* floats, float scale, const float* uniform,
                                           Element* to, std::size_t stride, Sums& sums) {
    typename Form::template Block<kBlock> block;
    for (std::size_t k = 0; k < kBlock; k += kVectors * Floats::size) {
      std::array<Ints, kVectors> integers;
      unroll<kVectors>([&](auto v) __attribute__((always_inline)) {
        const std::size_t first = k + v * Floats::size;
        const Floats position =
            fixed_position<Parts>(Floats::load_aligned(floats + first), Floats(scale));
        if constexpr (kAtRandom) {
          integers[v] =
              to_small_int(stochastic_code(position, Floats::load_unaligned(uniform + first)));
        } else {
          integers[v] = nearest_fixed<Parts>(position);
        }
      });
      block.write(integers, k, sums);
    }
    block.store(to, stride);
  }

  /// The uniform numbers of the next kBlock inputs of rows.
  struct Nothing {
    Nothing(const ToNearest&, const Range&, std::size_t) {}
    static const float* next(std::size_t) { return nullptr; }
  };
  class Uniform {
   public:
    Uniform(const AtRandom& rounding, const Range& rows, std::size_t first) {
      const NoiseField field(rounding.key, rounding.draw);
      for (std::size_t row = 0; row < rows.size; ++row) {
        numbers_[row] = InputNumbers<true>(field.row(rounding.key.row_offset + rows.begin + row),
                                           rounding.first_input + first);
      }
    }
    const float* next(std::size_t row) {
      numbers_[row].fill(block_, kBlock);
      return block_;
    }

   private:
    InputNumbers<true> numbers_[kRows];
    float block_[kBlock];
  };
  using Random = std::conditional_t<kAtRandom, Uniform, Nothing>;

  Source source_;
  Rounding rounding_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
