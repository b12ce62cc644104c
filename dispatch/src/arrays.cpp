// Compiled once for each instruction set, as unit.cpp is, which calls it.
#include "arrays.hpp"

#include <stdexcept>
#include <type_traits>

#include <lumina/lumina.hpp>

#include "stage_list.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace unit {

/// f<sums, facts of rows>() with what the stages want, or more: each set is code of its own, so
/// there are those of the field's presets, and all. `Few`: only none and all.
template <bool Few, class F>
void with_sums(const StageList& stages, const F& f) {
  const unsigned wanted = stages.wanted_sums();
  if (wanted == 0 && !stages.wants_row_facts()) return f.template operator()<0, false>();
  if constexpr (!Few) {
    if (wanted == 0) return f.template operator()<0, true>();
    if (wanted == Sums::squared_inputs) return f.template operator()<Sums::squared_inputs, true>();
  }
  f.template operator()<Sums::magnitudes | Sums::squared_inputs | Sums::squares, true>();
}

/// f(the DAC). A symmetric one has a range for each row, if only the same one.
template <class F>
void with_dac(const dispatch::Call& call, const F& f) {
  const RuntimeQuantizer dac = RuntimeQuantizer::of(call.dac);
  if (dac.is_symmetric()) {
    f(ManagedDac{dac.bits(), dac.hi(), call.noise_management, call.bound_iterations});
  } else if (call.noise_management != NoiseManagement::none || call.bound_iterations != 0) {
    throw std::invalid_argument(
        "lumina::dispatch: a DAC whose range rows choose (noise_management, bound_iterations) must "
        "be symmetric");
  } else {
    f(dac);
  }
}

struct Lists {
  StageList in_array, behind;

  Lists(const dispatch::Call& call, std::size_t rows, std::size_t cols, dispatch::StagePlace& place)
      : in_array(list_of(call.array_stages, "array_stages", rows, cols, place)),
        behind(list_of(call.digital_stages, "digital_stages", rows, cols, place)) {}
};

void run_arrays(const dispatch::Call& call, const Packed& packed, ForwardRecord* record,
                dispatch::StagePlace& place) {
  const Lists lists(call, call.y.rows, call.y.cols, place);
  const MatrixView<const float> x(call.x);
  with_dac(call, [&](const auto& dac) {
    with_tiles(packed, [&](const auto& weights) {
      // A DAC over [lo, hi] is rare in front of arrays.
      constexpr bool kFew = !std::is_same_v<std::remove_cvref_t<decltype(dac)>, ManagedDac>;
      with_sums<kFew>(lists.in_array, [&]<unsigned Set, bool RowFacts>() {
        forward(analog_pass(x, dac, weights, array<Set, RowFacts>(lists.in_array),
                            digital(lists.behind), call.key),
                call.y, record, any_executor(call));
      });
    });
  });
}

void backward_through_arrays(const dispatch::Call& call, const Packed& packed,
                             MatrixView<const float> grad_y, const ForwardRecord& record,
                             const Gradients& gradients, BackwardWorkspace& workspace,
                             dispatch::StagePlace& place) {
  const Lists lists(call, grad_y.rows(), grad_y.cols(), place);
  const MatrixView<const float> x(call.x);
  with_dac(call, [&](const auto& dac) {
    with_tiles(packed, [&](const auto& weights) {
      // Noise has no part in it, nor what it wants.
      backward(analog_pass(x, dac, weights, array(lists.in_array), digital(lists.behind), call.key),
               grad_y, record, gradients, workspace, any_executor(call));
    });
  });
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
