// What a call multiplies.
#pragma once

#include <concepts>

#include "../../config.hpp"
#include "concepts.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// rows × panels, whose sums become floats as `sums` says. `K`: the kernel that multiplies them, or
/// one that may stand in for another (OnUnit).
template <Kernel K, RowSource RowsT, PanelSource<K> PanelsT, SumsToFloats<K> SumsT>
requires std::same_as<typename RowsT::Element, typename K::Input>
struct Problem {
  using Kernel = K;
  using Rows = RowsT;
  using Panels = PanelsT;
  using Sums = SumsT;

  Rows rows;
  Panels panels;
  Sums sums;
};

template <class K, class Rows, class Panels, class Sums>
Problem<K, Rows, Panels, Sums> make_problem(const Rows& rows, const Panels& panels,
                                            const Sums& sums) {
  return {rows, panels, sums};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
