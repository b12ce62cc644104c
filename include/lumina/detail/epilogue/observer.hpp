// Observers: who looks on while values pass through the stages of an epilogue, and changes nothing.
// An observer is a small value type with a member
//
//   template <class Floats>
//   void see(index, const Stage& stage, const Floats& entering, const Coordinates& at,
//            const ActiveLanes& active) const
//
// called with each vector of values before the stage number `index`, a constant, takes it.
#pragma once

#include <cstddef>
#include <type_traits>

#include "../../config.hpp"
#include "../../stage.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Nobody.
struct NoObserver {
  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index, const Stage&, const Floats&, const Coordinates&,
                                  const ActiveLanes&) const {}
};

/// The stages' result, with the observer looking on. A stage that is no epilogue is its only one.
/// `facts`: Facts, or NoFacts where no stage takes them.
template <class Stages, class Floats, class Normals, class FactsT, class Observer>
[[gnu::always_inline]] inline Floats apply_observed(const Stages& stages, const Floats& values,
                                                    const Coordinates& at,
                                                    const ActiveLanes& active,
                                                    const Normals& normals, const FactsT& facts,
                                                    const Observer& observer) {
  if constexpr (std::is_same_v<Observer, NoObserver>) {
    return apply_stage(stages, values, at, active, normals, facts);
  } else if constexpr (requires { stages.stages(); }) {
    return stages.apply_showing(
        values, at, active, normals, facts,
        [&](auto index, const auto& stage, const Floats& entering)
            __attribute__((always_inline)) { observer.see(index, stage, entering, at, active); });
  } else {
    observer.see(std::integral_constant<std::size_t, 0>{}, stages, values, at, active);
    return apply_stage(stages, values, at, active, normals, facts);
  }
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
