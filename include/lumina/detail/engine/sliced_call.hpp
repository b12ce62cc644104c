// The calls of analog_slices.hpp with observers: what they multiply, checked and run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../matrix.hpp"
#include "../../sliced_weights.hpp"
#include "../../stage_list.hpp"
#include "../base/message.hpp"
#include "../epilogue/observer.hpp"
#include "../epilogue/slice_stages.hpp"
#include "../isa/native.hpp"
#include "../kernels/code_dot.hpp"
#include "../kernels/plane_kernel.hpp"
#include "../rows/array_input.hpp"
#include "../rows/sliced_rows.hpp"
#include "array_call.hpp"
#include "array_problem.hpp"
#include "array_scratch.hpp"
#include "checks.hpp"
#include "sliced_problem.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Nothing stands between the digits and their sum: slices and planes are one product.
template <class Stages>
bool digits_collapse([[maybe_unused]] const Stages& stages) {
  if constexpr (AnyStageList<Stages>) {
    return stages.size() == 0;
  } else {
    return std::is_same_v<typename OfOneSlice<Stages>::Stages, Epilogue<>>;
  }
}

/// What a call on sliced weights is made of.
template <int Bits, class X, class Input, class ConversionStages>
struct SlicedParts {
  using Stages = typename OfOneSlice<ConversionStages>::Stages;
  static constexpr unsigned kSums = sums_of<Stages>;
  using Kernel = KernelWithSums<CodeDot<Native, 8>, kSums>;
  using Rows = SlicedRows<Native, X, Input, kSums, wants_row_facts<Stages>>;
  using Problem =
      SlicedProblem<Kernel, Rows, Native, kSums, SlicedWeights<Bits>::whole_stored_bits>;

  static Problem problem(MatrixView<const X> x, const Input& input,
                         const SlicedWeights<Bits>& weights) {
    const Slices& slices = weights.options();
    return {Rows(x, input, input.digits(slices)), input.scale(), weights.whole().panels(),
            weights.each(), slices};
  }
};

template <int Bits>
struct SlicedCall<SlicedWeights<Bits>> {
  using Weights = SlicedWeights<Bits>;

  /// Conversions of each output, behind this DAC.
  template <class Dac>
  static std::size_t conversions(const Weights& weights, const Dac& dac) {
    return weights.tiles() * weights.slices() * input_of(dac).digits(weights.options()).planes();
  }

  template <class X, class Dac, class Y, class ConversionStages, class Observer, class OutputStages,
            class OutputObserver, class Executor>
  static bool run(MatrixView<const X> x, const Dac& dac, const Weights& weights, MatrixView<Y> y,
                  const ConversionStages& stages, const Observer& observer,
                  const OutputStages& output_stages, const OutputObserver& output_observer,
                  const NoiseKey& key, const Executor& executor) {
    using Input = decltype(input_of(dac));
    using Parts = SlicedParts<Bits, X, Input, ConversionStages>;
    if (!OfOneSlice<ConversionStages>::fits(stages, weights.slices())) {
      return report_false(Message()
                          << "lumina::analog_gemm: w is " << Shape{weights.rows(), weights.cols()}
                          << " in " << weights.slices()
                          << " slices; stages of slices must be as many, and are others");
    }
    if (digits_collapse(stages)) {
      return call_arrays(x, dac, weights.whole(), y, stages_of_slice(stages, 0), observer,
                         output_stages, output_observer, key, executor);
    }
    if (!array_call_valid(x, dac, 8, weights, y, stages, output_stages, executor)) return false;
    if (y.rows() == 0 || y.cols() == 0) return true;
    const auto problem = Parts::problem(x, input_of(dac), weights);
    return run_arrays(
        problem, y, output_stages, executor, [&](const auto& outputs, const auto& sink) {
          using Outputs =
              ArrayFinish<Native, Epilogue<>, NoObserver, std::decay_t<decltype(outputs)>,
                          OutputObserver, std::decay_t<decltype(sink)>>;
          return SlicedFinish<Native, ConversionStages, Observer, Outputs>{
              stages, observer,
              Outputs{epilogue(), NoObserver(), outputs, output_observer, sink, key,
                      weights.tiles()},
              key, conversions(weights, dac)};
        });
  }
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
