// Where the backward pass writes, and the memory that it needs on the way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "border.hpp"
#include "coded_weights.hpp"
#include "config.hpp"
#include "detail/base/kept.hpp"
#include "detail/base/message.hpp"
#include "detail/engine/arguments.hpp"
#include "detail/random/xoshiro.hpp"
#include "detail/training/bf16_panels.hpp"
#include "detail/training/code_columns.hpp"
#include "detail/training/range_gate.hpp"
#include "epilogue.hpp"
#include "input_range.hpp"
#include "matrix.hpp"
#include "weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// A stage for the gradient by weights that are encoded with scales of the caller's: straight
/// through where the weight w(out, in) has a code, 0 where it saturates. `bits`: those of the
/// codes, where encode_weights was told fewer than Bits.
template <int Bits>
struct WeightGate {
  detail::KeptView<const float> w;
  detail::KeptSpan<const float> scales;
  int bits = Bits;

  bool valid_for(std::size_t rows, std::size_t cols) const {
    if (w.rows() == rows && w.cols() == cols && scales.size() == rows) return true;
    detail::report_error((detail::Message()
                          << "lumina::WeightGate: w is " << detail::Shape{w.rows(), w.cols()}
                          << " with " << scales.size() << " scales, the gradient is "
                          << detail::Shape{rows, cols})
                             .c_str());
    return false;
  }
  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& gradient, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    const Floats weight = load_columns<Floats>({w.row(at.row), w.cols()}, at, active);
    const Floats limit(static_cast<float>(detail::max_weight_code(bits)) * scales[at.row]);
    return select(abs(weight) <= limit, gradient, Floats(0.0f));
  }
};

/// The key of the numbers that round gradients at random (IntegerSplitProducts<1>, backward.hpp) in
/// the backward pass of a call with `key`: that of its outputs' noise, its stream changed.
constexpr NoiseKey gradient_key(const NoiseKey& key) {
  constexpr std::uint64_t kGradients = 0x6772616469656e74;  // "gradient"
  return {key.seed, key.stream ^ detail::SplitMix64::mix(kGradients), key.row_offset};
}

/// Where backward() writes. What has no data is not computed.
struct Gradients {
  detail::KeptView<float> input = {};     ///< [batch, in]
  detail::KeptView<float> weights = {};   ///< [out, in]
  detail::KeptSpan<float> bias = {};      ///< [out]
  InputRangeSums* input_range = nullptr;  ///< of the DAC, [-r, r] or [0, r]; x of floats
};

/// The memory of backward(): the gradient by the dot products, and the packed operands of the two
/// products. Grows where it must, so later calls of the same shapes allocate nothing.
struct BackwardWorkspace {
  detail::AlignedBuffer<float> gradient;        // [batch, out]
  detail::AlignedBuffer<float> sums;            // [out]
  detail::AlignedBuffer<float> array_gradient;  // [batch, out], of arrays: one after the other
  detail::AlignedBuffer<float> array_inputs;    // [batch, inputs of an array]
  detail::AlignedBuffer<float> conversions;     // [2, batch, out], of sliced weights
  PackedWeights weights;                        // [out][in]
  PackedWeights inputs;                         // [batch][in]
  detail::Bf16Panels weight_codes;              // as weights and inputs, for Bf16SplitProducts
  detail::Bf16Panels input_codes;
  detail::CodeColumns columns;  // as weights, then as inputs, for IntegerSplitProducts
  detail::AlignedBuffer<std::uint8_t> array_codes;  // as array_inputs, of rows with own ranges,
  detail::AlignedBuffer<float> row_steps;           // [batch], what their code 1 is worth
  detail::AlignedBuffer<detail::RangeSlot> range_slots;  // [batch][in / 128], for an input range
  detail::AlignedBuffer<float> input;                    // [batch, in], where nobody else wants it
};

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
