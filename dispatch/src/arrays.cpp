// Compiled once for each instruction set, as unit.cpp is, which calls it.
#include "arrays.hpp"

#include <lumina/lumina.hpp>

#include "stage_list.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

namespace detail {
// unit.cpp has them.
extern template TileKernel<CodeDot<Native, 8>> tile_kernel<CodeDot<Native, 8>>(std::size_t,
                                                                               std::size_t);
extern template TileKernel<CodeDot<Native, 4>> tile_kernel<CodeDot<Native, 4>>(std::size_t,
                                                                               std::size_t);
extern template TileKernel<CodeDot<Native, 2>> tile_kernel<CodeDot<Native, 2>>(std::size_t,
                                                                               std::size_t);
}  // namespace detail

namespace unit {

/// f<sums, facts of rows>() with what the stages want, or some more: each set is code of its own.
template <class F>
void with_sums(const StageList& stages, const F& f) {
  switch (stages.wanted_sums()) {
    case 0:
      if (!stages.wants_row_facts()) return f.template operator()<0, false>();
      return f.template operator()<0, true>();
    case Sums::magnitudes:
      return f.template operator()<Sums::magnitudes, true>();
    case Sums::squared_inputs:
      return f.template operator()<Sums::squared_inputs, true>();
    case Sums::squares:
      return f.template operator()<Sums::squares, true>();
    default:
      f.template operator()<Sums::magnitudes | Sums::squared_inputs | Sums::squares, true>();
  }
}

/// f(the DAC). A symmetric one has a range for each row, if only the same one.
template <class F>
void with_dac(const dispatch::Call& call, const F& f) {
  const RuntimeQuantizer dac = RuntimeQuantizer::of(call.dac);
  if (dac.is_symmetric()) {
    f(ManagedDac{dac.bits(), dac.hi(), call.noise_management, call.bound_iterations});
  } else if (call.noise_management != NoiseManagement::none || call.bound_iterations != 0) {
    detail::report_error(
        "lumina::dispatch: a DAC whose range rows choose (noise_management, bound_iterations) must "
        "be symmetric");
  } else {
    f(dac);
  }
}

void run_arrays(const dispatch::Call& call, const Packed& packed) {
  const StageList in_array = list_of(call.array_stages, "array_stages", call.y.rows, call.y.cols);
  const StageList behind = list_of(call.digital_stages, "digital_stages", call.y.rows, call.y.cols);
  const MatrixView<const float> x(call.x);
  const MatrixView<float> y(call.y);
  with_dac(call, [&](const auto& dac) {
    with_tiles(packed, [&](const auto& weights) {
      with_sums(in_array, [&]<unsigned Set, bool RowFacts>() {
        analog_gemm<Set, RowFacts>(x, dac, weights, in_array, behind, y, call.key,
                                   any_executor(call));
      });
    });
  });
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
