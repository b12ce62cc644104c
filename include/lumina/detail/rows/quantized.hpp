// Rows of x behind a DAC, as floats.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../simd/transpose.hpp"
#include "../simd/vectors.hpp"
#include "row_source.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of x behind a DAC.
template <class Arch>
class QuantizedRows : public FloatRows {
 public:
  QuantizedRows(MatrixView<const float> x, const UniformQuantizer& dac) : x_(x), dac_(dac) {}

  std::size_t rows() const { return x_.rows(); }
  std::size_t depth() const { return x_.cols(); }

  void read(const Range& rows, const Range& inputs, float* to, std::size_t stride) const {
    using Floats = typename Arch::template Batch<float>;
    const UniformQuantizer dac = dac_;
    for (std::size_t row = 0; row < rows.size; ++row) {
      const float* const from = x_.row(rows.begin + row) + inputs.begin;
      float* const own = to + row * stride;
      std::size_t i = 0;
      for (; i + Floats::size <= inputs.size; i += Floats::size) {
        dac.quantize_lanes(Floats::load_unaligned(from + i)).store_aligned(own + i);
      }
      if (i < inputs.size) {
        const Floats rest = load_first<Floats>(from + i, inputs.size - i);
        store_first(dac.quantize_lanes(rest), own + i, inputs.size - i);
      }
    }
  }

 private:
  MatrixView<const float> x_;
  const UniformQuantizer& dac_;  // the caller's
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
