// Weights on arrays: cut into tiles of so many inputs and outputs, each with a scale of its own.
//
//   w(out, in) ≈ s[tile][out] · ŵ(out, in),   ŵ = code · code_value() in [−1, 1]
//
// s is what a fully-on device stands for: the largest weight of the array, or of the output in it.
// Made by encode_tiles, or by a Programmed cell (programmed.hpp), whose ŵ deviate.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

#include "border.hpp"
#include "coded_weights.hpp"
#include "coded_weights_view.hpp"
#include "config.hpp"
#include "detail/base/aligned_buffer.hpp"
#include "detail/base/message.hpp"
#include "detail/base/range.hpp"
#include "detail/layout/tiles.hpp"
#include "detail/packing/code_panels.hpp"
#include "detail/packing/panel_sums.hpp"
#include "detail/packing/row_blocks.hpp"
#include "detail/rows/tile_scales.hpp"
#include "detail/rows/weight_rows.hpp"
#include "detail/rows/weight_scale.hpp"
#include "matrix.hpp"
#include "transposed.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

template <int Bits>
class TiledWeights;

namespace detail {

template <int Bits, class Weights = MatrixView<const float>>
class TiledEncoder;

/// Where the arrays of tiled weights lie, to be written.
struct TiledArrays {
  std::int32_t* words = nullptr;
  float* scales = nullptr;
  std::int32_t* sums = nullptr;
};

/// Gives `tiled` this shape, mapping and value of code 1, and room where it has too little; where
/// its arrays lie, all of them zeros but for the words. Without words there was no memory, which
/// has been reported, and `tiled` is empty.
template <int Bits>
TiledArrays reshape(TiledWeights<Bits>& tiled, std::size_t rows, std::size_t cols,
                    const Mapping& mapping, float code_value);

}  // namespace detail

/// Coded weights w [out, in] on arrays.
template <int Bits>
class TiledWeights {
  static_assert(Bits >= 2 && Bits <= 8, "lumina::TiledWeights: Bits must be in 2..8");

 public:
  static constexpr int bits = Bits;
  static constexpr int stored_bits = detail::stored_bits(Bits);
  static constexpr std::int32_t max_code = (std::int32_t{1} << (Bits - 1)) - 1;

  TiledWeights() = default;
  TiledWeights(TiledWeights&&) noexcept = default;
  TiledWeights& operator=(TiledWeights&&) noexcept = default;
  /// Memory of its own, with the same codes. (Without exceptions and memory: an error, and none.)
  TiledWeights(const TiledWeights& other)
      : words_(other.words_.copy()), scales_(other.scales_.copy()), sums_(other.sums_.copy()) {
    if (words_.size() != other.words_.size() || scales_.size() != other.scales_.size() ||
        sums_.size() != other.sums_.size()) {
      return;
    }
    shape_ = detail::Extent(other.rows(), other.cols());
    mapping_ = other.mapping_;
    inputs_ = other.inputs_;
    code_value_ = other.code_value_;
  }
  TiledWeights& operator=(const TiledWeights& other) { return *this = TiledWeights(other); }

  std::size_t rows() const { return shape_.rows; }  ///< outputs
  std::size_t cols() const { return shape_.cols; }  ///< inputs
  const Mapping& mapping() const { return mapping_; }

  /// How many arrays lie along the inputs; each has a noise and an ADC of its own.
  std::size_t tiles() const { return inputs_.count; }
  /// The first input of such an array, and how many it has.
  std::size_t first_input(std::size_t tile) const { return inputs_[tile].begin; }
  std::size_t input_count(std::size_t tile) const { return inputs_[tile].size; }
  /// The array that an input is of.
  std::size_t tile_of(std::size_t input) const { return inputs_.tile_of(input); }

  /// What code 1 is of a fully-on device.
  float code_value() const { return code_value_; }
  /// What a fully-on device stands for, for each output; 0 where all of its weights are.
  std::span<const float> scales(std::size_t tile) const& {
    return {scales_.data() + tile * padded_outputs(rows()), rows()};
  }
  std::span<const float> scales(std::size_t tile) const&& = delete;
  /// One of them times a factor, as digital corrections do (compensation.hpp).
  void multiply_scale(std::size_t tile, std::size_t row, float factor) {
    float& scale = scales_.data()[tile * padded_outputs(rows()) + row];
    scale = detail::product(scale, factor);
  }
  /// Σ code over an array's inputs, for each output.
  std::span<const std::int32_t> code_sums(std::size_t tile) const& {
    return {sums_.data() + tile * padded_outputs(rows()), rows()};
  }
  std::span<const std::int32_t> code_sums(std::size_t tile) const&& = delete;

  std::int32_t code(std::size_t row, std::size_t col) const {
    const std::size_t tile = inputs_.tile_of(col);
    const std::int32_t* const panel =
        words_.data() + row / detail::kPanelColumns * panel_size() +
        detail::steps_before<stored_bits>(inputs_, tile) * detail::kPanelColumns;
    return detail::unpack_code<stored_bits>(panel, row % detail::kPanelColumns,
                                            col - inputs_[tile].begin);
  }
  /// The weights that the codes stand for, [out, in].
  Matrix<float> decode() const {
    Matrix<float> result(rows(), cols());
    for (std::size_t row = 0; row < rows(); ++row) {
      for (std::size_t col = 0; col < cols(); ++col) {
        const float device = detail::product(static_cast<float>(code(row, col)), code_value_);
        result(row, col) = detail::product(device, scales(inputs_.tile_of(col))[row]);
      }
    }
    return result;
  }

  /// For the engine.
  std::size_t panel_size() const {
    return detail::steps_before<stored_bits>(inputs_, inputs_.count) * detail::kPanelColumns;
  }
  detail::TiledPanels<stored_bits> panels() const& {
    const std::size_t sums = inputs_.count * padded_outputs(rows());
    return {words_.data(),          panel_size(),        inputs_,
            padded_outputs(rows()), code_value_,         scales_.data(),
            sums_.data(),           sums_.data() + sums, sums_.data() + 2 * sums};
  }
  detail::TiledPanels<stored_bits> panels() const&& = delete;

 private:
  template <int, class>
  friend class detail::TiledEncoder;
  friend detail::TiledArrays detail::reshape<Bits>(TiledWeights& tiled, std::size_t rows,
                                                   std::size_t cols, const Mapping& mapping,
                                                   float code_value);

  detail::Extent shape_;
  Mapping mapping_;
  detail::Tiling inputs_;
  float code_value_ = 1.0f / static_cast<float>(max_code);
  detail::AlignedBuffer<std::int32_t> words_;
  detail::AlignedBuffer<float> scales_;
  /// Of codes; and of their magnitudes and squares, where inputs are sent less a bias: each
  /// [tiles, out].
  detail::AlignedBuffer<std::int32_t> sums_;
  detail::AlignedBuffer<float> next_scales_;  ///< those of an encoding that may still fail
};

namespace detail {

template <int Bits>
TiledArrays reshape(TiledWeights<Bits>& tiled, std::size_t rows, std::size_t cols,
                    const Mapping& mapping, float code_value) {
  const Tiling inputs = Tiling::of(cols, mapping.tile.inputs, mapping.split);
  const std::size_t steps = steps_before<stored_bits(Bits)>(inputs, inputs.count);
  const std::size_t words = size_product(panel_count(rows), steps, kPanelColumns);
  const std::size_t outputs = size_product(inputs.count, padded_outputs(rows));
  tiled.shape_ = Extent();
  if (!tiled.words_.grow_to(words + kMaxWordsBehind) || !tiled.scales_.grow_to(outputs) ||
      !tiled.sums_.grow_to(3 * outputs)) {
    return {};
  }
  tiled.shape_ = Extent(rows, cols);
  tiled.mapping_ = mapping;
  tiled.inputs_ = inputs;
  tiled.code_value_ = code_value;
  std::fill_n(tiled.words_.data() + words, kMaxWordsBehind, 0);
  std::fill_n(tiled.scales_.data(), outputs, 0.0f);
  std::fill_n(tiled.sums_.data(), 3 * outputs, 0);
  return {tiled.words_.data(), tiled.scales_.data(), tiled.sums_.data()};
}

/// Encodes w [out, in] into `tiled`, in two steps: the scales (TileScales), which reports what is
/// wrong and leaves `tiled` as it was; then the codes.
template <int Bits, class Weights>
class TiledEncoder : public TileScales<Weights> {
 public:
  TiledEncoder(const Weights& w, const Mapping& mapping, TiledWeights<Bits>& tiled)
      : TileScales<Weights>(w, mapping, tiled.next_scales_), tiled_(tiled) {}

  /// Codes up to ±max_code of the weights themselves.
  void encode(std::int32_t max_code = TiledWeights<Bits>::max_code) {
    encode_tiles(
        1.0f / static_cast<float>(max_code), max_code,
        [this](std::size_t tile) { return rows_of_weights(w_, inputs_[tile]); },
        [max_code](float scale) {
          return weight_scale(std::bit_cast<std::uint32_t>(scale), max_code);
        });
  }
  /// Codes of ŵ that `devices` make: devices(tile) is a RowSource [out, inputs of the tile] of
  /// floats, in units of a fully-on device, of which code 1 is `code_value`.
  template <class Devices>
  void encode(float code_value, const Devices& devices) {
    encode_tiles(code_value, TiledWeights<Bits>::max_code, devices,
                 [code_value](float scale) { return scale == 0.0f ? 0.0f : code_value; });
  }

 private:
  using TileScales<Weights>::w_;
  using TileScales<Weights>::mapping_;
  using TileScales<Weights>::inputs_;

  /// step_of(scale): what code 1 is of the rows.
  template <class RowsOf, class StepOf>
  void encode_tiles(float code_value, std::int32_t max_code, const RowsOf& rows_of,
                    const StepOf& step_of) {
    const TiledArrays to = reshape(tiled_, w_.rows(), w_.cols(), mapping_, code_value);
    if (to.words == nullptr) return;
    const std::size_t padded = padded_outputs(w_.rows());
    [[maybe_unused]] const std::size_t sums = inputs_.count * padded;
    constexpr int kStored = stored_bits(Bits);
    for (std::size_t tile = 0; tile < inputs_.count; ++tile) {
      std::copy_n(this->scales(tile).data(), w_.rows(), to.scales + tile * padded);
      const auto rows = rows_of(tile);
      const std::size_t before = steps_before<kStored>(inputs_, tile) * kPanelColumns;
      [[maybe_unused]] const std::size_t steps = coded_steps<Bits>(inputs_[tile].size);
      for (std::size_t first = 0; first < w_.rows(); first += kPanelColumns) {
        const std::size_t count = std::min(kPanelColumns, w_.rows() - first);
        float code_steps[kPanelColumns];
        for (std::size_t i = 0; i < count; ++i)
          code_steps[i] = step_of(this->scales(tile)[first + i]);
        std::int32_t* const panel = to.words + first / kPanelColumns * tiled_.panel_size() + before;
        CodePanelWriter<kStored> writer(code_steps, count, max_code, panel);
        for_each_block(rows, {first, count},
                       [&](MatrixView<const float> block) { writer.write(block); });
        std::int32_t* const own = to.sums + tile * padded + first;
        writer.store_sums(own);
        if constexpr (Native::Codes::input_bias != 0) {
          store_panel_sums<kStored>(panel, steps, own + sums, own + 2 * sums);
        }
      }
    }
  }

  TiledWeights<Bits>& tiled_;
};

}  // namespace detail

/// Encodes w [out, in] onto arrays, into `tiled`, whose memory is used again where it is large
/// enough. Errors: a tile of 0 inputs or outputs; a weight that is infinite or NaN; `tiled` is as
/// before then. The result: whether it was encoded.
template <int Bits>
bool encode_tiles(MatrixView<const float> w, const Mapping& mapping, TiledWeights<Bits>& tiled) {
  detail::TiledEncoder<Bits> encoder(w, mapping, tiled);
  if (!encoder.choose_scales()) return false;
  encoder.encode();
  return true;
}

/// The same with w [out, in] that lies as its transpose: nothing is copied.
template <int Bits>
bool encode_tiles(const TransposedView& w, const Mapping& mapping, TiledWeights<Bits>& tiled) {
  detail::TiledEncoder<Bits, TransposedView> encoder(w, mapping, tiled);
  if (!encoder.choose_scales()) return false;
  encoder.encode();
  return true;
}

/// The same with scales of the caller's, [tiles, out]: weights beyond them saturate. Errors: also
/// other shapes, and a scale that is not positive and finite.
template <int Bits>
bool encode_tiles(MatrixView<const float> w, const Mapping& mapping, TiledWeights<Bits>& tiled,
                  MatrixView<const float> scales) {
  detail::TiledEncoder<Bits> encoder(w, mapping, tiled);
  if (!encoder.use_scales(scales)) return false;
  encoder.encode();
  return true;
}

/// The same with the number of bits chosen at run time, 2 … Bits, stored in as many as Bits are.
/// Error: also other bits.
template <int Bits>
bool encode_tiles(MatrixView<const float> w, const Mapping& mapping, TiledWeights<Bits>& tiled,
                  int bits) {
  if (bits < 2 || bits > Bits) {
    detail::report_error((detail::Message()
                          << "lumina::encode_tiles: w is " << detail::Shape{w.rows(), w.cols()}
                          << "; bits must be in 2.." << static_cast<std::size_t>(Bits))
                             .c_str());
    return false;
  }
  detail::TiledEncoder<Bits> encoder(w, mapping, tiled);
  if (!encoder.choose_scales()) return false;
  encoder.encode((std::int32_t{1} << (bits - 1)) - 1);
  return true;
}

/// Encodes w [out, in] onto arrays.
template <int Bits>
TiledWeights<Bits> encode_tiles(MatrixView<const float> w, const Mapping& mapping = {}) {
  TiledWeights<Bits> tiled;
  encode_tiles(w, mapping, tiled);
  return tiled;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
