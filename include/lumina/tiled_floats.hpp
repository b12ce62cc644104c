// Weights on arrays that are multiplied as floats: for devices with more levels than codes have (9
// … 16 bits), or without any.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/layout/tiles.hpp"
#include "detail/rows/matrix.hpp"
#include "detail/rows/quantized_weight.hpp"
#include "detail/rows/tile_scales.hpp"
#include "detail/rows/weight_scale.hpp"
#include "matrix.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {
class FloatTiler;
}

/// Weights w [out, in] on arrays (tiled_weights.hpp), as floats. Made by pack_tiles.
class TiledFloats {
 public:
  std::size_t rows() const { return shape_.rows; }  ///< outputs
  std::size_t cols() const { return shape_.cols; }  ///< inputs
  const Mapping& mapping() const { return mapping_; }

  /// How many arrays lie along the inputs; each has a noise and an ADC of its own.
  std::size_t tiles() const { return inputs_.count; }
  std::size_t first_input(std::size_t tile) const { return inputs_[tile].begin; }
  std::size_t input_count(std::size_t tile) const { return inputs_[tile].size; }
  /// What a fully-on device stands for, for each output; 0 where all of its weights are.
  std::span<const float> scales(std::size_t tile) const& {
    return {scales_.data() + tile * padded_outputs(), rows()};
  }
  std::span<const float> scales(std::size_t tile) const&& = delete;
  /// What is multiplied for an output and an input, ŵ·s.
  float value(std::size_t row, std::size_t col) const {
    const std::size_t tile = inputs_.tile_of(col);
    return weights_[tile].value(row, col - inputs_[tile].begin);
  }

  /// For the engine: the weights of the arrays number `tile` along the inputs, [out, its inputs].
  const PackedWeights& packed(std::size_t tile) const& { return weights_[tile]; }
  const PackedWeights& packed(std::size_t tile) const&& = delete;
  const detail::Tiling& inputs() const& { return inputs_; }
  const detail::Tiling& inputs() const&& = delete;
  std::size_t padded_outputs() const { return detail::round_up(rows(), detail::kBlockColumns); }

 private:
  friend class detail::FloatTiler;

  detail::Extent shape_;
  Mapping mapping_;
  detail::Tiling inputs_;
  std::vector<PackedWeights> weights_;
  detail::AlignedBuffer<float> scales_;
};

namespace detail {

/// Packs w into `tiled`, after the scales.
class FloatTiler : public TileScales<> {
 public:
  FloatTiler(MatrixView<const float> w, const Mapping& mapping, TiledFloats& tiled)
      : TileScales(w, mapping, scales_), tiled_(tiled) {}

  /// `bits`: levels of the devices; 0: as many as floats have.
  void pack(int bits) {
    tiled_.mapping_ = mapping_;
    tiled_.inputs_ = inputs_;
    tiled_.shape_ = Extent(w_.rows(), w_.cols());
    tiled_.weights_.resize(inputs_.count);
    const std::size_t padded = tiled_.padded_outputs();
    for (std::size_t tile = 0; tile < inputs_.count; ++tile) {
      float* const scales = scales_.data() + tile * padded;
      std::fill(scales + w_.rows(), scales + padded, 0.0f);
      const Range inputs = inputs_[tile];
      const MatrixView<const float> w(w_.row(0) + inputs.begin, w_.rows(), inputs.size,
                                      w_.row_stride());
      PackedWeights& packed = tiled_.weights_[tile];
      if (bits == 0) {
        pack_rows_of_weights(MatrixRows(w), packed);
        continue;
      }
      const std::int32_t max_code = max_weight_code(bits);
      std::vector<float> steps(w_.rows());
      for (std::size_t row = 0; row < w_.rows(); ++row) {
        steps[row] = weight_scale(std::bit_cast<std::uint32_t>(scales[row]), max_code);
      }
      pack_rows_of_weights(QuantizedWeightRows(w, max_code, steps.data()), packed);
    }
    std::swap(tiled_.scales_, scales_);
  }

 private:
  TiledFloats& tiled_;
  AlignedBuffer<float> scales_;
};

}  // namespace detail

/// Packs w [out, in] for arrays whose devices have `bits` bits, 2 … 16; 0: as it is. Errors: other
/// bits; a tile of 0 inputs or outputs; a weight that is infinite or NaN; `tiled` is as before
/// then. The result: whether it was packed.
inline bool pack_tiles(MatrixView<const float> w, const Mapping& mapping, TiledFloats& tiled,
                       int bits = 0) {
  if (bits != 0 && (bits < 2 || bits > 16)) {
    detail::report_error((detail::Message()
                          << "lumina::pack_tiles: w is " << detail::Shape{w.rows(), w.cols()}
                          << "; bits must be in 2..16, or 0 for floats")
                             .c_str());
    return false;
  }
  detail::FloatTiler tiler(w, mapping, tiled);
  if (!tiler.choose_scales()) return false;
  tiler.pack(bits);
  return true;
}

/// Packs w [out, in].
inline TiledFloats pack_tiles(MatrixView<const float> w, const Mapping& mapping = {},
                              int bits = 0) {
  TiledFloats tiled;
  pack_tiles(w, mapping, tiled, bits);
  return tiled;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
