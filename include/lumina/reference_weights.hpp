// The oracle of weights with noise (weight_noise.hpp, weight_modifiers.hpp), as plain loops:
// levels, then noise, then grid.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "config.hpp"
#include "detail/base/scalar_math.hpp"
#include "detail/rows/weight_scale.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "reference.hpp"
#include "weight_modifiers.hpp"
#include "weight_noise.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// Symmetric codes [out, in], and what code 1 is worth for each output.
struct SymmetricCodes {
  Matrix<std::int32_t> codes;
  std::vector<float> scales;
};

/// max |w| of some rows.
inline float largest_magnitude(MatrixView<const float> w, std::size_t first, std::size_t rows) {
  float largest = 0.0f;
  for (std::size_t row = first; row < first + rows; ++row) {
    for (std::size_t col = 0; col < w.cols(); ++col) {
      largest = std::fmax(largest, std::fabs(w(row, col)));
    }
  }
  return largest;
}

/// The scales that encode_weights chooses for codes of `bits` bits.
inline std::vector<float> weight_scales(MatrixView<const float> w, int bits,
                                        WeightScale how = WeightScale::per_output) {
  std::vector<float> scales(w.rows());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const float limit = how == WeightScale::per_output ? largest_magnitude(w, row, 1)
                                                       : largest_magnitude(w, 0, w.rows());
    scales[row] =
        detail::weight_scale(std::bit_cast<std::uint32_t>(limit), detail::max_weight_code(bits));
  }
  return scales;
}

/// Where a weight is, and what its noise may depend on.
struct WeightSite {
  std::size_t row, col;
  float clean;        ///< w(row, col)
  float largest;      ///< max |w|
  float row_largest;  ///< of the row's weights
  NoiseKey key;
  std::size_t draw = 0;

  float normal() const { return standard_normal_at(key, row, col, draw); }
};

/// What a noise makes of a weight, or of its level.
inline float perturbed(const AdditiveWeightNoise& noise, float weight, const WeightSite& at) {
  return std::fma(noise.stddev * at.largest, at.normal(), weight);
}
inline float perturbed(const MultiplicativeWeightNoise& noise, float weight, const WeightSite& at) {
  return std::fma(detail::product(weight, noise.stddev), at.normal(), weight);
}
inline float perturbed(const DropConnect& noise, float weight, const WeightSite& at) {
  return at.normal() < noise.threshold() ? 0.0f : weight;
}

/// The deviation of weight_modifiers.hpp's polynomials.
inline float polynomial_deviation(const detail::Polynomial& c, float factor, float weight,
                                  float largest) {
  const float r = std::fabs(weight) / (largest > 0.0f ? largest : 1.0f);
  float sigma = c[4];
  for (std::size_t i = 4; i-- > 0;) sigma = std::fma(sigma, r, c[i]);
  return detail::product(largest * factor, sigma);
}
inline float perturbed(const PolynomialWeightNoise& noise, float weight, const WeightSite& at) {
  return std::fma(polynomial_deviation(noise.coefficients, noise.stddev, weight, at.largest),
                  at.normal(), weight);
}
inline float perturbed(const ProgrammingWeightNoise& noise, float weight, const WeightSite& at) {
  const float deviation =
      polynomial_deviation(noise.coefficients, noise.stddev / noise.g_max, weight, at.largest);
  const float magnitude = std::fabs(std::fma(deviation, at.normal(), weight));
  return weight < 0.0f ? 0.0f - magnitude : magnitude;
}
inline float perturbed(const DiscretisedWeights& noise, float weight, const WeightSite& at) {
  const float step = noise.resolution * at.largest;
  const float level =
      step > 0.0f ? detail::product(std::nearbyint(weight / step) + 0.0f, step) : 0.0f;
  return std::fma(noise.stddev * at.largest, at.normal(), level);
}
inline float perturbed(const DoReFaWeights& noise, float weight, const WeightSite& at) {
  const float highest = detail::hyperbolic_tangent(at.largest);
  const float scale = highest > 0x1p-100f ? noise.clip / highest : 0.0f;
  const float bent = detail::product(detail::hyperbolic_tangent(weight), scale);
  return detail::product(std::nearbyint(bent / noise.resolution) + 0.0f, noise.resolution);
}
template <class Noise>
float perturbed(const PerOutput<Noise>& noise, float weight, WeightSite at) {
  at.largest = at.row_largest;
  return perturbed(noise.noise, weight, at);
}
template <class Noise>
float perturbed(const SparedInput<Noise>& noise, float weight, const WeightSite& at) {
  return at.col == noise.input ? at.clean : perturbed(noise.noise, weight, at);
}
template <class First, class Second>
float perturbed(const TwoWeightNoises<First, Second>& noises, float weight, WeightSite at) {
  const float once = perturbed(noises.first(), weight, at);
  at.draw = 1;
  return perturbed(noises.second(), once, at);
}

/// A noise's largest deviation of weights between ± the highest level.
inline float deviation(const AdditiveWeightNoise& noise, float, const WeightSite& at) {
  return noise.stddev * at.largest;
}
inline float deviation(const MultiplicativeWeightNoise& noise, float highest, const WeightSite&) {
  return noise.stddev * highest;
}
inline float deviation(const DropConnect&, float, const WeightSite&) { return 0.0f; }

inline float deviation(const PolynomialWeightNoise& noise, float highest, const WeightSite& at) {
  float largest = 0.0f;
  for (int i = 0; i <= 64; ++i) {
    const float weight = highest * static_cast<float>(i) / 64.0f;
    largest = std::fmax(largest, std::fabs(polynomial_deviation(noise.coefficients, noise.stddev,
                                                                weight, at.largest)));
  }
  return largest;
}
inline float deviation(const ProgrammingWeightNoise& noise, float highest, const WeightSite& at) {
  return deviation(PolynomialWeightNoise{noise.stddev / noise.g_max, noise.coefficients}, highest,
                   at);
}
inline float deviation(const DiscretisedWeights& noise, float, const WeightSite& at) {
  return noise.stddev * at.largest;
}
/// (A fourth of what weights may grow.)
inline float deviation(const DoReFaWeights& noise, float highest, const WeightSite&) {
  return std::fmax(0.0f, noise.clip + 0.5f * noise.resolution - highest) / 4.0f;
}
template <class Noise>
float deviation(const PerOutput<Noise>& noise, float highest, WeightSite at) {
  at.largest = at.row_largest;
  return deviation(noise.noise, highest, at);
}
template <class Noise>
float deviation(const SparedInput<Noise>& noise, float highest, const WeightSite& at) {
  return deviation(noise.noise, highest, at);
}
template <class First, class Second>
float deviation(const TwoWeightNoises<First, Second>& noises, float highest, const WeightSite& at) {
  const double first = deviation(noises.first(), highest, at);
  const double second = deviation(noises.second(), highest, at);
  const double squares = first * first + second * second;  // exact products
  return static_cast<float>(std::sqrt(squares));
}

/// What code 1 of 8 bits is worth where weights deviate from their levels.
inline float grid_scale(float level_scale, int bits, float deviation) {
  const int max_code = (1 << (bits - 1)) - 1;
  if (deviation == 0.0f) return level_scale / static_cast<float>(127 / max_code);
  const double reach =
      static_cast<double>(level_scale) * max_code + 4.0 * static_cast<double>(deviation);
  return std::fmax(static_cast<float>(std::fmin(reach / 127.0, std::numeric_limits<float>::max())),
                   std::numeric_limits<float>::denorm_min());
}

/// f(site of no weight yet) for each row of w.
template <class F>
void for_each_row(MatrixView<const float> w, const NoiseKey& key, F f) {
  const float largest = largest_magnitude(w, 0, w.rows());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    f(WeightSite{row, 0, 0.0f, largest, largest_magnitude(w, row, 1), key});
  }
}

/// f(site) for each weight of w.
template <class F>
void for_each_weight(MatrixView<const float> w, const NoiseKey& key, F f) {
  for_each_row(w, key, [&](WeightSite at) {
    for (at.col = 0; at.col < w.cols(); ++at.col) {
      at.clean = w(at.row, at.col);
      f(at);
    }
  });
}

/// encode_weights(w, coded, bits, noise, key) with these scales of the levels.
template <class Noise>
SymmetricCodes encode_noisy(MatrixView<const float> w, int bits, const std::vector<float>& scales,
                            const Noise& noise, const NoiseKey& key) {
  SymmetricCodes result{Matrix<std::int32_t>(w.rows(), w.cols()), scales};
  for_each_row(w, key, [&](const WeightSite& at) {  // those without weights too
    const float highest = scales[at.row] * static_cast<float>((1 << (bits - 1)) - 1);
    result.scales[at.row] = grid_scale(scales[at.row], bits, deviation(noise, highest, at));
  });
  for_each_weight(w, key, [&](const WeightSite& at) {
    const auto code = encode_symmetric(at.clean, scales[at.row], bits);
    const float level =
        std::clamp(static_cast<float>(code) * scales[at.row], -std::numeric_limits<float>::max(),
                   std::numeric_limits<float>::max());
    result.codes(at.row, at.col) =
        encode_symmetric(perturbed(noise, level, at), result.scales[at.row], 8);
  });
  return result;
}

/// encode_tiles(w, mapping, tiled, bits, noise, key): the codes [out, in], and what code 1 is of a
/// fully-on device. `scales` [tiles, out] and the tile of each input are those of `tiled`.
struct DeviceCodes {
  Matrix<std::int32_t> codes;
  float code_value;
};
template <class Tiled, class Noise>
DeviceCodes encode_noisy_tiles(MatrixView<const float> w, const Tiled& tiled, int bits,
                               const Noise& noise, const NoiseKey& key) {
  const int max_code = (1 << (bits - 1)) - 1;
  const float level = 1.0f / static_cast<float>(max_code);
  const WeightSite of_device{0, 0, 0.0f, 1.0f, 1.0f, key};
  DeviceCodes result{Matrix<std::int32_t>(w.rows(), w.cols()),
                     grid_scale(level, bits, deviation(noise, 1.0f, of_device))};
  for_each_weight(w, key, [&](WeightSite at) {
    const std::size_t col = at.col;
    const float scale = tiled.scales(tiled.tile_of(col))[at.row];
    const float step = detail::weight_scale(std::bit_cast<std::uint32_t>(scale), max_code);
    const auto code = static_cast<float>(encode_symmetric(at.clean, step, bits));
    at.largest = at.row_largest = 1.0f;
    at.key.row_offset += static_cast<std::uint64_t>(tiled.tile_of(at.col)) << 40;
    at.col -= tiled.first_input(tiled.tile_of(at.col));
    const float device = perturbed(noise, code * level, at);
    result.codes(at.row, col) = scale == 0.0f ? 0 : encode_symmetric(device, result.code_value, 8);
  });
  return result;
}

/// pack_weights(w, noise, key).
template <class Noise>
Matrix<float> perturbed(MatrixView<const float> w, const Noise& noise, const NoiseKey& key) {
  Matrix<float> result(w.rows(), w.cols());
  for_each_weight(w, key, [&](const WeightSite& at) {
    result(at.row, at.col) = perturbed(noise, at.clean, at);
  });
  return result;
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
