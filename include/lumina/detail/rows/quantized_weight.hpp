// Rows of weights, each quantized at a scale of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/aligned_buffer.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/largest_magnitude.hpp"
#include "../simd/vectors.hpp"
#include "weight_scale.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of weights (PlainRows, NoisyRows), each quantized with a scale for the largest
/// magnitude in that row of `w`; a row of zeros becomes one of zeros.
template <class Rows>
class QuantizedWeightRows {
 public:
  QuantizedWeightRows(MatrixView<const float> w, const Rows& rows, std::int32_t max_code)
      : w_(w), rows_(rows), max_code_(max_code) {}

  std::size_t rows() const { return rows_.rows(); }
  std::size_t cols() const { return rows_.cols(); }

  /// As PlainRows: blocks of 128 inputs on the stack.
  template <class F>
  void for_each_block(std::size_t first, std::size_t count, F f) const {
    float scales[kPanelColumns];
    for (std::size_t row = 0; row < count; ++row) {
      const std::uint32_t largest =
          largest_magnitude_bits<Native::Batch<float>>(w_.row(first + row), w_.cols());
      scales[row] = weight_scale(largest, max_code_);
    }
    rows_.for_each_block(first, count, [&](MatrixView<const float> block) {
      alignas(kCacheLine) float own[kPanelColumns * kStride];
      for (std::size_t begin = 0; begin < block.cols(); begin += kStride) {
        const std::size_t inputs = std::min(kStride, block.cols() - begin);
        for (std::size_t row = 0; row < count; ++row) {
          quantize(block.row(row) + begin, inputs, scales[row], own + row * kStride);
        }
        f(MatrixView<const float>(own, count, inputs, kStride));
      }
    });
  }

 private:
  static constexpr std::size_t kStride = kBlockColumns;

  void quantize(const float* from, std::size_t count, float scale, float* to) const {
    using Floats = Native::Batch<float>;
    const Floats step(scale), top(static_cast<float>(max_code_));
    if (scale == 0.0f) {
      std::fill_n(to, count, 0.0f);
      return;
    }
    for (std::size_t i = 0; i < count; i += Floats::size) {
      const Floats weights = i + Floats::size <= count ? Floats::load_unaligned(from + i)
                                                       : load_first<Floats>(from + i, count - i);
      product(symmetric_code(weights, step, top), step).store_aligned(to + i);
    }
  }

  MatrixView<const float> w_;
  Rows rows_;
  std::int32_t max_code_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
