// Products of complex matrices, y = x·wᵀ without conjugation, for amplitudes instead of
// intensities. A complex matrix lies in memory as pairs (real, imaginary), so x and y are views of
// floats with twice as many columns, read and written where they are:
//
//   x [batch, 2·in]   w [out, 2·in]   y [batch, 2·out]
//
// Each output takes two chains of FMA over its 2·in real products: re·re − im·im, and
// re·im + im·re. With these weights fused_gemm's stages act on real and imaginary parts alike.
#pragma once

#include <algorithm>
#include <cstddef>

#include "config.hpp"
#include "detail/rows/complex.hpp"
#include "matrix.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// Packs complex weights w [out, 2·in], pairs (real, imaginary): PackedWeights [2·out, 2·in].
/// Error: an odd number of columns; the weights are empty then.
inline PackedWeights pack_complex_weights(MatrixView<const float> w) {
  PackedWeights packed;
  if (w.cols() % 2 != 0) {
    detail::report_error((detail::Message()
                          << "lumina::pack_complex_weights: w is "
                          << detail::Shape{w.rows(), w.cols()}
                          << "; complex weights have pairs of columns, real and imaginary part")
                             .c_str());
    return packed;
  }
  detail::pack_rows_of_weights(detail::ComplexRows(w), packed);
  return packed;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
