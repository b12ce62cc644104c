// The largest magnitude of what passes through an epilogue, for ADCs whose range follows it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../matrix.hpp"
#include "../../stage_list.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../isa/native.hpp"
#include "../layout/float_panels.hpp"
#include "../simd/vectors.hpp"
#include "stage_operations.hpp"
#include "stage_traits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A vector of magnitudes for every row and column block: one task owns it, so that threads
/// need no agreement.
class MagnitudeTracker {
 public:
  void resize(std::size_t rows, std::size_t cols) {
    blocks_ = ceil_div(cols, kBlockColumns);
    count_ = size_product(rows, blocks_, kLanes);
    slots_.grow_to(count_);
  }

  float largest() const {
    float result = 0.0f;
    for (std::size_t i = 0; i < count_; ++i) result = std::max(result, slots_.data()[i]);
    return result;
  }

  /// NaN is passed over.
  template <class Floats>
  [[gnu::always_inline]] void add(const Floats& values, const Coordinates& at,
                                  const ActiveLanes& active) {
    static_assert(Floats::size == kLanes);
    float* const slot = slots_.data() + (at.row * blocks_ + at.column / kBlockColumns) * kLanes;
    Floats magnitudes = abs(values);
    if (active.count < Floats::size) {
      alignas(kCacheLine) float lanes[Floats::size];
      magnitudes.store_aligned(lanes);
      magnitudes = load_first<Floats>(lanes, active.count);
    }
    const bool first = at.column % kBlockColumns == 0;
    const Floats before = first ? Floats(0.0f) : Floats::load_aligned(slot);
    max_or_second(magnitudes, before).store_aligned(slot);
  }

 private:
  static constexpr std::size_t kLanes = Native::Batch<float>::size;

  AlignedBuffer<float> slots_;
  std::size_t blocks_ = 0;
  std::size_t count_ = 0;
};

/// An observer (observer.hpp) of an epilogue of these stages, which shows a tracker, add(values,
/// at, active), what enters the last gate.
template <class EpilogueT, class Tracker = MagnitudeTracker>
class MagnitudeObserver;
template <class... Stages, class Tracker>
class MagnitudeObserver<Epilogue<Stages...>, Tracker> {
 public:
  explicit MagnitudeObserver(Tracker& tracker) : tracker_(&tracker) {}

  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index, const Stage&, const Floats& entering,
                                  const Coordinates& at, const ActiveLanes& active) const {
    if constexpr (is_last_gate<Index::value, Stages...>()) {
      tracker_->add(entering, at, active);
    }
  }

 private:
  Tracker* tracker_;
};

/// The same of a list, block by block.
template <AnyStageList List, class Tracker>
class MagnitudeObserver<List, Tracker> {
 public:
  explicit MagnitudeObserver(Tracker& tracker) : tracker_(&tracker) {}

  void see_block(const StageList& stages, const ListedStage& stage,
                 const StageBlock& entering) const {
    if (!stages.is_last_gate(stage)) return;
    entering.for_each_vector([&](const VectorInBlock& v) {
      tracker_->add(StageFloats::load_aligned(entering.values + v.index), v.at, v.active);
    });
  }

 private:
  Tracker* tracker_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
