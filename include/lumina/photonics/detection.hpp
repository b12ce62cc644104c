// What a photodiode sees of complex amplitudes, outputs of a call with pack_complex_weights.
#pragma once

#include <cstddef>

#include "../config.hpp"
#include "../detail/base/message.hpp"
#include "../detail/base/scalar_math.hpp"
#include "../matrix.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

enum class Detection {
  intensity,  ///< |z|² = fma(re, re, im·im), the product rounded
  magnitude,  ///< |z|, the square root of that
};

/// y [batch, out] from amplitudes [batch, 2·out], pairs (real, imaginary). Errors, before anything
/// is written: other shapes, overlapping matrices but for y in the first columns of the amplitudes'
/// own memory with the same stride, missing data. The result: whether it ran.
inline bool detect(MatrixView<const float> amplitudes, MatrixView<float> y,
                   Detection detection = Detection::intensity) {
  const auto refuse = [&](const char* problem) {
    detail::report_error((detail::Message()
                          << "lumina::detect: the amplitudes are "
                          << detail::Shape{amplitudes.rows(), amplitudes.cols()} << ", y is "
                          << detail::Shape{y.rows(), y.cols()} << problem)
                             .c_str());
    return false;
  };
  if (amplitudes.rows() != y.rows() || amplitudes.cols() != 2 * y.cols()) {
    return refuse("; there must be two columns of amplitudes for each of y");
  }
  if (y.rows() == 0 || y.cols() == 0) return true;
  if (amplitudes.data() == nullptr || y.data() == nullptr) return refuse("; data is missing");
  const bool in_place = y.data() == amplitudes.data() && y.row_stride() == amplitudes.row_stride();
  if (!in_place && overlap(amplitudes, y)) return refuse("; they overlap");
  for (std::size_t row = 0; row < y.rows(); ++row) {
    const float* const from = amplitudes.row(row);
    float* const to = y.row(row);
    for (std::size_t col = 0; col < y.cols(); ++col) {
      const float re = from[2 * col], im = from[2 * col + 1];
      const float intensity = detail::fused_multiply_add(re, re, detail::product(im, im));
      to[col] = detection == Detection::intensity ? intensity : __builtin_sqrtf(intensity);
    }
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
