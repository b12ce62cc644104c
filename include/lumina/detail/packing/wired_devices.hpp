// Weights on devices of arrays with wires: conductances, solved, and what they are read as.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../cells/pairs.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../wires.hpp"
#include "../base/range.hpp"
#include "../layout/float_panels.hpp"
#include "../layout/tiles.hpp"
#include "row_blocks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The conductances of `devices` [out, inputs of a tile] as wires leave them, to `to`; outputs are
/// cut into arrays of their own. False: reported, no memory or no conductance.
template <RowSource Devices>
bool solve_devices(const Devices& devices, const Tiling& outputs, const Wires& wires,
                   MatrixView<float> to) {
  for (std::size_t first = 0; first < to.rows(); first += kPanelColumns) {
    std::size_t column = 0;
    const Range rows{first, std::min(kPanelColumns, to.rows() - first)};
    for_each_block(devices, rows, [&](MatrixView<const float> block) {
      for (std::size_t i = 0; i < rows.size; ++i) {
        std::copy_n(block.row(i), block.cols(), to.row(first + i) + column);
      }
      column += block.cols();
    });
  }
  for (std::size_t array = 0; array < outputs.count; ++array) {
    const MatrixView<float> own(to.row(outputs[array].begin), outputs[array].size, to.cols(),
                                to.row_stride());
    if (!conductances_valid(own, "Programmed")) return false;
    const auto store = [&](std::size_t output, std::size_t input, double g) {
      own(output, input) = static_cast<float>(g);
    };
    if (!solve_wires(own, wires, store)) return false;
  }
  return true;
}

/// The ŵ of a tile of inputs [out, inputs] whose devices are these: g⁺ alone, or also g⁻.
template <RowSource Plus, RowSource... Minus>
bool hold_wired(const PairMapping& pairs, const Tiling& outputs, const Wires& wires,
                MatrixView<float> weights, const Plus& plus, const Minus&... minus) {
  if (!solve_devices(plus, outputs, wires, weights)) return false;
  Matrix<float> second;
  if constexpr (sizeof...(minus) != 0) {
    second = Matrix<float>(weights.rows(), weights.cols());
    if (second.rows() != weights.rows() || second.cols() != weights.cols()) return false;
    if (!solve_devices(minus..., outputs, wires, second.view())) return false;
  }
  for (std::size_t row = 0; row < weights.rows(); ++row) {
    for (std::size_t i = 0; i < weights.cols(); ++i) {
      float& weight = weights(row, i);
      if constexpr (sizeof...(minus) != 0) {
        weight = pairs.weight(weight, second(row, i));
      } else {
        weight = pairs.weight(weight);
      }
    }
  }
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
