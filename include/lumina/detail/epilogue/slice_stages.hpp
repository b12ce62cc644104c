// The stages of each slice's conversions: the same for all, or sets of the same type.
#pragma once

#include <cstddef>
#include <type_traits>

#include "../../config.hpp"
#include "../../stage.hpp"
#include "../base/kept.hpp"
#include "clip_recorder.hpp"
#include "magnitude_observer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A set for each slice, whose member `stages` they are.
template <class InArray>
struct StagesOfSlices {
  KeptSpan<const InArray> each;

  bool valid_for(std::size_t rows, std::size_t cols) const {
    for (const InArray& own : each) {
      if (!stage_valid_for(own.stages, rows, cols)) return false;
    }
    return true;
  }
};

template <class T>
struct OfOneSlice {
  using Stages = T;
  static const Stages& of(const T& stages, std::size_t) { return stages; }
  static bool fits(const T&, std::size_t) { return true; }
};
template <class InArray>
struct OfOneSlice<StagesOfSlices<InArray>> {
  using Stages = std::remove_const_t<decltype(InArray::stages)>;
  static const Stages& of(const StagesOfSlices<InArray>& stages, std::size_t slice) {
    return stages.each[slice].stages;
  }
  static bool fits(const StagesOfSlices<InArray>& stages, std::size_t slices) {
    return stages.each.size() == slices;
  }
};
/// The stages of a slice's conversions.
template <class T>
const auto& stages_of_slice(const T& stages, std::size_t slice) {
  return OfOneSlice<T>::of(stages, slice);
}

/// Their gates: those of one set.
template <class InArray>
class ClipRecorder<StagesOfSlices<InArray>>
    : public ClipRecorder<typename OfOneSlice<StagesOfSlices<InArray>>::Stages> {
 public:
  using ClipRecorder<typename OfOneSlice<StagesOfSlices<InArray>>::Stages>::ClipRecorder;
};
/// Shows a tracker what enters each slice's last gate, as that of the array of the slice's number.
template <class ConversionStages, class Tracker>
class SliceObserver {
 public:
  using Stages = typename OfOneSlice<ConversionStages>::Stages;

  SliceObserver(Tracker& tracker, std::size_t slices, std::size_t planes)
      : observer_(tracker), slices_(slices), planes_(planes) {}

  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index index, const Stage& stage, const Floats& entering,
                                  Coordinates at, const ActiveLanes& active) const {
    at.tile = at.tile / planes_ % slices_;
    observer_.see(index, stage, entering, at, active);
  }

 private:
  MagnitudeObserver<Stages, Tracker> observer_;
  std::size_t slices_, planes_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
