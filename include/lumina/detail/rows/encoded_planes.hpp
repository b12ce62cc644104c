// Rows of codes with the planes of extra sums beside them: what PlaneDot multiplies.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../kernels/sum_planes.hpp"
#include "encoded.hpp"
#include "input_planes.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Of inputs that draw no numbers (random_input.hpp).
struct NothingDrawn {
  static constexpr bool stochastic = false;
};

/// A block of inputs, floats or codes already, to codes.
template <class Arch, class X>
[[gnu::always_inline]] inline void encode_block(const X* x, const UniformQuantizer& dac,
                                                ByteBlock& codes) {
  if constexpr (std::is_same_v<X, std::uint8_t>) {
    std::memcpy(codes.words, x, ByteBlock::size);
  } else {
    encode_floats<Arch>(dac, x, ByteBlock::size, codes.bytes());
  }
}

/// `X`: float or std::uint8_t, as of EncodedRows. Set: the sums beside the product. A row of x
/// becomes `planes` virtual rows, one below the other, each with zeros behind its end as
/// EncodedRows has them; ranges of rows count those of x. Inputs may begin anywhere.
template <class Arch, class X, unsigned Set>
class EncodedPlanes {
 public:
  using Codes = typename Arch::Codes;
  using Element = typename Codes::Input;
  static constexpr std::size_t planes = plane_count(Set);
  static constexpr std::size_t row_multiple = ByteBlock::size;
  static constexpr std::size_t elements_per_input = planes;

  /// `array`: the inputs that positions are counted in.
  EncodedPlanes(MatrixView<const X> x, const UniformQuantizer& dac, const Range& array = {0, 1})
      : codes_(x, dac), x_(x), array_(array) {}

  std::size_t rows() const { return codes_.rows(); }
  std::size_t depth() const { return codes_.depth(); }
  Prefetcher prefetcher(const Range& rows, std::size_t parts) const {
    return codes_.prefetcher(rows, parts);
  }

  /// Plane p of the i-th of these rows to to + (i·planes + p)·stride.
  void read(const Range& rows, const Range& inputs, Element* to, std::size_t stride) const {
    read(rows, inputs, to, stride,
         [this](std::size_t) -> const UniformQuantizer& { return codes_.dac(); });
  }
  /// The same with a DAC for each row, dac_of(row): `row` is one of `rows`.
  template <class DacOf>
  void read(const Range& rows, const Range& inputs, Element* to, std::size_t stride,
            const DacOf& dac_of) const {
    for (std::size_t i = 0; i < rows.size; ++i) {
      const std::size_t row = rows.begin + i;
      write_row<false>(row, inputs, dac_of(row), to + i * planes * stride, stride);
    }
  }
  /// And the sum of each row's squares (InputPlanes) over these inputs to square_sums[i]: Σ x̂² is
  /// 1/255 of it, up to what rounding each to 8 bits changes.
  template <class DacOf>
  void read(const Range& rows, const Range& inputs, Element* to, std::size_t stride,
            const DacOf& dac_of, std::uint32_t* square_sums) const {
    for (std::size_t i = 0; i < rows.size; ++i) {
      const std::size_t row = rows.begin + i;
      square_sums[i] = write_row<true>(row, inputs, dac_of(row), to + i * planes * stride, stride);
    }
  }

  /// Inputs of a row to all planes; with kSums the result is the sum of their squares. `drawn`:
  /// what they draw, a RandomInput's Row; planes of extra sums know nothing of noise.
  template <bool kSums, class Drawn = NothingDrawn>
  std::uint32_t write_row(std::size_t row, const Range& inputs, const UniformQuantizer& dac_of_row,
                          Element* to, std::size_t stride, Drawn drawn = {}) const {
    constexpr bool kMagnitudes = (Set & kMagnitudeSums) != 0;
    constexpr bool kSquares = (Set & (kSquaredInputSums | kSquareSums)) != 0 || kSums;
    constexpr bool kPositions = (Set & kPositionSums) != 0;
    constexpr bool kFine = (Set & kLowByteSums) != 0;
    const X* const x = x_.row(row) + inputs.begin;
    const std::size_t count = inputs.size;
    const UniformQuantizer dac = dac_of_row;  // writing bytes does not change it
    const InputPlanes input_planes(dac);
    ByteBlock codes, magnitudes, squares, positions, high, low;
    Words square_sums(0u);
    const auto write = [&](std::size_t first) __attribute__((always_inline)) {
      unroll<planes>([&](auto plane) __attribute__((always_inline)) {
        constexpr PlaneForm form = inputs_of_plane(Set, plane);
        const ByteBlock& own = kFine && plane == 0             ? high
                               : kFine && plane == 1           ? low
                               : form == PlaneForm::codes      ? codes
                               : form == PlaneForm::magnitudes ? magnitudes
                               : form == PlaneForm::squares    ? squares
                                                               : positions;
        Codes::prepare(own.bytes(), row_multiple, to + plane * stride + first);
      });
    };

    const auto make = [&](const X* from, [[maybe_unused]] std::size_t first)
        __attribute__((always_inline)) {
      if constexpr (Drawn::stochastic) {
        drawn.encode(from, dac, codes);
      } else {
        encode_block<Arch>(from, dac, codes);
      }
      if constexpr (kFine) drawn.add_noise(codes, dac.lowest(), high, low);
      input_planes.make<Floats, kMagnitudes, kSquares>(codes, magnitudes, squares, square_sums);
      if constexpr (kPositions) {
        input_planes.make_positions<Floats>(codes, inputs.begin - array_.begin + first, array_.size,
                                            positions);
      }
    };

    const std::size_t whole = count / row_multiple * row_multiple;
    for (std::size_t i = 0; i < whole; i += row_multiple) {
      make(x + i, i);
      write(i);
    }
    std::uint32_t sum = 0;
    if constexpr (kSums) {
      alignas(kCacheLine) std::uint32_t lanes[Words::size];
      square_sums.store_aligned(lanes);
      for (const std::uint32_t lane : lanes) sum += lane;
      sum -= static_cast<std::uint32_t>(whole) * InputPlanes::kExcess;
    }
    if (whole == count) return sum;

    X rest[row_multiple] = {};
    std::copy(x + whole, x + count, rest);
    make(rest, whole);
    const auto clear_end = [&](ByteBlock& block) {
      std::fill(block.bytes() + (count - whole), block.bytes() + row_multiple, std::uint8_t{0});
    };
    for (ByteBlock* const block : {&codes, &magnitudes, &squares, &positions}) clear_end(*block);
    if constexpr (kFine) clear_end(high), clear_end(low);
    if constexpr (kSums) {
      for (std::size_t i = 0; i < count - whole; ++i) sum += squares.bytes()[i];
    }
    write(whole);
    return sum;
  }

 private:
  using Floats = typename Arch::template Batch<float>;
  using Words = typename Arch::template Batch<std::uint32_t>;

  EncodedRows<Arch, X> codes_;
  MatrixView<const X> x_;
  Range array_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
