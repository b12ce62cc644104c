// Whether all elements of a matrix are numbers: NaN and infinities pass through products unseen.
#pragma once

#include <cstddef>
#include <cstdint>

#include "config.hpp"
#include "detail/isa/native.hpp"
#include "detail/simd/largest_magnitude.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// True where no element is NaN or infinite.
inline bool all_finite(MatrixView<const float> values) {
  using Floats = detail::Native::Batch<float>;
  constexpr std::uint32_t kInfinity = 0x7f800000u;  // its bits; those of NaN are more
  for (std::size_t row = 0; row < values.rows(); ++row) {
    const float* const from = values.row(row);
    if (detail::largest_magnitude_bits<Floats>(from, values.cols()) >= kInfinity) return false;
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
