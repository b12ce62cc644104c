// Rows of floats, each float split in three bf16 (simd/bf16.hpp), as a matrix unit reads them
// (Bf16OnUnit): step after step of 32 inputs, in each the three parts one after the other, in each
// of these the rows side by side.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../isa/tile_config.hpp"
#include "../simd/bf16.hpp"
#include "../simd/vectors.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// `Rows`: a source of floats, at most kUnitRows of which are read at once.
template <class Arch, RowSource Rows>
class Bf16Rows {
 public:
  using Element = std::uint16_t;
  static constexpr std::size_t row_multiple = kUnitTileBytes / sizeof(Element);
  static constexpr std::size_t elements_per_input = kBf16Parts;

  explicit Bf16Rows(const Rows& rows) : rows_(rows) {}

  std::size_t rows() const { return rows_.rows(); }
  std::size_t depth() const { return rows_.depth(); }

  /// Without gaps: the parts and steps follow each other.
  void read(const Range& rows, const Range& inputs, Element* to, std::size_t) const {
    const std::size_t part = rows.size * row_multiple;
    for (std::size_t begin = 0; begin < inputs.size; begin += row_multiple) {
      alignas(kCacheLine) float floats[kUnitRows * row_multiple];
      const std::size_t size = std::min(row_multiple, inputs.size - begin);
      if (size < row_multiple) std::fill_n(floats, part, 0.0f);
      rows_.read(rows, {inputs.begin + begin, size}, floats, row_multiple);
      split(floats, part, to + begin / row_multiple * kBf16Parts * part);
    }
  }

 private:
  /// `count`, a multiple of row_multiple, floats to three parts one after the other.
  static void split(const float* floats, std::size_t count, Element* to) {
    using Floats = typename Arch::template Batch<float>;
    for (std::size_t i = 0; i < count; i += Floats::size) {
      const auto parts = split_in_bf16(Floats::load_aligned(floats + i));
      unroll<kBf16Parts>([&](auto part) __attribute__((always_inline)) {
        Arch::store_codes(bits_as<std::int32_t>(parts[part]) >> 16, to + part * count + i);
      });
    }
  }

  Rows rows_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
