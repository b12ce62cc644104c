// How weights of floats lie in memory: in panels of 32 outputs side by side, input after input,
// panel[k][column]; the last panel is filled up with zeros. The same on every instruction set.
#pragma once

#include <cstddef>

#include "../../config.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Columns of a panel.
inline constexpr std::size_t kPanelColumns = 32;

/// Panels of so many outputs.
constexpr std::size_t panel_count(std::size_t outputs) {
  return outputs / kPanelColumns + (outputs % kPanelColumns != 0 ? 1 : 0);
}

/// Columns of a block: four panels. Tasks, sums that wait for their epilogue and seedings of the
/// noise are cut at multiples of it.
inline constexpr std::size_t kBlockColumns = 128;

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
