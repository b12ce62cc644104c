// Noise on weights on arrays, for hardware-aware training: weight_noise.hpp's, on TiledWeights.
//
//   encode_tiles(w, mapping, tiled, 4, AdditiveWeightNoise{0.03f}, key);
//
// Levels, then noise, then grid, in units of a fully-on device: what a noise is relative to, the
// largest magnitude, is 1, that of the weight's own array (Mapping::scale says whether an array has
// one scale or each of its outputs). Each array has noise of its own: the normal of w(out, in) in
// array t, which begins at input b, is standard_normal_at(key, t·2^40 + out, in − b). The gradient
// by w goes through the noise's gradient_stage() in backward(pass, …, noise, key) of an AnalogPass.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/layout/float_panels.hpp"
#include "detail/layout/tiles.hpp"
#include "detail/rows/device_levels.hpp"
#include "detail/rows/noisy.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "tiled_weights.hpp"
#include "weight_noise.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

template <class Noise>
bool encode_tiles_with_noise(TiledEncoder<8>& encoder, MatrixView<const float> w, int bits,
                             const Noise& noise, const NoiseKey& key) {
  static_assert(!any_per_output<Noise>,
                "lumina::encode_tiles: noise relative to each output's own largest weight is what "
                "TileScale::per_column makes of any");
  static_assert(!spares_an_input<Noise>,
                "lumina::encode_tiles: no input of an array can be spared");
  if (!noise_valid_for(noise, w, 1.0f)) return false;
  const std::int32_t max_code = max_weight_code(bits);
  const float deviation = deviation_of(noise, 1.0f, 1.0f, 1.0f);
  const float level = 1.0f / static_cast<float>(max_code);
  encoder.encode(grid_scale(level, max_code, deviation), [&](std::size_t tile) {
    const Range inputs = encoder.inputs()[tile];
    const MatrixView<const float> own(w.data() + inputs.begin, w.rows(), inputs.size,
                                      w.row_stride());
    const DeviceLevels levels(own, max_code, encoder.scales(tile).data());
    return noisy_rows(levels, own, noise, 1.0f, key_of_tile(key, tile));
  });
  return true;
}

}  // namespace detail

/// Encodes w [out, in] onto arrays with noise, into `tiled`: the levels that devices of `bits` bits
/// have, 2 … 8, the noise on them, in 8 bits. The scales are those of w without noise.
/// Errors: those of encode_tiles and of the noise, other bits; `tiled` is as before then. The
/// result: whether it was encoded.
template <WeightNoise Noise>
bool encode_tiles(MatrixView<const float> w, const Mapping& mapping, TiledWeights<8>& tiled,
                  int bits, const Noise& noise, const NoiseKey& key) {
  if (!detail::weight_bits_valid<8>(w, bits)) return false;
  detail::TiledEncoder<8> encoder(w, mapping, tiled);
  return encoder.choose_scales() && detail::encode_tiles_with_noise(encoder, w, bits, noise, key);
}

/// The same with scales of the caller's, [tiles, out]: the levels of weights beyond them are the
/// outermost ones.
template <WeightNoise Noise>
bool encode_tiles(MatrixView<const float> w, const Mapping& mapping, TiledWeights<8>& tiled,
                  int bits, const Noise& noise, const NoiseKey& key,
                  MatrixView<const float> scales) {
  if (!detail::weight_bits_valid<8>(w, bits)) return false;
  detail::TiledEncoder<8> encoder(w, mapping, tiled);
  return encoder.use_scales(scales) &&
         detail::encode_tiles_with_noise(encoder, w, bits, noise, key);
}

/// A gradient by w [out, in], in place, through a noise that is linear in w, with which
/// encode_tiles has encoded w: what backward(pass, …, noise, key) does in the end. `draw`: 1 of the
/// second one of both(…). Errors: a tile of 0 inputs; those of the noise; the result is false then.
template <WeightNoise Noise>
bool perturb_gradient(MatrixView<float> gradient, const Mapping& mapping, const Noise& noise,
                      const NoiseKey& key, std::size_t draw = 0) {
  using namespace detail;
  using Stage = decltype(noise.gradient_stage());
  static_assert(std::is_same_v<Stage, GradientPerturbed<decltype(noise.perturbation(1.0f))>>,
                "lumina::perturb_gradient: a noise that is not linear in w changes no gradient");
  if (mapping.tile.inputs == 0) {
    report_error("lumina::perturb_gradient: a tile has no inputs");
    return false;
  }
  if (!noise_valid_for(noise, MatrixView<const float>(gradient), 1.0f)) return false;
  const Tiling inputs = Tiling::of(gradient.cols(), mapping.tile.inputs, mapping.split);
  alignas(kCacheLine) float block[kPanelColumns * kBlockColumns];
  for (std::size_t tile = 0; tile < inputs.count && gradient.rows() != 0; ++tile) {
    const MatrixView<float> own(gradient.data() + inputs[tile].begin, gradient.rows(),
                                inputs[tile].size, gradient.row_stride());
    const NoisyRows<Noise> rows(MatrixRows(own), Perturbations<Noise>(own, noise, 1.0f),
                                key_of_tile(key, tile), draw);
    for (std::size_t row = 0; row < own.rows(); row += kPanelColumns) {
      const Range now{row, std::min(kPanelColumns, own.rows() - row)};
      const auto facts = rows.facts(now);
      for (std::size_t col = 0; col < own.cols(); col += kBlockColumns) {
        const Range columns{col, std::min(kBlockColumns, own.cols() - col)};
        rows.read(now, columns, block, kBlockColumns, facts);
        for (std::size_t i = 0; i < now.size; ++i) {
          std::copy_n(block + i * kBlockColumns, columns.size, own.row(row + i) + col);
        }
      }
    }
  }
  return true;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
