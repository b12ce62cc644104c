// Noise on weights, for hardware-aware training: each step packs or encodes w with noise of its
// own,
//
//   encode_weights(w, coded, 4, MultiplicativeWeightNoise{0.03f}, NoiseKey{seed, step});
//
// and the gradient by w goes through gradient_stage(). The weights of an analog device deviate from
// what was programmed; a network that was trained with deviations does not depend on them.
//
// With n the normal N(0, 1) that standard_normal_at(key, output, input) is, a weight w becomes
//
//   AdditiveWeightNoise        w + stddev·max|w|·n, max over the whole matrix
//   MultiplicativeWeightNoise  w·(1 + stddev·n)
//   DropConnect                0 with `probability`, otherwise w
//
// weight_modifiers.hpp has more. The noise is applied while w is packed: w stays as it is, and
// there is no noisy copy of it.
//
// Levels, then noise, then grid: a device of 4 bits is programmed to one of its 15 levels, and
// deviates from that. So encoded are the levels of w first, with the scales of w without noise;
// these with noise then, in 8 bits whatever the levels have. The grid's spacing is that of 127
// codes up to four standard deviations beyond the largest level; beyond it codes saturate.
//
// A type of one's own works like these: see the concept WeightNoise.
#pragma once

#include <algorithm>
#include <array>
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
#include "detail/rows/noisy.hpp"
#include "detail/rows/quantized_weight.hpp"
#include "detail/simd/largest_magnitude.hpp"
#include "detail/simd/vectors.hpp"
#include "epilogue.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "weights.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// The stage of a derivative of 1.
struct GradientPasses {
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& gradient, const Coordinates&, const ActiveLanes&,
                         const Normals&) const {
    return gradient;
  }
};

/// The stage of two noises: the first one's normal is draw 0, the second one's draw 1, whether they
/// need it or not.
template <class First, class Second>
struct GradientOfTwo {
  First first;
  Second second;

  static constexpr std::size_t normals_per_element = 2;
  template <class Floats>
  constexpr Floats apply(const Floats& gradient, const Coordinates& at, const ActiveLanes& active,
                         const std::array<Floats, 2>& normals) const {
    return through(first, through(second, gradient, at, active, normals[1]), at, active,
                   normals[0]);
  }

 private:
  template <class Stage, class Floats>
  static constexpr Floats through(const Stage& stage, const Floats& gradient, const Coordinates& at,
                                  const ActiveLanes& active, const Floats& normal) {
    static_assert(normals_of<Stage> <= 1);
    std::array<Floats, normals_of<Stage>> own;
    for (Floats& of_stage : own) of_stage = normal;
    return stage.apply(gradient, at, active, own);
  }
};

/// The stage of noise that is linear in w: the gradient is perturbed as the weights were.
template <class Perturbation>
struct GradientPerturbed {
  Perturbation perturbation;

  static constexpr std::size_t normals_per_element = 1;
  template <class Floats>
  constexpr Floats apply(const Floats& gradient, const Coordinates&, const ActiveLanes&,
                         const std::array<Floats, 1>& normals) const {
    return perturbation(gradient, normals[0]);
  }
};

/// max |w|; infinite or NaN where a weight is.
inline float largest_magnitude(MatrixView<const float> w) {
  std::uint32_t largest = 0;
  for (std::size_t row = 0; row < w.rows(); ++row) {
    largest = std::max(largest, largest_magnitude_bits<Native::Batch<float>>(w.row(row), w.cols()));
  }
  return std::bit_cast<float>(largest);
}

inline bool valid_weight_deviation(float stddev, float largest_magnitude, const char* what) {
  if (!valid_strength(stddev, what)) return false;
  if (product(stddev, largest_magnitude) <= std::numeric_limits<float>::max()) return true;
  report_error((Message() << what << " times the largest weight must be finite").c_str());
  return false;
}

/// The x below which a normal N(0, 1) lies with this probability, 0 < probability < 1: Φ(x) in
/// double, bisected.
inline double normal_quantile(double probability) {
  double below = -40.0, above = 40.0;
  for (int i = 0; i < 70; ++i) {
    const double middle = 0.5 * (below + above);
    const bool small = 0.5 * std::erfc(-middle * 0.70710678118654752440) < probability;
    (small ? below : above) = middle;
  }
  return above;
}

template <class T>
concept PerturbsWeights = requires(const T noise, float largest, Native::Batch<float> vector) {
  requires requires {
    { noise.perturbation(largest)(vector, vector) } -> std::convertible_to<decltype(vector)>;
  } || requires {
    { noise.perturbation(largest)(vector) } -> std::convertible_to<decltype(vector)>;
  } || requires {
    noise.two_noises;
  };
};

}  // namespace detail

/// w + stddev·max|w|·n: fma(product(stddev, max|w|), n, w). max|w| is that of the whole matrix.
/// Errors: a stddev that is negative, infinite or NaN; stddev·max|w| that is not finite.
struct AdditiveWeightNoise {
  float stddev;

  struct Perturbation {
    float deviation;
    template <class Floats>
    constexpr Floats operator()(const Floats& weights, const Floats& normals) const {
      return fused_multiply_add(Floats(deviation), normals, weights);
    }
  };
  constexpr Perturbation perturbation(float largest_magnitude) const {
    return {product(stddev, largest_magnitude)};
  }
  bool valid_for(float largest_magnitude) const {
    return detail::valid_weight_deviation(stddev, largest_magnitude,
                                          "lumina::AdditiveWeightNoise: stddev");
  }
  constexpr float deviation(float, float largest_magnitude) const {
    return product(stddev, largest_magnitude);
  }
  /// The gradient passes; the deviation counts as a constant (straight-through).
  detail::GradientPasses gradient_stage() const { return {}; }
};

/// w·(1 + stddev·n): fma(product(w, stddev), n, w).
/// Errors: as AdditiveWeightNoise.
struct MultiplicativeWeightNoise {
  float stddev;

  struct Perturbation {
    float stddev;
    template <class Floats>
    constexpr Floats operator()(const Floats& weights, const Floats& normals) const {
      return fused_multiply_add(product(weights, Floats(stddev)), normals, weights);
    }
  };
  constexpr Perturbation perturbation(float) const { return {stddev}; }
  bool valid_for(float largest_magnitude) const {
    return detail::valid_weight_deviation(stddev, largest_magnitude,
                                          "lumina::MultiplicativeWeightNoise: stddev");
  }
  constexpr float deviation(float highest_level, float) const {
    return product(stddev, highest_level);
  }
  /// The gradient g becomes g·(1 + stddev·n): fma(product(g, stddev), n, g).
  detail::GradientPerturbed<Perturbation> gradient_stage() const { return {{stddev}}; }
};

/// 0 with this probability, otherwise w: as Wan et al., "Regularization of neural networks using
/// DropConnect" (2013), the weights that are left are not scaled up. A weight is dropped where
/// n < threshold().
/// Error: a probability outside [0, 1).
struct DropConnect {
  float probability;

  struct Perturbation {
    float threshold;
    template <class Floats>
    constexpr Floats operator()(const Floats& weights, const Floats& normals) const {
      return select(normals < Floats(threshold), Floats(0.0f), weights);
    }
  };
  /// Φ⁻¹(probability), exact but for its rounding to float. The part of weights dropped is expected
  /// to differ from `probability` by a few 10^-6 at most, as the normals have errors of that size.
  float threshold() const {
    if (!(probability > 0.0f)) return -std::numeric_limits<float>::infinity();
    return static_cast<float>(detail::normal_quantile(static_cast<double>(probability)));
  }
  Perturbation perturbation(float) const { return {threshold()}; }
  bool valid_for(float) const {
    if (probability >= 0.0f && probability < 1.0f) return true;
    detail::report_error("lumina::DropConnect: probability must be in [0, 1)");
    return false;
  }
  /// The gradient is 0 where the weight was dropped.
  detail::GradientPerturbed<Perturbation> gradient_stage() const { return {{threshold()}}; }
};

/// What pack_weights and encode_weights take: the value says whether it fits weights of this
/// largest magnitude (if not, it has reported an error), makes a function perturbation(weights,
/// normals) of vectors (or of weights alone), and the stage by which the gradient by the perturbed
/// weights [out, in] becomes that by the weights. The stage gets the normals that the weights got
/// where it stands in an epilogue as the first one with noise, with the key of the weights' noise.
///
/// Optional: float deviation(highest level, largest magnitude) const, the largest standard
/// deviation of a weight that lies between ± that level, for the headroom of encoded weights (none:
/// 0, what lies beyond the highest level saturates); `static constexpr bool per_output = true`: the
/// largest magnitude is that of the weight's own output, not of w.
template <class T>
concept WeightNoise = requires(const T noise, float largest_magnitude) {
  { noise.valid_for(largest_magnitude) } -> std::convertible_to<bool>;
  requires detail::PerturbsWeights<T>;
  { noise.gradient_stage() } -> Stage;
};

namespace detail {

template <class Noise>
bool noise_valid_for(const Noise& noise, MatrixView<const float> w, float magnitude) {
  return passes_or_reports([&] { return static_cast<bool>(noise.valid_for(magnitude)); },
                           "a weight noise refused w", {w.rows(), w.cols()});
}

}  // namespace detail

/// Packs w [out, in] with noise into `packed`, as pack_weights(w, packed).
/// Errors: those of the noise; `packed` is as before then.
template <WeightNoise Noise>
void pack_weights(MatrixView<const float> w, PackedWeights& packed, const Noise& noise,
                  const NoiseKey& key) {
  const float magnitude = detail::largest_magnitude(w);
  if (!detail::noise_valid_for(noise, w, magnitude)) return;
  detail::pack_rows_of_weights(detail::noisy_rows(detail::MatrixRows(w), w, noise, magnitude, key),
                               packed);
}

/// Packs w [out, in] with noise.
template <WeightNoise Noise>
PackedWeights pack_weights(MatrixView<const float> w, const Noise& noise, const NoiseKey& key) {
  PackedWeights packed;
  pack_weights(w, packed, noise, key);
  return packed;
}

namespace detail {

/// What code 1 is worth of a weight whose levels are up to ±max_code·level_scale, once it deviates
/// from them: spacing (highest level + 4 deviations) / 127. Without a deviation the finest spacing
/// on which every level lies.
constexpr float grid_scale(float level_scale, std::int32_t max_code, float deviation) {
  constexpr std::int32_t kTop = CodedWeights<8>::max_code;
  if (!(deviation > 0.0f)) return level_scale / static_cast<float>(kTop / max_code);
  // In double the sum is rounded once, whether it is contracted or not.
  const double highest = static_cast<double>(level_scale) * max_code;
  const double spacing = (highest + 4.0 * static_cast<double>(deviation)) / kTop;
  constexpr auto kLargest = static_cast<double>(std::numeric_limits<float>::max());
  return std::max(static_cast<float>(std::min(spacing, kLargest)),
                  std::numeric_limits<float>::denorm_min());
}

/// A noise's largest deviation of a row's weights; 0 where it says none. Independent ones add up in
/// squares.
template <class Noise>
constexpr float deviation_of(const Noise& noise, float highest_level, float largest,
                             float row_largest) {
  if constexpr (requires { noise.two_noises; }) {
    const double first = deviation_of(noise.first(), highest_level, largest, row_largest);
    const double second = deviation_of(noise.second(), highest_level, largest, row_largest);
    const double square = first * first;
    return static_cast<float>(std::sqrt(square + second * second));
  } else if constexpr (requires { noise.deviation(highest_level, largest); }) {
    return noise.deviation(highest_level, is_per_output<Noise> ? row_largest : largest);
  } else {
    return 0.0f;
  }
}

/// Levels, then noise, then grid, after the scales; whether the noise fits.
template <class Noise>
bool encode_with_noise(WeightEncoder<8>& encoder, MatrixView<const float> w, std::int32_t max_code,
                       const Noise& noise, const NoiseKey& key) {
  const float largest = encoder.largest_magnitude();
  if (!noise_valid_for(noise, w, largest)) return false;
  const float* const scales = encoder.scales();
  const auto scale_of = [&](std::size_t row) {
    const float highest = product(scales[row], static_cast<float>(max_code));
    float row_largest = largest;
    if constexpr (any_per_output<Noise>) {
      row_largest =
          std::bit_cast<float>(largest_magnitude_bits<Native::Batch<float>>(w.row(row), w.cols()));
    }
    return grid_scale(scales[row], max_code, deviation_of(noise, highest, largest, row_largest));
  };
  const QuantizedWeightRows levels(w, max_code, scales);
  encoder.encode_between_levels(noisy_rows(levels, w, noise, largest, key), scale_of);
  return true;
}

}  // namespace detail

/// Encodes w [out, in] with noise into `coded`: the levels that a device of `bits` bits has, 2 … 8,
/// the noise on them, in 8 bits. The levels' scales are those of w without noise;
/// coded.scales() are those of the grid.
/// Errors: those of encode_weights and of the noise, other bits; `coded` is as before then.
template <WeightNoise Noise>
void encode_weights(MatrixView<const float> w, CodedWeights<8>& coded, int bits, const Noise& noise,
                    const NoiseKey& key, WeightScale how = WeightScale::per_output) {
  if (!detail::weight_bits_valid<8>(w, bits)) return;
  const std::int32_t max_code = detail::max_weight_code(bits);
  detail::WeightEncoder<8> encoder(w, coded, max_code);
  if (encoder.choose_scales(how)) detail::encode_with_noise(encoder, w, max_code, noise, key);
}

/// The same with scales of the caller's: what the level next to 0 is worth, for each output; the
/// levels of weights beyond ±max_code·scale are the outermost ones.
template <WeightNoise Noise>
void encode_weights(MatrixView<const float> w, CodedWeights<8>& coded, int bits, const Noise& noise,
                    const NoiseKey& key, std::span<const float> scales) {
  if (!detail::weight_bits_valid<8>(w, bits)) return;
  const std::int32_t max_code = detail::max_weight_code(bits);
  detail::WeightEncoder<8> encoder(w, coded, max_code);
  if (encoder.use_scales(scales)) detail::encode_with_noise(encoder, w, max_code, noise, key);
}

/// Levels of 8 bits.
template <WeightNoise Noise>
void encode_weights(MatrixView<const float> w, CodedWeights<8>& coded, const Noise& noise,
                    const NoiseKey& key, WeightScale how = WeightScale::per_output) {
  encode_weights(w, coded, 8, noise, key, how);
}
template <WeightNoise Noise>
void encode_weights(MatrixView<const float> w, CodedWeights<8>& coded, const Noise& noise,
                    const NoiseKey& key, std::span<const float> scales) {
  encode_weights(w, coded, 8, noise, key, scales);
}

/// Encodes w [out, in] with noise on levels of `Bits` bits; noisy weights are held in 8 bits.
template <int Bits, WeightNoise Noise>
CodedWeights<8> encode_weights(MatrixView<const float> w, const Noise& noise, const NoiseKey& key,
                               WeightScale how = WeightScale::per_output) {
  CodedWeights<8> coded;
  encode_weights(w, coded, Bits, noise, key, how);
  return coded;
}

/// In the place of a weight noise.
struct NoWeightNoise {};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
