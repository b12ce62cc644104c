// What fully-on devices of arrays stand for: scales of weights, chosen or given.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/message.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"
#include "weight_checks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The scales of w [out, in] on arrays, [tiles, out] in a buffer of the caller's, its rows filled
/// up to a multiple of 128. What is wrong with w or its mapping is reported.
template <class Weights = MatrixView<const float>>
class TileScales {
 public:
  TileScales(const Weights& w, const Mapping& mapping, AlignedBuffer<float>& scales)
      : w_(w), mapping_(mapping), scales_(scales) {
    if (mapping.tile.inputs == 0 || mapping.tile.outputs == 0) return;  // reported by what follows
    inputs_ = Tiling::of(w.cols(), mapping.tile.inputs, mapping.split);
    outputs_ = Tiling::of(w.rows(), mapping.tile.outputs, mapping.split);
  }

  const Tiling& inputs() const { return inputs_; }
  const Tiling& outputs() const { return outputs_; }

  /// Those of the largest magnitudes. Errors: a tile of 0 inputs or outputs, missing data, a weight
  /// that is infinite or NaN.
  bool choose_scales() {
    if (!tile_valid() || !weights_there(w_) || !room_for_scales()) return false;
    for (std::size_t tile = 0; tile < inputs_.count; ++tile) {
      float* const scales = scales_of(tile);
      const auto keep = [scales](std::size_t row, std::uint32_t largest) {
        scales[row] = std::bit_cast<float>(largest);
      };
      if (!for_each_magnitude(w_, inputs_[tile], keep)) return false;
      if (mapping_.scale == TileScale::per_column) continue;
      for (std::size_t i = 0; i < outputs_.count && w_.rows() != 0; ++i) {
        float* const first = scales + outputs_[i].begin;
        float* const end = first + outputs_[i].size;
        std::fill(first, end, *std::max_element(first, end));
      }
    }
    return true;
  }

  /// The caller's, [tiles, out]; weights beyond them saturate. Errors: also other shapes, and a
  /// scale that is not positive and finite.
  bool use_scales(MatrixView<const float> scales) {
    if (!tile_valid() || !weights_there(w_)) return false;
    if (scales.rows() != inputs_.count || scales.cols() != w_.rows()) {
      return refuse(Message() << ", the scales are " << Shape{scales.rows(), scales.cols()}
                              << "; it needs " << Shape{inputs_.count, w_.rows()});
    }
    for (std::size_t tile = 0; tile < scales.rows(); ++tile) {
      for (std::size_t row = 0; row < scales.cols(); ++row) {
        const float scale = scales(tile, row);
        if (scale > 0.0f && scale <= std::numeric_limits<float>::max()) continue;
        return refuse(Message() << "; scales(" << tile << ", " << row
                                << ") is not positive and finite");
      }
    }
    const auto look = [](std::size_t, std::uint32_t) {};
    if (!for_each_magnitude(w_, {0, w_.cols()}, look)) return false;
    if (!room_for_scales()) return false;
    for (std::size_t tile = 0; tile < scales.rows(); ++tile) {
      std::copy_n(scales.row(tile), scales.cols(), scales_of(tile));
    }
    return true;
  }

  /// What fully-on devices of a tile will stand for, for each output; after the scales.
  std::span<const float> scales(std::size_t tile) const {
    return {scales_.data() + tile * stride(), w_.rows()};
  }

 protected:
  bool tile_valid() const {
    if (mapping_.tile.inputs != 0 && mapping_.tile.outputs != 0) return true;
    return refuse(Message() << ", the tile has " << mapping_.tile.inputs << " inputs and "
                            << mapping_.tile.outputs << " outputs; it needs some of both");
  }

  Weights w_;
  Mapping mapping_;
  Tiling inputs_, outputs_;

 private:
  bool refuse(const Message& problem) const {
    report_error((Message() << "lumina::encode_tiles: w is " << Shape{w_.rows(), w_.cols()}
                            << problem.c_str())
                     .c_str());
    return false;
  }
  std::size_t stride() const { return round_up(w_.rows(), kBlockColumns); }
  bool room_for_scales() { return scales_.grow_to(size_product(inputs_.count, stride())); }
  float* scales_of(std::size_t tile) { return scales_.data() + tile * stride(); }

  AlignedBuffer<float>& scales_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
