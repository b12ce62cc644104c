// Rows of weights on an array: the levels of its devices.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "levels.hpp"
#include "row_source.hpp"
#include "weight_scale.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The weights w [out, inputs] of an array as levels of its devices, code / max_code in [−1, 1];
/// `scales`: what a fully-on device stands for, for each output, 0 where all of its weights are.
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

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
