// Rows of codes: what a DAC makes of x, in the form that the architecture's dot product reads.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/prefetch.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Floats to codes, one in each byte; `count` is a multiple of a cache line's 64.
template <class Arch>
[[gnu::always_inline]] inline void encode_floats(const UniformQuantizer& quantizer, const float* x,
                                                 std::size_t count, std::uint8_t* to) {
  using Floats = typename Arch::template Batch<float>;
  const UniformQuantizer dac = quantizer;  // writing bytes does not change it
  constexpr std::size_t kVectors = 4;
  static_assert(kCacheLine % (kVectors * Floats::size) == 0);
  for (std::size_t i = 0; i < count; i += kVectors * Floats::size) {
    std::array<Floats, kVectors> values;
    unroll<kVectors>([&](auto j) __attribute__((always_inline)) {
      values[j] = Floats::load_unaligned(x + i + j * Floats::size);
    });
    Arch::store_code_bytes(dac.encode_lanes(values), to + i);
  }
}

/// The same for less than 64; zeros behind them, up to 64.
template <class Arch>
[[gnu::always_inline]] inline void encode_last_floats(const UniformQuantizer& dac, const float* x,
                                                      std::size_t count, std::uint8_t* to) {
  using Floats = typename Arch::template Batch<float>;
  constexpr std::size_t kVectors = 4;
  for (std::size_t i = 0; i < kCacheLine; i += kVectors * Floats::size) {
    std::array<typename Arch::template Batch<std::int32_t>, kVectors> codes;
    unroll<kVectors>([&](auto j) __attribute__((always_inline)) {
      const std::size_t first = i + j * Floats::size;
      codes[j] = typename Arch::template Batch<std::int32_t>(0);
      if (first >= count) return;
      // The code of what is lowest is 0 here, also where codes have signs.
      const std::array<Floats, 1> values{
          load_first<Floats>(x + first, std::min(Floats::size, count - first),
                             -std::numeric_limits<float>::infinity())};
      codes[j] = dac.encode_lanes(values)[0];
    });
    Arch::store_code_bytes(codes, to + i);
  }
}

/// `X`: float, encoded while it is read, or std::uint8_t, codes already.
template <class Arch, class X>
class EncodedRows {
 public:
  using Codes = typename Arch::Codes;
  using Element = typename Codes::Input;
  static constexpr std::size_t row_multiple = kCacheLine;
  static constexpr std::size_t elements_per_input = 1;

  EncodedRows(MatrixView<const X> x, const UniformQuantizer& dac) : x_(x), dac_(dac) {}

  std::size_t rows() const { return x_.rows(); }
  std::size_t depth() const { return x_.cols(); }
  const UniformQuantizer& dac() const { return dac_; }

  void read(const Range& rows, const Range& inputs, Element* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      encode(x_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
  }

  /// Rows that will be read, for fetching in parts. Not where there is much else between them.
  Prefetcher prefetcher(const Range& rows, std::size_t parts) const {
    if (rows.size == 0 || x_.row_stride() > 2 * x_.cols()) return {};
    return {x_.row(rows.begin), x_.row(rows.end() - 1) + x_.cols(), parts};
  }

 private:
  /// `count` inputs to codes, filled up with zeros to a multiple of row_multiple.
  void encode(const X* x, std::size_t count, Element* to) const {
    const std::size_t whole = count / row_multiple * row_multiple;
    if constexpr (std::is_same_v<X, std::uint8_t>) {
      Codes::prepare(x, whole, to);
    } else if constexpr (std::is_same_v<Element, std::uint8_t>) {
      encode_floats<Arch>(dac_, x, whole, to);
      Codes::prepare(to, whole, to);
    } else {
      for (std::size_t i = 0; i < whole; i += row_multiple) {
        std::uint8_t codes[row_multiple];
        encode_floats<Arch>(dac_, x + i, row_multiple, codes);
        Codes::prepare(codes, row_multiple, to + i);
      }
    }
    if (whole == count) return;
    alignas(kCacheLine) std::uint8_t rest[row_multiple] = {};
    const std::size_t left = count - whole;
    if constexpr (std::is_same_v<X, std::uint8_t>) {
      std::copy_n(x + whole, left, rest);
    } else {
      encode_last_floats<Arch>(dac_, x + whole, left, rest);
    }
    Codes::prepare(rest, row_multiple, to + whole);
  }

  MatrixView<const X> x_;
  const UniformQuantizer& dac_;  // the caller's
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
