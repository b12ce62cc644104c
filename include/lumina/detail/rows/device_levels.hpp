// Rows of weights on an array: the levels of its devices, and some columns of rows.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "levels.hpp"
#include "row_source.hpp"
#include "weight_scale.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// w [out, in] as levels of an array's devices, code / max_code in [−1, 1]; `scales`: what a
/// fully-on device of the array stands for, for each output, 0 where all of its weights are. (Rows
/// reach beyond the array; what is read there, nobody wants.)
class DeviceLevels : public FloatRows {
 public:
  DeviceLevels(MatrixView<const float> w, std::int32_t max_code, const float* scales)
      : w_(w), max_code_(max_code), scales_(scales) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t depth() const { return w_.cols(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float step =
          weight_scale(std::bit_cast<std::uint32_t>(scales_[rows.begin + row]), max_code_);
      SymmetricLevels(step, max_code_, 1.0f / static_cast<float>(max_code_))
          .quantize(w_.row(rows.begin + row) + inputs.begin, inputs.size, to + row * stride);
    }
  }

 private:
  MatrixView<const float> w_;
  std::int32_t max_code_;
  const float* scales_;
};

/// Some columns of rows of floats: whole blocks of 128 are read, for a source may make them only
/// from where a block begins.
template <RowSource Rows>
class ColumnsOf : public FloatRows {
 public:
  static constexpr std::size_t row_multiple = kBlockColumns;

  ColumnsOf(const Rows& rows, const Range& columns) : rows_(rows), columns_(columns) {}

  std::size_t rows() const { return rows_.rows(); }
  std::size_t depth() const { return columns_.size; }

  auto facts(const Range& rows) const { return facts_of(rows_, rows); }
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    read(rows, inputs, to, stride, facts(rows));
  }
  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride,
            const FactsOf<Rows>& facts) const {
    const std::size_t begin = columns_.begin + inputs.begin, end = begin + inputs.size;
    if (begin % kBlockColumns == 0) {
      read_with_facts(rows_, rows, {begin, inputs.size}, to, stride, facts);
      return;
    }
    alignas(kCacheLine) float block[kPanelColumns * kBlockColumns];
    for (std::size_t first = begin / kBlockColumns * kBlockColumns; first < end;
         first += kBlockColumns) {
      const Range now{first, std::min(kBlockColumns, rows_.depth() - first)};
      read_with_facts(rows_, rows, now, block, kBlockColumns, facts);
      const std::size_t from = std::max(first, begin), until = std::min(first + now.size, end);
      for (std::size_t row = 0; row < rows.size; ++row) {
        std::copy_n(block + row * kBlockColumns + from - first, until - from,
                    to + row * stride + from - begin);
      }
    }
  }

 private:
  Rows rows_;
  Range columns_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
