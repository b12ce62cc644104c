// Which values pass the gates of an epilogue, for the backward pass: one bit for each output and
// gate, in a ForwardRecord.
#pragma once

#include <cstddef>
#include <type_traits>

#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../forward_record.hpp"
#include "../../stage_list.hpp"
#include "../simd/vectors.hpp"
#include "stage_operations.hpp"
#include "stage_traits.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// An observer (observer.hpp) of an epilogue of these stages. The record must have room for the
/// output; who makes the call marks it as filled. Nothing is recorded where a stage's derivative
/// needs the values themselves: the backward pass computes these again.
template <class EpilogueT>
class ClipRecorder;

/// How many gates of these stages are recorded.
template <class EpilogueT>
constexpr std::size_t recorded_gates(const EpilogueT&) {
  return ClipRecorder<EpilogueT>::gates;
}
template <AnyStageList List>
std::size_t recorded_gates(const List& stages) {
  return stages.gates();
}

template <class... Stages>
class ClipRecorder<Epilogue<Stages...>> {
 public:
  using Chain = StageChain<Stages...>;
  static constexpr std::size_t gates = Chain::any_needs_values ? 0 : Chain::gates;

  /// `first_gate`: the number of these stages' first one. An array has its own behind those of the
  /// arrays before it.
  explicit ClipRecorder(ForwardRecord& record, std::size_t first_gate = 0)
      : record_(&record), first_gate_(first_gate) {}

  template <class Index, class Stage, class Floats>
  [[gnu::always_inline]] void see(Index, const Stage& stage, const Floats& entering,
                                  const Coordinates& at, const ActiveLanes&) const {
    if constexpr (gates != 0 && is_gate<Stage, Floats>) {
      const std::size_t gate =
          first_gate_ + at.tile * Chain::gates + Chain::gates_before(Index::value);
      record_->template store<Floats::size>(gate, at.row, at.column,
                                            bits_of_mask<Floats>(stage.passes(entering)));
    }
  }

 private:
  ForwardRecord* record_;
  std::size_t first_gate_;
};

/// The same of a list; a loop over blocks shows these instead of vectors (block_loop.hpp).
template <AnyStageList List>
class ClipRecorder<List> {
 public:
  explicit ClipRecorder(ForwardRecord& record, std::size_t first_gate = 0)
      : ClipRecorder(&record, first_gate) {}
  /// Of no record: nobody.
  ClipRecorder(ForwardRecord* record, std::size_t first_gate)
      : record_(record), first_gate_(first_gate) {}

  void see_block(const StageList& stages, const ListedStage& stage,
                 const StageBlock& entering) const {
    if (record_ != nullptr && stages.gates() != 0 && stage.type().is_gate) {
      stage.record(entering, *record_,
                   first_gate_ + entering.tile * stages.gates() + stage.gates_before());
    }
  }

 private:
  ForwardRecord* record_;
  std::size_t first_gate_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
