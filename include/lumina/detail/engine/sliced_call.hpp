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
  static_assert(!is_random_input<Input>,
                "lumina::analog_gemm: weights in slices take no NoisyDac or StochasticDac");
  static_assert((kSums & kPositionSums) == 0,
                "lumina::analog_gemm: an IrDrop is of whole weights, not of slices");
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
    return weights.tiles() * weights.slices() *
           input_of(dac, NoiseKey()).digits(weights.options()).planes();
  }

  /// Reports stages of other slices than there are.
  template <class ConversionStages>
  static bool stages_fit(const Weights& weights, const ConversionStages& stages) {
    return OfOneSlice<ConversionStages>::fits(stages, weights.slices()) ||
           report_false(Message() << "lumina::analog_gemm: w is "
                                  << Shape{weights.rows(), weights.cols()} << " in "
                                  << weights.slices()
                                  << " slices; stages of slices must be as many, and are others");
  }

  /// As run_arrays().
  template <class X, class Dac, class Y, class ConversionStages, class Observer, class OutputStages,
            class OutputObserver, class Executor>
  static bool run(MatrixView<const X> x, const Dac& dac, const Weights& weights, MatrixView<Y> y,
                  const ConversionStages& stages, const Observer& observer,
                  const OutputStages& output_stages, const OutputObserver& output_observer,
                  const NoiseKey& key, const Executor& executor, const Origin& origin) {
    using Parts = SlicedParts<Bits, X, InputOf<Dac>, ConversionStages>;
    if (digits_collapse(stages)) {
      return run_arrays(x, dac, weights.whole(), y, stages_of_slice(stages, 0), observer,
                        output_stages, output_observer, key, executor, origin);
    }
    auto problem = Parts::problem(x, input_of(dac, key), weights);
    problem.origin = origin;
    return run_array_problem(
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
