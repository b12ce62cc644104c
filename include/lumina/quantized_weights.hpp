// Weights of more bits than codes are multiplied with, for the f32 engine: what symmetric codes of
// 9 to 16 bits stand for, quantized while they are packed. (With 8 bits or fewer CodedWeights are
// faster, and exact.)
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/isa/native.hpp"
#include "detail/rows/matrix.hpp"
#include "detail/rows/noisy.hpp"
#include "detail/rows/quantized_weight.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"
#include "weight_noise.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

inline bool weight_bits_valid(MatrixView<const float> w, int bits) {
  if (bits >= 2 && bits <= 16) return true;
  report_error((Message() << "lumina::pack_quantized_weights: w is " << Shape{w.rows(), w.cols()}
                          << "; bits must be in 2..16")
                   .c_str());
  return false;
}

/// Reports bits that there are not, missing data, weights that are not finite, and scales that are
/// none.
inline bool weights_quantizable(MatrixView<const float> w, int bits,
                                std::span<const float> scales) {
  if (!weight_bits_valid(w, bits) || !weights_there(w)) return false;
  if (!scales.empty() && !weight_scales_valid(w, scales)) return false;
  if (w.cols() == 0) return true;  // however many rows
  for (std::size_t row = 0; row < w.rows(); ++row) {
    if (checked_magnitude_bits(w, row) == kNotFinite) return false;
  }
  return true;
}

}  // namespace detail

/// Packs what w [out, in] becomes on a device of `bits` bits with a scale for each output,
/// 2 ≤ bits ≤ 16: SymmetricQuantizer's rule, as encode_weights. `scales`: those of the caller, what
/// code 1 is worth for each output, beyond ±max_code·scale weights saturate; none: for the largest
/// magnitudes of w.
/// Errors: other bits; a weight that is infinite or NaN; scales that encode_weights refuses;
/// `packed` is as before then.
inline void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, int bits,
                                   std::span<const float> scales = {}) {
  if (!detail::weights_quantizable(w, bits, scales)) return;
  detail::pack_rows_of_weights(
      detail::QuantizedWeightRows(w, detail::max_weight_code(bits), scales.data()), packed);
}
/// The same with the number of bits in the type's place.
template <int Bits>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed,
                            std::span<const float> scales = {}) {
  static_assert(Bits >= 2 && Bits <= 16, "lumina::pack_quantized_weights: Bits must be in 2..16");
  pack_quantized_weights(w, packed, Bits, scales);
}

/// The same with noise on what w becomes: levels, then noise.
/// Errors: also those of the noise.
template <WeightNoise Noise>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, int bits,
                            const Noise& noise, const NoiseKey& key,
                            std::span<const float> scales = {}) {
  if (!detail::weights_quantizable(w, bits, scales)) return;
  const float largest = detail::largest_magnitude(w);
  if (!detail::noise_valid_for(noise, w, largest)) return;
  const detail::QuantizedWeightRows levels(w, detail::max_weight_code(bits), scales.data());
  detail::pack_rows_of_weights(detail::noisy_rows(levels, w, noise, largest, key), packed);
}
template <int Bits, WeightNoise Noise>
void pack_quantized_weights(MatrixView<const float> w, PackedWeights& packed, const Noise& noise,
                            const NoiseKey& key, std::span<const float> scales = {}) {
  static_assert(Bits >= 2 && Bits <= 16, "lumina::pack_quantized_weights: Bits must be in 2..16");
  pack_quantized_weights(w, packed, Bits, noise, key, scales);
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
