// Compiled once for each instruction set, as unit.cpp is, which calls it.
#include "arrays.hpp"

#include <stdexcept>
#include <type_traits>

#include <lumina/lumina.hpp>

#include "keep_outputs.hpp"
#include "products.hpp"
#include "stage_list.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace unit {

Lists::Lists(const dispatch::Call& call, std::size_t rows, std::size_t cols,
             dispatch::StagePlace& place)
    : in_array(list_of(call.array_stages, "array_stages", rows, cols, place)),
      behind(list_of(call.digital_stages, "digital_stages", rows, cols, place)) {}

Lists::Lists(const dispatch::Call& call, std::size_t rows, std::size_t cols, std::size_t tiles,
             dispatch::StagePlace& place)
    : Lists(call, rows, cols, place) {
  if (call.array_outputs != nullptr) in_array.add(KeepOutputs{call.array_outputs, tiles, cols});
}

namespace {

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

/// A DAC over [lo, hi] is rare in front of arrays.
template <class Dac>
inline constexpr bool is_rare = !std::is_same_v<Dac, ManagedDac>;
template <class Dac>
inline constexpr SumSets sets_for = is_rare<Dac> ? SumSets::none_or_all : SumSets::each;

}  // namespace

void run_arrays(const dispatch::Call& call, const Packed& packed, ForwardRecord* record,
                dispatch::StagePlace& place) {
  const MatrixView<const float> x(call.x);
  with_dac(call, [&](const auto& dac) {
    with_tiles(packed, [&](const auto& weights) {
      const Lists lists(call, call.y.rows, call.y.cols, weights.tiles(), place);
      with_sums<sets_for<std::remove_cvref_t<decltype(dac)>>>(
          lists.in_array, [&]<unsigned Set, bool RowFacts>() {
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
      const auto pass =
          analog_pass(x, dac, weights, array(lists.in_array), digital(lists.behind), call.key);
      using Weights = std::remove_cvref_t<decltype(weights)>;
      if constexpr (is_rare<std::remove_cvref_t<decltype(dac)>> ||
                    !std::is_same_v<Weights, TiledWeights<8>>) {
        backward(pass, grad_y, record, gradients, workspace, any_executor(call));
      } else {
        with_products_of_arrays(call.gradient_products, [&](const auto& products) {
          backward(pass, grad_y, record, gradients, workspace, products, any_executor(call));
        });
      }
    });
  });
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
