// What a call multiplies.
#pragma once

#include <concepts>

#include "../../config.hpp"
#include "concepts.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Where the first row and column block of a call are, where it is a part of a larger one: its
/// stages, its noise and who looks on count from there.
struct Origin {
  std::size_t row = 0, block = 0;
};

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
  Origin origin = {};
};

template <class K, class Rows, class Panels, class Sums>
Problem<K, Rows, Panels, Sums> make_problem(const Rows& rows, const Panels& panels,
                                            const Sums& sums, const Origin& origin = {}) {
  return {rows, panels, sums, origin};
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
