// What happens to the outputs of arrays (analog_gemm.hpp), in each array and behind all of them.
//
//   array(GaussianNoise{0.04f}, adc)   digital(AddBias{bias}, Relu{})
#pragma once

#include <type_traits>

#include "config.hpp"
#include "epilogue.hpp"
#include "quantizer.hpp"
#include "stage.hpp"
#include "stage_list.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {

/// No stage that wants sums or facts of rows stands behind a quantizer.
template <class... Stages>
constexpr bool currents_before_adc() {
  bool converted = false, right = true;
  ((right = right && !(converted && wants_facts<Stages>),
    converted = converted || Converts<Stages>),
   ...);
  return right;
}

}  // namespace detail

/// What happens in each array: noise, nonlinearities, in the end its ADC; without one its outputs
/// add up as they are.
template <class... Stages>
struct ArrayStages {
  static_assert(detail::currents_before_adc<Stages...>(),
                "lumina::array: a stage that wants sums or facts of rows stands before the ADC");
  Epilogue<Stages...> stages;
};
template <Stage... Stages>
ArrayStages<Stages...> array(const Stages&... stages) {
  return {epilogue(stages...)};
}
/// The same chosen at run time. `Set`, of Sums, and `RowFacts`: what these stages may want beside
/// the value; each choice is code of its own. Error of a call: a stage wants more.
template <unsigned Set, bool RowFacts>
struct ArrayStageList {
  StageListWith<Set, RowFacts> stages;
};
template <unsigned Set = 0, bool RowFacts = false>
ArrayStageList<Set, RowFacts> array(const StageList& stages) {
  return {StageListWith<Set, RowFacts>(stages)};
}

/// What happens to the sum of all arrays: bias, activation.
template <class... Stages>
struct DigitalStages {
  static_assert(
      !(detail::wants_facts<Stages> || ...),
      "lumina::digital: behind the ADCs there are no currents: sums and facts of rows are "
      "for stages of array()");
  Epilogue<Stages...> stages;
};
template <Stage... Stages>
DigitalStages<Stages...> digital(const Stages&... stages) {
  return {epilogue(stages...)};
}
/// The same chosen at run time.
struct DigitalStageList {
  StageList stages;
};
inline DigitalStageList digital(const StageList& stages) { return {stages}; }

namespace detail {

template <class T>
inline constexpr bool are_in_arrays = false;
template <class... Stages>
inline constexpr bool are_in_arrays<ArrayStages<Stages...>> = true;
template <unsigned Set, bool RowFacts>
inline constexpr bool are_in_arrays<ArrayStageList<Set, RowFacts>> = true;

template <class T>
inline constexpr bool are_behind_arrays = std::is_same_v<T, DigitalStageList>;
template <class... Stages>
inline constexpr bool are_behind_arrays<DigitalStages<Stages...>> = true;

}  // namespace detail

/// What array(…) and digital(…) make.
template <class T>
concept StagesInArrays = detail::are_in_arrays<T>;
template <class T>
concept StagesBehindArrays = detail::are_behind_arrays<T>;

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
