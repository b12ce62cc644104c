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
      const std::uint32_t largest = largest_magnitude_bits(w_.row(first + row), w_.cols());
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
  static constexpr std::size_t kStride = kNoisePanelColumns;

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

inline bool weight_bits_valid(MatrixView<const float> w, int bits) {
  if (bits >= 2 && bits <= 16) return true;
  report_error((Message() << "lumina::pack_quantized_weights: w is " << Shape{w.rows(), w.cols()}
                          << "; bits must be in 2..16")
                   .c_str());
  return false;
}

/// Reports missing data and weights that are not finite.
inline bool weights_quantizable(MatrixView<const float> w) {
  if (!weights_there(w)) return false;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    if (checked_magnitude_bits(w, row) == kNotFinite) return false;
  }
  return true;
}

}  // namespace detail

/// Packs what w [out, in] becomes on a device of `bits` bits with a scale for each output,
/// 2 ≤ bits ≤ 16: SymmetricQuantizer's rule, as encode_weights.
/// Errors: other bits; a weight that is infinite or NaN; `packed` is as before then.
inline void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, int bits) {
  if (!detail::weight_bits_valid(w, bits) || !detail::weights_quantizable(w)) return;
  detail::pack_rows_of_weights(
      detail::QuantizedWeightRows(w, detail::PlainRows(w), detail::max_weight_code(bits)), packed);
}
/// The same with the number of bits in the type's place.
template <int Bits>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed) {
  static_assert(Bits >= 2 && Bits <= 16, "lumina::pack_quantized_weights: Bits must be in 2..16");
  pack_quantized_weights(w, packed, Bits);
}

/// The same with noise on the weights, at the scales of those without it.
/// Errors: also those of the noise.
template <WeightNoise Noise>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, int bits,
                            const Noise& noise, const NoiseKey& key) {
  if (!detail::weight_bits_valid(w, bits) || !detail::weights_quantizable(w)) return;
  const float largest = detail::largest_magnitude(w);
  if (!detail::noise_valid_for(noise, w, largest)) return;
  const detail::PerturbedRows perturbed(w, noise.perturbation(largest), key);
  detail::pack_rows_of_weights(
      detail::QuantizedWeightRows(w, perturbed, detail::max_weight_code(bits)), packed);
}
template <int Bits, WeightNoise Noise>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, const Noise& noise,
                            const NoiseKey& key) {
  static_assert(Bits >= 2 && Bits <= 16, "lumina::pack_quantized_weights: Bits must be in 2..16");
  pack_quantized_weights(w, packed, Bits, noise, key);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
