// The engine's calls: y = epilogue(x·wᵀ), each output written once.
//
//   x [batch, in]   w [out, in]   y [batch, out]
//
// Errors (see set_error_handler; nothing is written to y): shapes that do not fit, x or w
// overlapping y, missing data, a stage that does not fit the output.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

#include "config.hpp"
#include "detail/arch/native.hpp"
#include "detail/driver.hpp"
#include "detail/message.hpp"
#include "epilogue.hpp"
#include "executor.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// True where some element belongs to both views. Column ranges of one matrix do not overlap.
template <class T, class U>
bool overlap(MatrixView<T> a, MatrixView<U> b) {
  if (a.rows() == 0 || a.cols() == 0 || b.rows() == 0 || b.cols() == 0) return false;
  const auto begin = [](auto v) { return reinterpret_cast<std::uintptr_t>(v.data()); };
  const auto end = [](auto v) {
    return reinterpret_cast<std::uintptr_t>(v.row(v.rows() - 1) + v.cols());
  };
  if (begin(a) >= end(b) || begin(b) >= end(a)) return false;
  if (sizeof(T) != sizeof(U) || (a.rows() == 1 && b.rows() == 1)) return true;
  if (a.rows() > 1 && b.rows() > 1 && a.row_stride() != b.row_stride()) return true;
  // Rows of one stride: they are apart when the columns are, counted from a's first one.
  const std::size_t row_bytes = (a.rows() > 1 ? a.row_stride() : b.row_stride()) * sizeof(T);
  const std::size_t shift = begin(b) >= begin(a)
                                ? (begin(b) - begin(a)) % row_bytes
                                : (row_bytes - (begin(a) - begin(b)) % row_bytes) % row_bytes;
  return shift < a.cols() * sizeof(T) || shift + b.cols() * sizeof(U) > row_bytes;
}

inline bool report_false(const Message& message) {
  report_error(message.c_str());
  return false;
}

/// Reports the first thing wrong with a call's operands; `weights` has rows() and cols().
template <class Weights>
bool operands_valid(MatrixView<const float> x, const Weights& weights, MatrixView<float> y) {
  const auto shapes = [&] {
    Message message;
    message << "lumina::fused_gemm: x is " << Shape{x.rows(), x.cols()} << ", w is "
            << Shape{weights.rows(), weights.cols()} << ", y is " << Shape{y.rows(), y.cols()};
    return message;
  };
  if (x.cols() != weights.cols()) {
    return report_false(shapes() << "; x and w must have the same number of columns");
  }
  if (y.rows() != x.rows()) {
    return report_false(shapes() << "; y must have as many rows as x");
  }
  if (y.cols() != weights.rows()) {
    return report_false(shapes() << "; y must have as many columns as w has rows");
  }
  const bool empty = y.rows() == 0 || y.cols() == 0;
  if (!empty && (y.data() == nullptr || (x.data() == nullptr && x.cols() != 0))) {
    return report_false(shapes() << "; the data of x or y is missing");
  }
  if (overlap(x, y)) return report_false(shapes() << "; x and y overlap");
  if constexpr (std::is_convertible_v<const Weights&, MatrixView<const float>>) {
    const MatrixView<const float> w = weights;
    if (!empty && w.data() == nullptr && w.cols() != 0) {
      return report_false(shapes() << "; the data of w is missing");
    }
    if (overlap(w, y)) return report_false(shapes() << "; w and y overlap");
  }
  return true;
}

}  // namespace detail

/// y = epilogue(x·wᵀ). `weights`: PackedWeights, or a matrix or view w [out, in] of floats, which
/// is packed on the way (that allocates; packed weights do not). Without noise stages the key is
/// unused.
template <class Weights, class Epilogue, class Executor = Serial>
void fused_gemm(MatrixView<const float> x, const Weights& weights, MatrixView<float> y,
                const Epilogue& epilogue, const NoiseKey& key = {}, const Executor& executor = {}) {
  if (!detail::operands_valid(x, weights, y) ||
      !detail::stage_valid_for(epilogue, y.rows(), y.cols())) {
    return;
  }
  if constexpr (std::is_same_v<Weights, PackedWeights>) {
    detail::run_fused_gemm<detail::Native>(x, weights, y, epilogue, key, executor);
  } else {
    detail::run_fused_gemm<detail::Native>(x, pack_weights(weights), y, epilogue, key, executor);
  }
}

/// y = adc(x·wᵀ + noise_stddev·N(0, 1)); the normal of y(row, col) is standard_normal_at(key, row,
/// col). noise_stddev = 0 draws none.
template <int Bits, class Executor = Serial>
void fused_gemm_noise_quant(MatrixView<const float> x, const PackedWeights& w, MatrixView<float> y,
                            float noise_stddev, const Quantizer<Bits>& adc, const NoiseKey& key,
                            const Executor& executor = {}) {
  if (noise_stddev == 0.0f) {
    fused_gemm(x, w, y, epilogue(adc), key, executor);
  } else {
    fused_gemm(x, w, y, epilogue(GaussianNoise{noise_stddev}, adc), key, executor);
  }
}

/// The same with weights w [out, in] that are packed on the way.
template <int Bits, class Executor = Serial>
void fused_gemm_noise_quant(MatrixView<const float> x, MatrixView<const float> w,
                            MatrixView<float> y, float noise_stddev, const Quantizer<Bits>& adc,
                            const NoiseKey& key, const Executor& executor = {}) {
  if (noise_stddev == 0.0f) {
    fused_gemm(x, w, y, epilogue(adc), key, executor);
  } else {
    fused_gemm(x, w, y, epilogue(GaussianNoise{noise_stddev}, adc), key, executor);
  }
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
