// Clipping and remapping of weights, for hardware-aware training: what the field's simulators do to
// the parameters themselves behind each step of an optimiser (aihwkit: WeightClipType,
// WeightRemapType), in the pass that encodes them.
//
//   clip_and_encode(w, coded, 4, ClipGaussian{2.5f}, AdditiveWeightNoise{0.03f}, key);
//
// In this order: w is clipped in place, the scales are chosen for what is left of it (the remap: a
// fully-on device stands for the largest weight of the layer or of the output), the weights get
// their levels and their noise and are encoded.
//
//   ClipFixed      to ± value
//   ClipGaussian   to ± some standard deviations of all of w
//   ClipAverage    to ± the mean of the outputs' largest magnitudes
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/rows/matrix.hpp"
#include "detail/simd/moments.hpp"
#include "detail/simd/vectors.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "weight_noise.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

inline constexpr float kNoClip = std::numeric_limits<float>::infinity();

/// What bounds may depend on; rows are looked at in ascending order.
struct WeightStatistics {
  Moments moments;
  double sum_of_largest = 0.0;  ///< of each output's largest magnitude
  std::size_t outputs = 0;
};

/// No bound where it would be 0, as of no weights or equal ones.
inline float bound_of(double bound, float most) {
  if (!(bound > 0.0)) return kNoClip;
  return static_cast<float>(std::min(bound, static_cast<double>(most)));
}

inline bool valid_bound(float bound, const char* what) {
  if (bound > 0.0f) return true;
  report_error((Message() << what << " must be positive").c_str());
  return false;
}

}  // namespace detail

/// |w| ≤ value. Error: a value that is not positive.
struct ClipFixed {
  float value;

  static constexpr bool needs_moments = false;
  bool valid() const { return detail::valid_bound(value, "lumina::ClipFixed: value"); }
  float bound(const detail::WeightStatistics&) const { return value; }
};

/// |w| ≤ deviations·√(Σ(w − mean)² / (n − 1)), over all of w, and ≤ most. The sums are made in
/// double in a fixed order. Error: deviations or a most that are not positive.
struct ClipGaussian {
  float deviations = 2.5f;
  float most = detail::kNoClip;

  static constexpr bool needs_moments = true;
  bool valid() const {
    return detail::valid_bound(deviations, "lumina::ClipGaussian: deviations") &&
           detail::valid_bound(most, "lumina::ClipGaussian: most");
  }
  float bound(const detail::WeightStatistics& of) const {
    return detail::bound_of(static_cast<double>(deviations) * of.moments.deviation(), most);
  }
};

/// |w| ≤ the mean over the outputs of max |w|, and ≤ most. Error: a most that is not positive.
struct ClipAverage {
  float most = detail::kNoClip;

  static constexpr bool needs_moments = false;
  bool valid() const { return detail::valid_bound(most, "lumina::ClipAverage: most"); }
  float bound(const detail::WeightStatistics& of) const {
    if (of.outputs == 0) return detail::kNoClip;
    return detail::bound_of(of.sum_of_largest / static_cast<double>(of.outputs), most);
  }
};

/// What clips weights.
template <class T>
concept WeightClip = requires(const T clip, const detail::WeightStatistics statistics) {
  { T::needs_moments } -> std::convertible_to<bool>;
  { clip.valid() } -> std::convertible_to<bool>;
  { clip.bound(statistics) } -> std::convertible_to<float>;
};

namespace detail {

inline void clip_row(float* weights, std::size_t count, float bound) {
  using Floats = Native::Batch<float>;
  const Floats hi(bound), lo(-bound);
  std::size_t k = 0;
  for (; k + Floats::size <= count; k += Floats::size) {
    clamp_keeping_nan(Floats::load_unaligned(weights + k), lo, hi).store_unaligned(weights + k);
  }
  for (; k < count; ++k) weights[k] = std::clamp(weights[k], -bound, bound);
}

/// The encoder's scales of what a clip leaves, with w clipped on the way, where fits(the largest
/// magnitude that is left). The result: whether there are scales; if not, w is as it was.
template <int Bits, WeightClip Clip, class Fits>
bool clip_and_choose_scales(MatrixView<float> w, WeightEncoder<Bits>& encoder, const Clip& clip,
                            WeightScale how, Fits fits) {
  if (!clip.valid()) return false;
  WeightStatistics statistics;
  float bound = kNoClip, largest = 0.0f;
  bool known = false, fitting = true;
  const auto look = [&](std::size_t row, float of_row) {
    if constexpr (Clip::needs_moments) statistics.moments.add(w.row(row), w.cols());
    statistics.sum_of_largest += static_cast<double>(of_row);
    ++statistics.outputs;
    largest = std::max(largest, of_row);
  };
  const auto limit = [&](std::size_t row, float of_row) {
    if (!known) {
      known = true;
      bound = clip.bound(statistics);
      fitting = fits(std::min(largest, bound));
    }
    if (!fitting || !(of_row > bound)) return of_row;
    clip_row(w.row(row), w.cols(), bound);
    return bound;
  };
  return encoder.choose_scales(how, look, limit) && fitting;
}

}  // namespace detail

/// The bound to which `clip` would clip w [out, in]; infinite where it clips nothing, as of no
/// weights. Errors: those of the clip, missing data, a weight that is infinite or NaN; the result
/// is infinite then.
template <WeightClip Clip>
float clip_bound(MatrixView<const float> w, const Clip& clip) {
  detail::WeightStatistics statistics;
  if (!clip.valid() || !detail::weights_there(w)) return detail::kNoClip;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const std::uint32_t largest = detail::checked_magnitude_bits(w, row);
    if (largest == detail::kNotFinite) return detail::kNoClip;
    if constexpr (Clip::needs_moments) statistics.moments.add(w.row(row), w.cols());
    statistics.sum_of_largest += static_cast<double>(std::bit_cast<float>(largest));
    ++statistics.outputs;
  }
  return clip.bound(statistics);
}

/// Clips w [out, in] in place. The result: the bound, as clip_bound's.
template <WeightClip Clip>
float clip_weights(MatrixView<float> w, const Clip& clip) {
  const float bound = clip_bound(MatrixView<const float>(w), clip);
  if (bound <= std::numeric_limits<float>::max()) {
    for (std::size_t row = 0; row < w.rows(); ++row) detail::clip_row(w.row(row), w.cols(), bound);
  }
  return bound;
}

/// Clips w [out, in] in place and encodes it, as clip_weights and encode_weights do, in one pass
/// over w less. Errors: those of both, before anything is written. The result: whether it was done.
template <int Bits, WeightClip Clip>
bool clip_and_encode(MatrixView<float> w, CodedWeights<Bits>& coded, const Clip& clip,
                     WeightScale how = WeightScale::per_output) {
  detail::WeightEncoder<Bits> encoder(w, coded);
  if (!detail::clip_and_choose_scales(w, encoder, clip, how, [](float) { return true; })) {
    return false;
  }
  encoder.encode(detail::MatrixRows(w));
  return true;
}

/// The same with noise on levels of `bits` bits, 2 … 8 (weight_noise.hpp). Errors: also those of
/// the noise.
template <WeightClip Clip, WeightNoise Noise>
bool clip_and_encode(MatrixView<float> w, CodedWeights<8>& coded, int bits, const Clip& clip,
                     const Noise& noise, const NoiseKey& key,
                     WeightScale how = WeightScale::per_output) {
  if (!detail::weight_bits_valid<8>(w, bits)) return false;
  const std::int32_t max_code = detail::max_weight_code(bits);
  detail::WeightEncoder<8> encoder(w, coded, max_code);
  const auto fits = [&](float largest) { return detail::noise_valid_for(noise, w, largest); };
  return detail::clip_and_choose_scales(w, encoder, clip, how, fits) &&
         detail::encode_with_noise(encoder, w, max_code, noise, key);
}

/// The remap alone: the scales that encode_weights(w, …, bits, how) chooses, what code 1 is worth
/// for each output, to be kept while w changes (frozen scales). Errors: bits outside 2 … 16, a
/// number of scales other than w.rows(), missing data, a weight that is infinite or NaN; nothing is
/// written then. The result: whether they were written.
inline bool choose_weight_scales(MatrixView<const float> w, int bits, std::span<float> scales,
                                 WeightScale how = WeightScale::per_output) {
  if (bits < 2 || bits > 16 || scales.size() != w.rows()) {
    detail::report_error((detail::encoding_error(w)
                          << ", there are " << scales.size()
                          << " scales; w needs one for each row, and bits must be in 2..16")
                             .c_str());
    return false;
  }
  if (!detail::weights_there(w)) return false;
  const std::int32_t max_code = detail::max_weight_code(bits);
  std::uint32_t largest = 0;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const std::uint32_t of_row = detail::checked_magnitude_bits(w, row);
    if (of_row == detail::kNotFinite) return false;
    largest = std::max(largest, of_row);
  }
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const std::uint32_t of_row =
        how == WeightScale::per_matrix ? largest : detail::checked_magnitude_bits(w, row);
    scales[row] = detail::weight_scale(of_row, max_code);
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
