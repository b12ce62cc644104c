// The calls of analog_gemm.hpp with observers: what they multiply, checked and run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../noisy_dac.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../../tiled_floats.hpp"
#include "../../tiled_weights.hpp"
#include "../../tiled_weights_view.hpp"
#include "../base/message.hpp"
#include "../epilogue/sinks.hpp"
#include "../epilogue/stage_traits.hpp"
#include "../epilogue/tile_sums.hpp"
#include "../isa/native.hpp"
#include "../kernels/code_dot.hpp"
#include "../kernels/plane_kernel.hpp"
#include "../rows/array_float_rows.hpp"
#include "../rows/array_input.hpp"
#include "../rows/array_rows.hpp"
#include "../rows/random_input.hpp"
#include "array_dac.hpp"
#include "array_loop.hpp"
#include "array_problem.hpp"
#include "call.hpp"
#include "checks.hpp"
#include "run.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Weights in slices (sliced_weights.hpp), whose calls are SlicedCall (sliced_call.hpp).
template <class T>
concept SlicesOfWeights = requires(const T& weights) {
  weights.whole();
  weights.each();
};
template <class Weights>
struct SlicedCall;

/// The weights of the products that a call with these sums up to.
template <class Weights>
const auto& whole_weights(const Weights& weights) {
  if constexpr (SlicesOfWeights<Weights>) {
    return weights.whole();
  } else {
    return weights;
  }
}

/// How many arrays have noise and an ADC of their own for each output.
template <class Weights, class Dac>
std::size_t array_count(const Weights& weights, [[maybe_unused]] const Dac& dac) {
  if constexpr (SlicesOfWeights<Weights>) {
    return SlicedCall<Weights>::conversions(weights, dac);
  } else {
    return weights.tiles();
  }
}

template <class T>
inline constexpr bool is_tiled = std::is_same_v<T, TiledFloats> || SlicesOfWeights<T>;
template <int Bits>
inline constexpr bool is_tiled<TiledWeights<Bits>> = true;
template <int Bits>
inline constexpr bool is_tiled<TiledWeightsView<Bits>> = true;
/// Weights on arrays, multiplied as codes or as floats.
template <class T>
concept ArrayWeights = is_tiled<T>;

template <class Dac, template <int> class Weights, int Bits>
bool array_sums_fit([[maybe_unused]] const Dac& dac,
                    [[maybe_unused]] const Weights<Bits>& weights) {
  if constexpr (is_noisy_dac<Dac>) {
    return array_sums_fit<Bits>(dac, {weights.rows(), weights.cols()},
                                weights.panels().inputs.largest());
  } else {
    return true;
  }
}
template <class Dac>
bool array_sums_fit(const Dac&, const TiledFloats&) {
  return true;
}

template <class Dac>
using InputOf = decltype(input_of(std::declval<const Dac&>(), std::declval<const NoiseKey&>()));

/// What a call on arrays is made of, whose stages want these sums.
template <class Weights, class X, class Input, class Stages>
struct ArrayParts {
  static constexpr int kStored = Weights::stored_bits;
  static_assert(!(requires { requires Input::Row::stochastic; } && std::is_same_v<X, std::uint8_t>),
                "lumina::analog_gemm: a StochasticDac takes floats, not codes");
  static constexpr unsigned kSums = sums_of<Stages> | byte_planes_of<Input>;
  using Dot = CodeDot<Native, kStored>;
  using Kernel = KernelWithSums<Dot, kSums>;
  using Rows = ArrayRows<Native, X, Input, kSums, wants_row_facts<Stages>>;
  using Sums = TileSums<Native, kStored, kSums>;
  using Problem = ArrayProblem<Kernel, Rows, Sums, TiledPanels<kStored>>;
  static constexpr int kMaxDacBits = 8;

  static Problem problem(MatrixView<const X> x, const Input& input, const Weights& weights) {
    const TiledPanels<kStored> panels = weights.panels();
    return {Rows(x, input), panels, Sums(input.scale(), panels)};
  }
};
template <class Input, class Stages>
struct ArrayParts<TiledFloats, float, Input, Stages> {
  static_assert(!wants_facts<Stages>,
                "lumina::analog_gemm: stages that want sums, or facts of rows, need coded weights");
  static_assert(!is_random_input<Input>,
                "lumina::analog_gemm: a NoisyDac or StochasticDac needs coded weights");
  using Kernel = FloatKernel;
  using Rows = ArrayFloatRows<Native, Input>;
  using Sums = FloatTileSums<Native>;
  using Problem = ArrayProblem<Kernel, Rows, Sums, FloatTiles<PackedWeights>>;
  static constexpr int kMaxDacBits = 16;

  static Problem problem(MatrixView<const float> x, const Input& input,
                         const TiledFloats& weights) {
    const float* const scales = weights.scales(0).data();
    return {Rows(x, input),
            {&weights.packed(0), weights.inputs(), weights.padded_outputs(), scales},
            Sums(scales, weights.padded_outputs())};
  }
};

/// Bits of a DAC in front of such weights.
template <class Weights>
inline constexpr int max_dac_bits = std::is_same_v<Weights, TiledFloats> ? 16 : 8;

/// Reports the first thing wrong with all but the shapes; `x`: of the rows that are multiplied.
template <class Dac, ArrayWeights Weights, class Y, class ArrayStages, class OutputStages>
bool array_stages_valid(const Shape& x, const Dac& dac, const Weights& weights, MatrixView<Y> y,
                        const ArrayStages& array_stages, const OutputStages& output_stages) {
  const Shape w{weights.rows(), weights.cols()};
  if constexpr (SlicesOfWeights<Weights>) {
    if (!SlicedCall<Weights>::stages_fit(weights, array_stages)) return false;
  }
  if (!array_dac_valid(dac, max_dac_bits<Weights>) || !array_sums_fit(dac, weights) ||
      !code_output_valid(x, w, y, output_stages) ||
      !stage_valid_for(array_stages, y.rows(), y.cols()) ||
      !stage_valid_for(output_stages, y.rows(), y.cols()) || !weights_aligned(weights)) {
    return false;
  }
  if constexpr (is_view_of_weights<Weights> && Native::Codes::input_bias != 0) {
    if (sums_of<ArrayStages> != 0) {
      return report_false(Message() << "lumina::analog_gemm: w is " << w
                                    << "; stages that want sums need a TiledWeights here, no view");
    }
  }
  return true;
}

/// Runs a problem; finish_of(output stages, sink): what becomes of its sums.
template <class Problem, class Y, class OutputStages, class Executor, class FinishOf>
bool run_array_problem(const Problem& problem, MatrixView<Y> y, const OutputStages& output_stages,
                       const Executor& executor, const FinishOf& finish_of) {
  if (y.rows() == 0 || y.cols() == 0) return true;
  return with_sink<Y>(output_stages, [&](const auto& stages, const auto& sink) {
    const auto finish = finish_of(stages, sink);
    return with_kernel<Problem>(y.rows(), executor, [&]<class K>(std::type_identity<K>) {
      using Call = ArrayLoop<K, Problem, std::remove_const_t<decltype(finish)>>;
      return run_call<Call>(problem, y, executor, finish);
    });
  });
}

/// What arrays yield, in their stages' and the outputs' place; arguments are not checked.
template <class X, class Dac, ArrayWeights Weights, class Y, class ArrayStages, class ArrayObserver,
          class OutputStages, class OutputObserver, class Executor>
bool run_arrays(MatrixView<const X> x, const Dac& dac, const Weights& weights, MatrixView<Y> y,
                const ArrayStages& array_stages, const ArrayObserver& array_observer,
                const OutputStages& output_stages, const OutputObserver& output_observer,
                const NoiseKey& key, const Executor& executor, const Origin& origin = {}) {
  if constexpr (SlicesOfWeights<Weights>) {
    return SlicedCall<Weights>::run(x, dac, weights, y, array_stages, array_observer, output_stages,
                                    output_observer, key, executor, origin);
  } else {
    using Parts = ArrayParts<Weights, X, InputOf<Dac>, ArrayStages>;
    const NoiseKey of_rows{key.seed, key.stream, key.row_offset + origin.row};
    auto problem = Parts::problem(x, input_of(dac, of_rows), weights);
    problem.origin = origin;
    return run_array_problem(
        problem, y, output_stages, executor, [&](const auto& stages, const auto& sink) {
          return ArrayFinish<Native, ArrayStages, ArrayObserver, std::decay_t<decltype(stages)>,
                             OutputObserver, std::decay_t<decltype(sink)>>{
              array_stages, array_observer, stages, output_observer, sink, key, weights.tiles()};
        });
  }
}

/// y = outputs(Σ over arrays of r·s·array(ŷ)).
template <class X, class Dac, ArrayWeights Weights, class Y, class ArrayStages, class ArrayObserver,
          class OutputStages, class OutputObserver, class Executor>
bool call_arrays(MatrixView<const X> x, const Dac& dac, const Weights& weights, MatrixView<Y> y,
                 const ArrayStages& array_stages, const ArrayObserver& array_observer,
                 const OutputStages& output_stages, const OutputObserver& output_observer,
                 const NoiseKey& key, const Executor& executor) {
  return operands_valid(x, weights, y, executor) &&
         array_stages_valid({x.rows(), x.cols()}, dac, weights, y, array_stages, output_stages) &&
         run_arrays(x, dac, weights, y, array_stages, array_observer, output_stages,
                    output_observer, key, executor);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
