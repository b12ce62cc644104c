// Weights in slices, for devices of few bits: each slice has a digit of every weight, on arrays of
// its own.
//
//   code(out, in) = Σ over s of 2^(cell_bits·s) · digit(s, out, in)
//
// Codes, tiles and scales are those of TiledWeights; a digit has the sign of its weight
// (differential pairs). analog_slices.hpp multiplies them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "border.hpp"
#include "config.hpp"
#include "detail/base/message.hpp"
#include "detail/base/number.hpp"
#include "detail/base/range.hpp"
#include "detail/rows/weight_digits.hpp"
#include "matrix.hpp"
#include "tiled_weights.hpp"

LUMINA_FLOATS_AS_WRITTEN
namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

template <int Bits>
class SlicedWeights;
template <int Bits>
bool encode_slices(MatrixView<const float> w, const Mapping& mapping, const Slices& slices,
                   SlicedWeights<Bits>& sliced);

/// Coded weights w [out, in] in slices, each a byte a weight, and as a whole, for calls without a
/// conversion between slices and for the steps back.
template <int Bits>
class SlicedWeights {
 public:
  static constexpr int bits = Bits;
  static constexpr int whole_stored_bits = TiledWeights<Bits>::stored_bits;

  std::size_t rows() const { return whole_.rows(); }  ///< outputs
  std::size_t cols() const { return whole_.cols(); }  ///< inputs
  const Slices& options() const { return options_; }

  /// As of TiledWeights.
  std::size_t tiles() const { return whole_.tiles(); }
  std::size_t first_input(std::size_t tile) const { return whole_.first_input(tile); }
  std::size_t input_count(std::size_t tile) const { return whole_.input_count(tile); }
  std::size_t tile_of(std::size_t input) const { return whole_.tile_of(input); }
  const TiledWeights<Bits>& whole() const& { return whole_; }
  const TiledWeights<Bits>& whole() const&& = delete;

  /// How many slices there are; the one with the lowest digits is the first.
  std::size_t slices() const { return count_; }
  /// The lowest digits first. Digit 1 has the code 2^(7 − cell_bits), code_value() is the inverse.
  std::span<const TiledWeights<8>> each() const& { return {slices_.data(), count_}; }
  std::span<const TiledWeights<8>> each() const&& = delete;
  /// −(2^cell_bits − 1) … 2^cell_bits − 1.
  std::int32_t digit(std::size_t slice, std::size_t row, std::size_t col) const {
    return detail::digit_of(whole_.code(row, col), options_.cell_bits, slice);
  }

 private:
  friend bool encode_slices<Bits>(MatrixView<const float> w, const Mapping& mapping,
                                  const Slices& slices, SlicedWeights& sliced);

  Slices options_;
  std::size_t count_ = 0;
  TiledWeights<Bits> whole_;
  std::array<TiledWeights<8>, std::size_t{Bits - 1}> slices_;
};

namespace detail {

/// How many slices these make of weights with so many bits of magnitude; 0 after an error.
inline std::size_t slice_count(const Slices& slices, int magnitude_bits, const Shape& w) {
  const auto refuse = [&](auto... parts) __attribute__((noinline)) {
    Message message;
    message << "lumina::encode_slices: w is " << w << "; ";
    (message << ... << parts);
    report_error(message.c_str());
    return std::size_t{0};
  };
  const auto number = [](int n) { return Number{static_cast<double>(n)}; };
  if (slices.cell_bits < 1 || slices.cell_bits > 7) {
    return refuse("cell_bits is ", number(slices.cell_bits), "; it must be in 1..7");
  }
  if (slices.input_bits < 0 || slices.input_bits > 8) {
    return refuse("input_bits is ", number(slices.input_bits), "; it must be in 0..8");
  }
  const int needed = (magnitude_bits + slices.cell_bits - 1) / slices.cell_bits;
  if (slices.count != 0 && slices.count != needed) {
    return refuse(number(slices.count), " slices of ", number(slices.cell_bits),
                  " bits do not make the ", number(magnitude_bits),
                  " bits of a weight's magnitude; it takes ", number(needed));
  }
  return static_cast<std::size_t>(needed);
}

}  // namespace detail

/// Encodes w [out, in] onto arrays of sliced weights, into `sliced`, whose memory is used again.
/// Errors: those of encode_tiles; cell_bits outside 1 … 7, input_bits outside 0 … 8, a count of
/// slices that do not make Bits − 1 bits of magnitude; `sliced` is as before then. The result:
/// whether it was encoded.
template <int Bits>
bool encode_slices(MatrixView<const float> w, const Mapping& mapping, const Slices& slices,
                   SlicedWeights<Bits>& sliced) {
  const std::size_t count = detail::slice_count(slices, Bits - 1, {w.rows(), w.cols()});
  if (count == 0 || !encode_tiles(w, mapping, sliced.whole_)) return false;
  const auto has_memory = [&](const auto& weights) { return weights.rows() == w.rows(); };
  bool complete = has_memory(sliced.whole_);
  sliced.options_ = slices;
  sliced.count_ = count;
  // At the upper end of their bytes, so that the squares that ProportionalReadNoise wants, of
  // 7 bits, lose as little as they can (kernels/sum_planes.hpp).
  const float code_value = 1.0f / static_cast<float>(1 << (7 - slices.cell_bits));
  for (std::size_t slice = 0; complete && slice < count; ++slice) {
    detail::TiledEncoder<8> encoder(w, mapping, sliced.slices_[slice]);
    complete = encoder.choose_scales();
    if (!complete) break;
    encoder.encode(code_value, [&](std::size_t tile) {
      return detail::WeightDigits(sliced.whole_, tile, slices.cell_bits, slice);
    });
    complete = has_memory(sliced.slices_[slice]);
  }
  if (!complete) sliced = SlicedWeights<Bits>();  // reported
  return complete;
}

/// Encodes w [out, in] onto arrays of sliced weights.
template <int Bits>
SlicedWeights<Bits> encode_slices(MatrixView<const float> w, const Mapping& mapping = {},
                                  const Slices& slices = {}) {
  SlicedWeights<Bits> sliced;
  encode_slices(w, mapping, slices, sliced);
  return sliced;
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
LUMINA_FLOATS_AS_BEFORE
