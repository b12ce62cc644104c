// Products of a gradient with codes in integers: the gradient's rows become fixed point, whose
// bytes a kernel of codes multiplies (docs/numerics.md, "Integer split").
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../../stage.hpp"
#include "../base/range.hpp"
#include "../engine/call.hpp"
#include "../engine/problem.hpp"
#include "../engine/run.hpp"
#include "../engine/scratch.hpp"
#include "../engine/tasks.hpp"
#include "../epilogue/first_stage.hpp"
#include "../epilogue/observer.hpp"
#include "../epilogue/split_sums.hpp"
#include "../isa/native.hpp"
#include "../kernels/pair_dot.hpp"
#include "../kernels/split_kernel.hpp"
#include "../rows/scaled.hpp"
#include "../rows/scaled_transposed.hpp"
#include "../rows/split_rows.hpp"
#include "../rows/transposed.hpp"
#include "checks.hpp"
#include "code_columns.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The most rows of panels of one product: so many products of 255 and 255 (a byte of x, a part of
/// a gradient) fit into 32 bits with a sign. Longer sums are several products.
inline constexpr std::size_t kMostSplitDepth = std::size_t{1} << 15;

/// How IntegerSplitProducts<Parts> round: to the nearest, a single part at random.
template <std::size_t Parts>
using SplitRounding = std::conditional_t<Parts == 1, AtRandom, ToNearest>;
/// With a pass's key. `draw`: see SplitDraws.
template <std::size_t Parts>
SplitRounding<Parts> split_rounding(const NoiseKey& key, std::size_t draw,
                                    std::size_t first_input) {
  if constexpr (Parts == 1) {
    return {gradient_key(key), draw, first_input};
  } else {
    return {};
  }
}

/// Which numbers round a pass's gradient at random: for the one by the inputs of the arrays number
/// `array` along them draw 2·array, for the one by their weights the draw behind it.
struct SplitDraws {
  NoiseKey key;  ///< the pass's
  std::size_t array = 0;
  std::size_t first_output = 0;  ///< the number of the gradient's first column

  /// Rows are those of the batch, counted from the key's row_offset on.
  template <std::size_t Parts>
  SplitRounding<Parts> by_input() const {
    return split_rounding<Parts>(key, 2 * array, first_output);
  }
  /// Rows are outputs, which are never shards. `first_row`: the first one of the batch.
  template <std::size_t Parts>
  SplitRounding<Parts> by_weights(std::size_t first_row) const {
    return split_rounding<Parts>({key.seed, key.stream, first_output}, 2 * array + 1, first_row);
  }
};

/// For with_kernel().
struct OfBytes {
  using Kernel = ByteKernel<Native>;
};

/// How gradients of Parts bytes are multiplied for so many rows of a result: two bytes as one
/// number of 16 bits, where vectors do that.
template <std::size_t Parts, class Executor>
CodeColumns::Form split_form(std::size_t rows, const Executor& executor) {
  if constexpr (Parts == 2 && kHasPairs<Native>) {
    bool on_vectors = true;
    with_kernel<OfBytes>(rows, executor, [&]<class K>(std::type_identity<K>) {
      return on_vectors = std::is_same_v<K, ByteKernel<Native>>;
    });
    if (on_vectors) return CodeColumns::Form::pairs;
  }
  return CodeColumns::Form::bytes;
}

/// rows · panels, in bytes.
template <std::size_t Parts, bool AreBytes, FloatsInRange Source>
auto split_problem(const Source& source, const SplitRounding<Parts>& rounding,
                   const CodeColumns& panels, const ByteValue& value) {
  using Rows = SplitRows<Native, Parts, InBytes<Native, Parts>, Source, SplitRounding<Parts>>;
  using Sums = SplitSums<Native, Parts, AreBytes>;
  return make_problem<SplitKernel<ByteKernel<Native>, Parts>>(
      Rows(source, rounding), panels.words<4>(), Sums(value, panels.sums(), panels.padded_depth()));
}
/// The same of two bytes in pairs.
template <bool AreBytes, FloatsInRange Source, class Arch = Native>
auto pair_problem(const Source& source, const CodeColumns& panels, const ByteValue& value) {
  using Rows = SplitRows<Arch, 2, InPairs<Arch>, Source>;
  using Sums = PairSums<Arch, AreBytes>;
  using K = PairKernel<Arch, Sums::kMostInputs>;
  const auto problem =
      make_problem<K>(Rows(source), panels.words<2>(), Sums(value, panels.depth()));
  using ScratchT = Scratch<K, std::remove_const_t<decltype(problem)>>;
  static_assert(ScratchT::Depth::block_inputs(ScratchT::kMaxRows) > Sums::kMostInputs,
                "lumina: longer sums begin with more inputs than one sum holds (PairKernel)");
  return problem;
}

/// y [rows, columns] = stages(the sums of rows · panels), which were packed for `form`.
template <std::size_t Parts, bool AreBytes, FloatsInRange Source, class Stages, class Executor>
bool run_split(const Source& source, const SplitRounding<Parts>& rounding,
               const CodeColumns& panels, CodeColumns::Form form, const ByteValue& value,
               MatrixView<float> y, const Stages& stages, const NoiseKey& key,
               const Executor& executor) {
  if constexpr (Parts == 2 && kHasPairs<Native>) {
    if (form == CodeColumns::Form::pairs) {
      const auto problem = pair_problem<AreBytes>(source, panels, value);
      return run_on<typename decltype(problem)::Kernel>(problem, y, stages, NoObserver(), key,
                                                        executor);
    }
  }
  const auto problem = split_problem<Parts, AreBytes>(source, rounding, panels, value);
  return with_kernel<OfBytes>(y.rows(), executor, [&]<class K>(std::type_identity<K>) {
    return run_on<SplitKernel<K, Parts>>(problem, y, stages, NoObserver(), key, executor);
  });
}

/// Reports more outputs than such a gradient by the input has sums for.
template <class Pass>
bool split_outputs_valid(const Pass& pass, MatrixView<const float> grad_y,
                         const Gradients& gradients) {
  const bool wanted = gradients.input.data() != nullptr || gradients.input_range != nullptr;
  if (!wanted || grad_y.cols() <= kMostSplitDepth) return true;
  return report_false(backward_message("lumina::backward", {pass.x.rows(), pass.x.cols()},
                                       {pass.weights.rows(), pass.weights.cols()}, grad_y)
                      << "; with IntegerSplitProducts there are at most " << kMostSplitDepth
                      << " outputs");
}

/// Reports a workspace of the executor's that cannot hold the two products.
template <std::size_t Parts, class Pass, class Executor>
bool workspace_valid_for_split(const Pass& pass, const Gradients& gradients,
                               const Executor& executor) {
  if constexpr (BringsWorkspace<Executor>) {
    const std::size_t batch = pass.x.rows();
    const auto holds = [&]<class Source, bool AreBytes>(std::type_identity<Source>,
                                                        std::bool_constant<AreBytes>,
                                                        std::size_t depth, MatrixView<float> y) {
      const auto has = [&]<class P>(std::type_identity<P>) {
        return workspace_valid<Scratch<typename P::Kernel, P>>(executor.workspace(), depth, y);
      };
      if constexpr (Parts == 2 && kHasPairs<Native>) {
        return has(std::type_identity<decltype(pair_problem<AreBytes>(
                       std::declval<Source>(), CodeColumns(), ByteValue()))>());
      } else {
        return has(std::type_identity<decltype(split_problem<Parts, AreBytes>(
                       std::declval<Source>(), split_rounding<Parts>({}, 0, 0), CodeColumns(),
                       ByteValue()))>());
      }
    };
    return ((gradients.input.data() == nullptr && gradients.input_range == nullptr) ||
            holds(std::type_identity<ScaledRows<Native>>(), std::true_type(), pass.weights.rows(),
                  MatrixView<float>(gradients.input.data(), batch, pass.x.cols()))) &&
           (gradients.weights.data() == nullptr ||
            holds(std::type_identity<TransposedRows>(), std::false_type(),
                  std::min(batch, kMostSplitDepth), gradients.weights));
  }
  return true;
}

/// A stage: adds what lies in a matrix already, nothing where that has no data.
struct AddMatrix {
  MatrixView<const float> matrix;

  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& values, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    if (matrix.data() == nullptr) return values;
    return load_columns<Floats>({matrix.row(at.row), matrix.cols()}, at, active) + values;
  }
};

/// The gradient by the input, gradient·W: stages(…) to `input`.
template <std::size_t Parts, class Weights, class Stages, class Executor>
bool split_input_gradient(MatrixView<const float> gradient, std::span<const float> scales,
                          const Weights& weights, MatrixView<float> input, const Stages& stages,
                          const SplitDraws& draws, CodeColumns& panels, const Executor& executor) {
  const CodeColumns::Form form = split_form<Parts>(input.rows(), executor);
  return panels.pack(weights, {0, weights.rows()}, form, executor) &&
         run_split<Parts, true>(ScaledRows<Native>(gradient, scales), draws.by_input<Parts>(),
                                panels, form, {}, input, stages, NoiseKey{}, executor);
}

/// What a code of x is worth: what the DAC says.
struct ValueOfDac {
  static TransposedRows rows(MatrixView<const float> gradient, std::size_t) {
    return TransposedRows(gradient);
  }
  static ByteValue of(const ByteValue& by_dac) { return by_dac; }
};
/// Or so much in each row of x, times the code with its sign. The gradient has that factor.
struct StepOfRow {
  std::span<const float> steps;

  ScaledTransposedRows rows(MatrixView<const float> gradient, std::size_t first) const {
    return {gradient, steps.subspan(first, gradient.rows())};
  }
  static ByteValue of(const ByteValue& by_dac) { return {by_dac.shift}; }
};

/// Some rows of a batch, with x behind `dac` [rows, in]. `first_row`: where in the batch they
/// begin; `last`: whether they are its last ones.
template <class X, class Value = ValueOfDac>
struct SplitBatch {
  MatrixView<const float> gradient;  ///< [rows, out]
  MatrixView<const X> x;
  const UniformQuantizer& dac;
  Value value = {};
  std::size_t first_row = 0;
  bool last = true;
};

/// The gradient by weights, gradientᵀ·X: weight_stages(…) to `by_weights`; of kMostSplitDepth rows
/// of the batch at a time, which add up in floats. Rows behind the first ones are added to what
/// `by_weights` holds, and before the last ones there are no stages.
template <std::size_t Parts, class X, class Value, class Stages, class Executor>
bool split_weight_gradient(const SplitBatch<X, Value>& batch, MatrixView<float> by_weights,
                           const Stages& weight_stages, const NoiseKey& weight_key,
                           const SplitDraws& draws, CodeColumns& panels, const Executor& executor) {
  const MatrixView<const float> gradient = batch.gradient;
  const MatrixView<const X> x = batch.x;
  const CodeColumns::Form form = split_form<Parts>(by_weights.rows(), executor);
  const ByteValue value = batch.value.of(CodeColumns::value_of<X>(batch.dac, form));
  std::size_t row = 0;
  do {
    const std::size_t rows = std::min(kMostSplitDepth, x.rows() - row);
    const std::size_t in_batch = batch.first_row + row;
    const MatrixView<const float> own(gradient.row(row), rows, gradient.cols(),
                                      gradient.row_stride());
    if (!panels.pack(MatrixView<const X>(x.row(row), rows, x.cols(), x.row_stride()), batch.dac,
                     form, executor)) {
      return false;
    }
    const auto multiply = [&](const auto& stages, const NoiseKey& stages_key) {
      return run_split<Parts, false>(batch.value.rows(own, row), draws.by_weights<Parts>(in_batch),
                                     panels, form, value, by_weights, stages, stages_key, executor);
    };
    const AddMatrix add{in_batch == 0 ? MatrixView<const float>()
                                      : MatrixView<const float>(by_weights)};
    const bool ran = batch.last && row + rows == x.rows()
                         ? multiply(with_first_stage(add, weight_stages), weight_key)
                         : multiply(epilogue(add), NoiseKey{});
    if (!ran) return false;
    row += rows;
  } while (row < x.rows());
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
