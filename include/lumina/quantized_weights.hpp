// Weights of more bits than codes are multiplied with, for the f32 engine: what symmetric codes of
// 9 to 16 bits stand for, quantized while they are packed. (With 8 bits or fewer CodedWeights are
// faster, and exact.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/arch/native.hpp"
#include "detail/simd.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weight_noise.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// Rows of weights (PlainRows, PerturbedRows), each quantized with a scale for the largest
/// magnitude in that row of `w`; a row of zeros becomes one of zeros.
template <int Bits, class Rows>
class QuantizedWeightRows {
 public:
  QuantizedWeightRows(MatrixView<const float> w, const Rows& rows) : w_(w), rows_(rows) {}

  std::size_t rows() const { return rows_.rows(); }
  std::size_t cols() const { return rows_.cols(); }

  /// As PlainRows: blocks of 128 inputs on the stack.
  template <class F>
  void for_each_block(std::size_t first, std::size_t count, F f) const {
    float scales[kPanelColumns];
    for (std::size_t row = 0; row < count; ++row) {
      const std::uint32_t largest = largest_magnitude_bits(w_.row(first + row), w_.cols());
      scales[row] = weight_scale(largest, SymmetricQuantizer<Bits>::max_code);
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
  static constexpr std::size_t kStride = kNoisePanelColumns;

  static void quantize(const float* from, std::size_t count, float scale, float* to) {
    using Floats = Native::Batch<float>;
    const Floats step(scale), top(static_cast<float>(SymmetricQuantizer<Bits>::max_code));
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
};

/// Reports missing data and weights that are not finite.
inline bool weights_quantizable(MatrixView<const float> w) {
  if (!weights_there(w)) return false;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    if (checked_magnitude_bits(w, row) == kNotFinite) return false;
  }
  return true;
}

}  // namespace detail

/// Packs what w [out, in] becomes on a device of `Bits` bits with a scale for each output,
/// 2 ≤ Bits ≤ 16: SymmetricQuantizer's rule, as encode_weights.
/// Error: a weight that is infinite or NaN; `packed` is as before then.
template <int Bits>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed) {
  if (!detail::weights_quantizable(w)) return;
  using Rows = detail::QuantizedWeightRows<Bits, detail::PlainRows>;
  detail::pack_rows_of_weights(Rows(w, detail::PlainRows(w)), packed);
}

/// The same with noise on the weights, at the scales of those without it.
/// Errors: also those of the noise.
template <int Bits, WeightNoise Noise>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, const Noise& noise,
                            const NoiseKey& key) {
  if (!detail::weights_quantizable(w)) return;
  const float largest = detail::largest_magnitude(w);
  if (!noise.valid_for(largest)) return;
  const detail::PerturbedRows perturbed(w, noise.perturbation(largest), key);
  using Rows = detail::QuantizedWeightRows<Bits, std::remove_cv_t<decltype(perturbed)>>;
  detail::pack_rows_of_weights(Rows(w, perturbed), packed);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
