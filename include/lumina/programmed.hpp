// Weights on devices that deviate: programmed once, looked at whenever one likes.
//
//   const Programmed chip(w, Pcm{}, NoiseKey{seed, chip_number});
//   TiledWeights<8> weights;
//   chip.at(86400.0, weights);   // the weights that the chip holds after a day
//
// In this order: w / scale of its array, to levels (where devices have some), to the targets of its
// devices (Cells), to what they have at that time (cells.hpp), to the ŵ that this is read as, on a
// grid of 8 bits that has room for four σ. No copy of w with deviations exists but those codes;
// wires (wires.hpp) need one until it is encoded.
#pragma once

#include <cstddef>
#include <optional>

#include "border.hpp"
#include "cells.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/packing/wired_devices.hpp"
#include "detail/rows/devices.hpp"
#include "detail/rows/matrix.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "tiled_weights.hpp"
#include "wires.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// A chip whose devices are programmed to w [out, in]. Holds a reference to w and the chip's key,
/// no memory: what its devices have is computed when it is asked for, and is the same each time.
///
/// The first device of w(row, column) draws what is at (row, column) of the key's noise fields 0 …
/// n − 1, n being what its cell draws, the second one at fields n … 2n − 1.
template <CellModel Cell>
class Programmed {
 public:
  /// `bits`: how many levels devices are programmed to, 2^bits − 1 of ŵ in [−1, 1], 2 … 8; 0: any
  /// conductance. `wires`: those of each array of the mapping, g⁺ and g⁻ on arrays of their own;
  /// the constant that Pair::offset subtracts knows no wires.
  Programmed(MatrixView<const float> w, const Cell& cell, const NoiseKey& chip,
             const Mapping& mapping = {}, const Cells& cells = {}, int bits = 0,
             const Wires& wires = {})
      : w_(w),
        cell_(cell),
        chip_(chip),
        mapping_(mapping),
        cells_(cells),
        bits_(bits),
        wires_(wires) {}

  /// The weights at so many seconds after programming, reading noise included, or just programmed
  /// (std::nullopt). Scales are those of the largest weights.
  /// Errors, `weights` are as before then and the result is false: those of the cell and of
  /// encode_tiles; a g_min that is not in [0, g_max); bits; a time that is negative, NaN or above
  /// 1e20; those of effective_conductances.
  bool at(std::optional<double> seconds, TiledWeights<8>& weights) const {
    if (!valid(seconds)) return false;
    detail::TiledEncoder<8> encoder(w_, mapping_, weights);
    return encoder.choose_scales() && encode(encoder, seconds);
  }
  /// The same with scales of the caller's, [tiles, out]. Errors: also those of such scales.
  bool at(std::optional<double> seconds, TiledWeights<8>& weights,
          MatrixView<const float> scales) const {
    if (!valid(seconds)) return false;
    detail::TiledEncoder<8> encoder(w_, mapping_, weights);
    return encoder.use_scales(scales) && encode(encoder, seconds);
  }

  /// The gradient by w [out, in], in place, for cells some of which are stuck: 0 where the device
  /// that a change of the weight would program cannot be. That is the one of the weight's sign; of
  /// a weight of 0, and of two_sided, both would have to be stuck. About 20 ns a weight. Error:
  /// another shape; nothing is written then, and the result is false.
  bool zero_stuck(MatrixView<float> gradient) const requires requires(const Cell& cell) {
    cell.is_stuck(0.0f);
  }
  {
    using namespace detail;
    if (gradient.rows() != w_.rows() || gradient.cols() != w_.cols()) {
      report_error((Message() << "lumina::Programmed: w is " << Shape{w_.rows(), w_.cols()}
                              << ", the gradient is " << Shape{gradient.rows(), gradient.cols()})
                       .c_str());
      return false;
    }
    constexpr std::size_t kDraws = Cell::draws.size();
    for (std::size_t row = 0; row < w_.rows(); ++row) {
      for (std::size_t col = 0; col < w_.cols(); ++col) {
        const auto stuck = [&](std::size_t device) {
          return cell_.is_stuck(standard_uniform_at(chip_, row, col, device * kDraws + kDraws - 1));
        };
        const float weight = w_(row, col);
        const bool first = cells_.pair != Pair::differential || weight >= 0.0f;
        const bool second =
            cells_.pair == Pair::two_sided || (cells_.pair == Pair::differential && weight <= 0.0f);
        if ((!first || stuck(0)) && (!second || stuck(1))) gradient(row, col) = 0.0f;
      }
    }
    return true;
  }

  /// What code 1 is of a fully-on device: (1 + 4σ) / 127, σ being the largest of a programmed
  /// device, of the range of ŵ.
  float code_value() const {
    const float headroom = pairs().headroom(cell_.largest_deviation());
    return headroom / static_cast<float>(TiledWeights<8>::max_code);
  }

 private:
  detail::PairMapping pairs() const { return {cells_, static_cast<float>(cell_.g_max)}; }

  bool valid(std::optional<double> seconds) const {
    using namespace detail;
    if (!cell_valid(cell_) || !pairs().valid("Programmed")) return false;
    if (!wires_valid(wires_, "Programmed")) return false;
    if (bits_ != 0 && (bits_ < 2 || bits_ > 8)) {
      report_error((Message() << "lumina::Programmed: " << Number{static_cast<double>(bits_)}
                              << " bits; levels have 2..8, or 0 for none")
                       .c_str());
      return false;
    }
    return !seconds || seconds_valid(*seconds, "Programmed");
  }

  bool encode(detail::TiledEncoder<8>& encoder, std::optional<double> seconds) const {
    const bool two = pairs().has_minus();
    if (seconds) {
      return two ? encode<2, true>(encoder, *seconds) : encode<1, true>(encoder, *seconds);
    }
    return two ? encode<2, false>(encoder, 0.0) : encode<1, false>(encoder, 0.0);
  }
  template <std::size_t Devices, bool AtTime>
  bool encode(detail::TiledEncoder<8>& encoder, double seconds) const {
    using namespace detail;
    if (!wires_.ideal()) return encode_wired<Devices, AtTime>(encoder, seconds);
    encoder.encode(code_value(), [&](std::size_t tile) {
      return devices<Devices, AtTime, Held::weight>(encoder, tile, seconds);
    });
    return true;
  }
  template <std::size_t Devices, bool AtTime>
  bool encode_wired(detail::TiledEncoder<8>& encoder, double seconds) const {
    using namespace detail;
    Matrix<float> held(w_.rows(), w_.cols());
    if (held.rows() != w_.rows() || held.cols() != w_.cols()) return false;  // no memory
    const auto of_tile = [&](std::size_t tile) {
      const Range inputs = encoder.inputs()[tile];
      return MatrixView<float>(held.data() + inputs.begin, w_.rows(), inputs.size, w_.cols());
    };
    for (std::size_t tile = 0; tile < encoder.inputs().count; ++tile) {
      const auto solve = [&](const auto&... devices_of_pair) {
        return hold_wired(pairs(), encoder.outputs(), wires_, of_tile(tile), devices_of_pair...);
      };
      const auto plus = devices<1, AtTime, Held::plus>(encoder, tile, seconds);
      if constexpr (Devices == 1) {
        if (!solve(plus)) return false;
      } else {
        if (!solve(plus, devices<2, AtTime, Held::minus>(encoder, tile, seconds))) return false;
      }
    }
    encoder.encode(code_value(), [&](std::size_t tile) { return MatrixRows(of_tile(tile)); });
    return true;
  }
  /// What is wanted of the devices of one tile of inputs.
  template <std::size_t Devices, bool AtTime, detail::Held Wanted>
  auto devices(const detail::TiledEncoder<8>& encoder, std::size_t tile, double seconds) const {
    const float levels = bits_ == 0 ? 0.0f : static_cast<float>(detail::max_weight_code(bits_));
    const detail::Range inputs = encoder.inputs()[tile];
    const MatrixView<const float> own(w_.row(0) + inputs.begin, w_.rows(), inputs.size,
                                      w_.row_stride());
    return detail::ProgrammedRows<Cell, Devices, AtTime, Wanted>(
        own, encoder.scales(tile).data(), levels, cell_, pairs(), seconds, inputs.begin, chip_);
  }

  MatrixView<const float> w_;
  Cell cell_;
  NoiseKey chip_;
  Mapping mapping_;
  Cells cells_;
  int bits_;
  Wires wires_;
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
