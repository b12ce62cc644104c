// Panels for the products of the backward pass. There the right operand of grad_input = gs·W is W
// [out, in] with out as the depth, that of grad_weight = gsᵀ·x̂ is x̂ [batch, in] with batch as the
// depth: rows go into panels as they lie. PackedWeights holds them, with rows() the columns of the
// product, cols() the depth, and panel[row of the depth][32 columns], so that the engine reads them
// like any other weights. Memory is used again where it is large enough.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../../weights.hpp"
#include "../base/range.hpp"
#include "../base/unroll.hpp"
#include "../isa/native.hpp"
#include "../kernels/code_dot.hpp"
#include "../packing/float_panels.hpp"
#include "../simd/vectors.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// f(inputs, outputs, to) for every block of 32 × 32 of a matrix [out, in] in panels, the pieces
/// being smaller at the ends; `to` is the block's beginning in panels of `backward`, which holds
/// that matrix with out as its depth.
template <class F>
void for_each_backward_block(std::size_t outs, std::size_t ins, PackedWeights& backward, F f) {
  float* to = reshape(backward, ins, outs);
  if (to == nullptr) return;
  for (std::size_t in = 0; in < ins; in += kPanelColumns) {
    for (std::size_t out = 0; out < outs; out += kPanelColumns) {
      const Range inputs{in, std::min(kPanelColumns, ins - in)};
      const Range outputs{out, std::min(kPanelColumns, outs - out)};
      f(inputs, outputs, to);
      to += outputs.size * kPanelColumns;
    }
  }
}

/// The weights [out, in] of a forward pass, for the backward pass: rows() = in, cols() = out.
inline void pack_for_backward(const PackedWeights& forward, PackedWeights& backward) {
  for_each_backward_block(
      forward.rows(), forward.cols(), backward,
      [&](const Range& inputs, const Range& outputs, float* to) {
        const float* const from =
            forward.panel(outputs.begin / kPanelColumns) + inputs.begin * kPanelColumns;
        // The forward panel holds a block's inputs as rows, as w its outputs: turned once more.
        pack_panel(MatrixView<const float>(from, inputs.size, outputs.size, kPanelColumns), to);
      });
}

/// The same from codes, which lie in panels, as the values that decode() gives; scale_of(output):
/// what code 1 is worth.
template <class Forward, class ScaleOf>
void pack_codes_for_backward(const Forward& forward, const ScaleOf& scale_of,
                             PackedWeights& backward) {
  constexpr int kStored = Forward::stored_bits;
  constexpr std::size_t kSteps = kPanelColumns / kCodesPerWord<kStored>;  // of a block
  constexpr std::size_t kGroups = kCodesPerWord<kStored> / 4;
  constexpr std::size_t kFours = kPanelColumns / 4;
  using Words = Native::Batch<std::int32_t>;
  using Quad = rebind_t<Native::Quad, std::int32_t>;

  for_each_backward_block(
      forward.rows(), forward.cols(), backward,
      [&](const Range& inputs, const Range& outputs, float* to) {
        const std::size_t first_step = inputs.begin / kCodesPerWord<kStored>;
        const std::size_t steps = std::min(kSteps, forward.steps() - first_step);
        const std::int32_t* words =
            forward.panel(outputs.begin / kPanelColumns) + first_step * kPanelColumns;
        // Four codes in bytes, at the upper ends: fours[four inputs][output].
        alignas(kCacheLine) std::int32_t fours[kFours][kPanelColumns];
        if (steps < kSteps) std::fill_n(fours[0], kFours * kPanelColumns, 0);
        for (std::size_t step = 0; step < steps; ++step, words += kPanelColumns) {
          for (std::size_t i = 0; i < kPanelColumns; i += Words::size) {
            const Words word = Words::load_aligned(words + i);
            unroll<kGroups>([&](auto group) __attribute__((always_inline)) {
              CodeDot<Native, kStored>::template unpack<group>(word).store_aligned(
                  fours[step * kGroups + group] + i);
            });
          }
        }
        // Turned: the codes of an output side by side.
        alignas(kCacheLine) std::int32_t turned[kPanelColumns][kFours];
        for (std::size_t out = 0; out < outputs.size; out += 4) {
          for (std::size_t four = 0; four < kFours; four += 4) {
            const auto quads = transposed_4x4<Quad>(fours[four] + out, kPanelColumns);
            for (std::size_t i = 0; i < 4; ++i) quads[i].store_aligned(turned[out + i] + four);
          }
        }
        for (std::size_t out = 0; out < outputs.size; ++out) {
          const float scale = scale_of(outputs.begin + out);
          const auto* const codes = reinterpret_cast<const signed char*>(turned[out]);
          float* const row = to + out * kPanelColumns;
          for (std::size_t i = 0; i < kPanelColumns; ++i) {
            row[i] = static_cast<float>(codes[i] >> (8 - kStored)) * scale;
          }
        }
      });
}

template <int Bits>
void pack_for_backward(const CodedWeights<Bits>& forward, PackedWeights& backward) {
  pack_codes_for_backward(
      forward, [&](std::size_t output) { return forward.scales()[output]; }, backward);
}

/// The vectors of a row of a panel.
template <class Floats>
using PanelRow = std::array<Floats, kPanelColumns / Floats::size>;

/// f(PanelRow) of the elements of m [depth, columns], floats or codes, which become the floats with
/// their values: rows() = columns, cols() = depth. Where the last panel is filled up there are
/// zeros, not f(0).
template <class T, class F>
void pack_panel_rows(MatrixView<const T> m, PackedWeights& panels, F f) {
  using Floats = Native::Batch<float>;
  // A few rows at a time: they are read, and the panels written, in long enough pieces.
  constexpr std::size_t kRows = 8;
  alignas(kCacheLine) float values[kRows][kPanelColumns] = {};
  float* const first_panel = reshape(panels, m.cols(), m.rows());
  if (first_panel == nullptr) return;
  for (std::size_t begin = 0; begin < m.rows(); begin += kRows) {
    const std::size_t rows = std::min(kRows, m.rows() - begin);
    for (std::size_t column = 0; column < m.cols(); column += kPanelColumns) {
      const std::size_t columns = std::min(kPanelColumns, m.cols() - column);
      for (std::size_t row = 0; row < rows; ++row) {
        const T* const from = m.row(begin + row) + column;
        if (columns == kPanelColumns) {
          for (std::size_t i = 0; i < kPanelColumns; ++i) {
            values[row][i] = static_cast<float>(from[i]);
          }
        } else {
          for (std::size_t i = 0; i < columns; ++i) values[row][i] = static_cast<float>(from[i]);
        }
      }
      float* to = first_panel + column * m.rows() + begin * kPanelColumns;
      for (std::size_t row = 0; row < rows; ++row, to += kPanelColumns) {
        PanelRow<Floats> vectors;
        for (std::size_t i = 0; i < vectors.size(); ++i) {
          vectors[i] = Floats::load_aligned(values[row] + i * Floats::size);
        }
        vectors = f(vectors);
        for (std::size_t i = 0; i < vectors.size(); ++i) {
          vectors[i].store_aligned(to + i * Floats::size);
        }
        std::fill(to + columns, to + kPanelColumns, 0.0f);
      }
    }
  }
}

/// f(vector) of the elements of m.
template <class T, class F>
void pack_rows(MatrixView<const T> m, PackedWeights& panels, F f) {
  pack_panel_rows(
      m, panels, [f](auto row) __attribute__((always_inline)) {
        for (auto& vector : row) vector = f(vector);
        return row;
      });
}

/// Weights [out, in] that no forward pass has packed, for the backward pass: as they lie.
inline void pack_for_backward(MatrixView<const float> w, PackedWeights& backward) {
  pack_rows(w, backward, [](const auto& values) { return values; });
}

/// The values of the codes that a DAC makes of x [depth, columns], or that x has already:
/// dac.decode(code). So NaN is worth dac.offset(), as it is to the coded engine.
template <class X>
void pack_quantized_rows(MatrixView<const X> x, const UniformQuantizer& dac,
                         PackedWeights& panels) {
  pack_panel_rows(
      x, panels, [dac](auto row) __attribute__((always_inline)) {
        using Floats = typename decltype(row)::value_type;
        if constexpr (std::is_same_v<X, float>) {
          row = dac.codes_of_lanes(row);
        } else {
          for (Floats& code : row) code = code + Floats(static_cast<float>(dac.lowest()));
        }
        for (Floats& code : row) code = dac.values_of_lanes(code);
        return row;
      });
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
