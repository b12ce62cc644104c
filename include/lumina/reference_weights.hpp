// The oracle of weights with noise (weight_noise.hpp), as plain loops: levels, then noise, then
// grid.
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

/// A noise's largest deviation of weights between ± the highest level.
inline float deviation(const AdditiveWeightNoise& noise, float, const WeightSite& at) {
  return noise.stddev * at.largest;
}
inline float deviation(const MultiplicativeWeightNoise& noise, float highest, const WeightSite&) {
  return noise.stddev * highest;
}
inline float deviation(const DropConnect&, float, const WeightSite&) { return 0.0f; }

/// What code 1 of 8 bits is worth where weights deviate from their levels.
inline float grid_scale(float level_scale, int bits, float deviation) {
  const int max_code = (1 << (bits - 1)) - 1;
  if (deviation == 0.0f) return level_scale / static_cast<float>(127 / max_code);
  const double reach =
      static_cast<double>(level_scale) * max_code + 4.0 * static_cast<double>(deviation);
  return std::fmax(static_cast<float>(std::fmin(reach / 127.0, std::numeric_limits<float>::max())),
                   std::numeric_limits<float>::denorm_min());
}

/// f(site) for each weight of w.
template <class F>
void for_each_weight(MatrixView<const float> w, const NoiseKey& key, F f) {
  const float largest = largest_magnitude(w, 0, w.rows());
  for (std::size_t row = 0; row < w.rows(); ++row) {
    const float row_largest = largest_magnitude(w, row, 1);
    for (std::size_t col = 0; col < w.cols(); ++col) {
      f(WeightSite{row, col, w(row, col), largest, row_largest, key});
    }
  }
}

/// encode_weights(w, coded, bits, noise, key) with these scales of the levels.
template <class Noise>
SymmetricCodes encode_noisy(MatrixView<const float> w, int bits, const std::vector<float>& scales,
                            const Noise& noise, const NoiseKey& key) {
  SymmetricCodes result{Matrix<std::int32_t>(w.rows(), w.cols()), scales};
  for_each_weight(w, key, [&](const WeightSite& at) {
    const float highest = scales[at.row] * static_cast<float>((1 << (bits - 1)) - 1);
    const float spacing = grid_scale(scales[at.row], bits, deviation(noise, highest, at));
    const auto code = encode_symmetric(at.clean, scales[at.row], bits);
    const float level =
        std::clamp(static_cast<float>(code) * scales[at.row], -std::numeric_limits<float>::max(),
                   std::numeric_limits<float>::max());
    result.scales[at.row] = spacing;
    result.codes(at.row, at.col) = encode_symmetric(perturbed(noise, level, at), spacing, 8);
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
