// The backward pass through arrays: the gradient by their sum, then for each array the one by its
// outputs, where its ADC let it pass, and the two products with what it has of weights and inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../forward_record.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../../stage_list.hpp"
#include "../../tiled_floats.hpp"
#include "../../tiled_weights.hpp"
#include "../base/range.hpp"
#include "../base/scalar_math.hpp"
#include "../engine/array_call.hpp"
#include "../engine/call.hpp"
#include "../engine/float_weights.hpp"
#include "../engine/run.hpp"
#include "../engine/tasks.hpp"
#include "../engine/thresholds.hpp"
#include "../epilogue/backward.hpp"
#include "../epilogue/block_backward.hpp"
#include "../epilogue/clip_recorder.hpp"
#include "../epilogue/observer.hpp"
#include "../epilogue/stage_traits.hpp"
#include "../isa/native.hpp"
#include "../rows/array_input.hpp"
#include "../rows/matrix.hpp"
#include "../rows/noisy.hpp"
#include "../rows/patches.hpp"
#include "../rows/transposed.hpp"
#include "backward.hpp"
#include "checks.hpp"
#include "integer_split.hpp"
#include "range_gate.hpp"
#include "transposed_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// The weights of the arrays number `tile` along the inputs, as coded weights.
template <int Bits>
class WeightTile {
 public:
  static constexpr int stored_bits = TiledWeights<Bits>::stored_bits;

  WeightTile(const TiledWeights<Bits>& weights, std::size_t tile)
      : panels_(weights.panels()), rows_(weights.rows()), tile_(tile) {}

  std::size_t rows() const { return rows_; }
  std::size_t cols() const { return panels_.inputs[tile_].size; }
  std::size_t steps() const { return ceil_div(cols(), kCodesPerWord<stored_bits>); }
  const std::int32_t* panel(std::size_t index) const {
    return panels_.words + index * panels_.panel_size +
           steps_before<stored_bits>(panels_.inputs, tile_) * kPanelColumns;
  }
  /// What code 1 is worth.
  float scale(std::size_t output) const {
    return product(panels_.code_value, panels_.scales[tile_ * panels_.padded_outputs + output]);
  }

 private:
  TiledPanels<stored_bits> panels_;
  std::size_t rows_, tile_;
};

/// Weights on arrays whose gradients IntegerSplitProducts have.
template <class Weights>
concept CodesOnArrays = requires(const Weights& weights) {
  WeightTile(whole_weights(weights), std::size_t{});
};

/// The weights of the arrays number `tile` along the inputs, for the gradient by their inputs.
template <int Bits>
void pack_tile_for_backward(const TiledWeights<Bits>& weights, std::size_t tile,
                            PackedWeights& backward) {
  const WeightTile own(weights, tile);
  pack_codes_for_backward(
      own, [&](std::size_t output) { return own.scale(output); }, backward);
}
inline void pack_tile_for_backward(const TiledFloats& weights, std::size_t tile,
                                   PackedWeights& backward) {
  pack_for_backward(weights.packed(tile), backward);
}

template <AnyQuantizer Dac>
auto array_input_stages(MatrixView<const float> x, const Dac& dac) {
  return epilogue(InputGate{x, dac});
}
/// A row that has chosen its range itself has no input beyond it.
inline auto array_input_stages(MatrixView<const float> x, const ManagedDac& dac) {
  constexpr float kAll = 0x1p+100f;
  return epilogue(InputGate{
      x, RuntimeQuantizer::symmetric(
             dac.bits, dac.noise_management == NoiseManagement::none ? dac.range : kAll)});
}
template <class Dac>
auto array_input_stages(MatrixView<const std::uint8_t>, const Dac&) {
  return epilogue();
}

/// f(the stages of the gradient by an array's inputs, where it goes to), where one of the two is
/// wanted: it, or what it adds to the sums for the input's range.
template <class X, class Dac, class F>
void with_array_input_gradient(MatrixView<const X> x, const Dac& dac, MatrixView<float> input,
                               InputRangeSums* range, BackwardWorkspace& workspace, F f) {
  if (range == nullptr) {
    if (input.data() != nullptr) f(array_input_stages(x, dac), input);
    return;
  }
  if constexpr (std::is_same_v<X, float> && AnyQuantizer<Dac>) {  // else refused
    const InputRangeSums own = sums_through_range_gate(x, dac, input, workspace, f);
    range->gradient += own.gradient;
    range->inside += own.inside;
    range->count += own.count;
  }
}

/// What the arrays multiplied as x, in panels for a product over the batch.
template <class X, AnyQuantizer Dac>
bool pack_array_inputs(MatrixView<const X> x, const Dac& dac, BackwardWorkspace& workspace) {
  pack_quantized_rows(x, dac, workspace.inputs);
  return true;
}
inline bool pack_array_inputs(MatrixView<const float> x, const ManagedDac& dac,
                              BackwardWorkspace& workspace) {
  if (!workspace.array_inputs.grow_to(size_product(x.rows(), x.cols()))) return false;
  const MatrixView<float> values(workspace.array_inputs.data(), x.rows(), x.cols());
  const ManagedInput input(dac);
  for (std::size_t row = 0; row < x.rows() && x.cols() != 0; ++row) {
    input.with_dac(x.row(row), x.cols(), 0, [&](const UniformQuantizer& own, float) {
      // As codes: NaN is worth 0 here.
      for (std::size_t k = 0; k < x.cols(); ++k) {
        values(row, k) = own.decode(own.encode(x(row, k)));
      }
    });
  }
  pack_rows(MatrixView<const float>(values), workspace.inputs,
            [](const auto& vector) { return vector; });
  return true;
}

/// What code 1 of each output is worth, to `memory`. Empty: there is no memory, which is reported.
template <int Bits>
std::span<const float> scales_of_tile(const WeightTile<Bits>& weights,
                                      AlignedBuffer<float>& memory) {
  if (!memory.grow_to(weights.rows())) return {};
  for (std::size_t output = 0; output < weights.rows(); ++output) {
    memory.data()[output] = weights.scale(output);
  }
  return {memory.data(), weights.rows()};
}

/// f(x as CodeColumns take it, the DAC that has its codes, what they are worth), for the gradient
/// by the weights in integers. False: there is no memory, or what f returns.
template <class X, AnyQuantizer Dac, class F>
bool with_array_codes(MatrixView<const X> x, const Dac& dac, BackwardWorkspace&, const F& f) {
  return f(x, dac, ValueOfDac());
}
/// Each row as codes of its own range.
template <class F>
bool with_array_codes(MatrixView<const float> x, const ManagedDac& dac,
                      BackwardWorkspace& workspace, const F& f) {
  if (!workspace.array_codes.grow_to(size_product(x.rows(), x.cols())) ||
      !workspace.row_steps.grow_to(x.rows())) {
    return false;
  }
  std::uint8_t* const codes = workspace.array_codes.data();
  float* const steps = workspace.row_steps.data();
  const ManagedInput input(dac);
  for (std::size_t row = 0; row < x.rows() && x.cols() != 0; ++row) {
    input.with_dac(x.row(row), x.cols(), 0, [&](const UniformQuantizer& own, float) {
      const EncodedPixels encode(own);
      encode(x.row(row), x.cols(), codes + row * x.cols());
      steps[row] = own.step();
    });
  }
  const MatrixView<const std::uint8_t> rows(codes, x.rows(), x.cols());
  return f(rows, input.dac(), StepOfRow{{steps, x.rows()}});
}

/// Whether the stages of arrays, or those behind them, have derivatives that depend on nothing, or
/// are gates. Of a list the first that is none is reported.
template <class... Stages>
constexpr bool array_stages_straight(const Epilogue<Stages...>&) {
  static_assert(!StageChain<Stages...>::any_needs_values,
                "lumina::backward: stages of arrays have a derivative that depends on nothing, or "
                "are gates");
  return true;
}
template <AnyStageList List>
bool array_stages_straight(const List& stages) {
  return stages.differentiable() && stages.straight();
}

/// `gradient` = the one by what enters these stages, where grad is the one by what leaves them.
template <class Stages, class Executor>
void gradient_through(const Stages& stages, const ForwardRecord& record, std::size_t first_gate,
                      const NoiseKey& key, MatrixView<const float> grad, MatrixView<float> gradient,
                      float* sums, float* bias, const Executor& executor) {
  const typename GradientPassOf<Native, Stages>::type pass(stages, record, key, grad, gradient,
                                                           sums, bias, first_gate);
  run_tasks(executor, grad.rows() * grad.cols() >= Thresholds::gradients_worth_threads,
            ceil_div(grad.cols(), kBlockColumns), [&](std::size_t block) { pass.run(block); });
}

/// by_array = the gradient by the outputs of the arrays number `tile`, by_sum the one by the sum of
/// all. False after an error. (Of sliced weights: sliced_backward.hpp.)
template <class Weights>
struct GradientByArrays {
  template <class Pass, class Executor>
  static bool make(const Pass& pass, const ForwardRecord& record, std::size_t tile,
                   MatrixView<const float> by_sum, MatrixView<float> by_array, BackwardWorkspace&,
                   const Executor& executor) {
    gradient_through(pass.in_array.stages, record, tile * pass.array_gates(), pass.key, by_sum,
                     by_array, nullptr, nullptr, executor);
    return true;
  }
};

template <class Pass>
bool array_backward_valid(const Pass& pass, MatrixView<const float> grad_y,
                          const ForwardRecord& record, const Gradients& gradients) {
  const Shape x{pass.x.rows(), pass.x.cols()}, w{pass.weights.rows(), pass.weights.cols()};
  return gradients_valid("lumina::backward", pass.x, w, grad_y, gradients,
                         takes_bias(pass.behind.stages)) &&
         array_dac_valid(pass.dac, pass.kMaxDacBits) &&
         array_stages_straight(pass.in_array.stages) && array_stages_straight(pass.behind.stages) &&
         input_range_valid(pass, gradients, backward_message("lumina::backward", x, w, grad_y)) &&
         record_valid(pass, pass.gates(), record,
                      backward_message("lumina::backward", x, w, grad_y));
}

/// The products of the arrays number `tile` in floats, `by_array` being the gradient by their
/// outputs.
template <class Pass, class X, class WeightStages, class Executor>
bool multiply_by_array(const Pass& pass, std::size_t tile, MatrixView<const float> by_array,
                       MatrixView<const X> x, const Gradients& gradients,
                       BackwardWorkspace& workspace, const WeightStages& weight_stages,
                       const NoiseKey& weight_key, const Executor& executor) {
  with_array_input_gradient(x, ideal_dac(pass.dac), gradients.input, gradients.input_range,
                            workspace, [&](const auto& stages, MatrixView<float> to) {
                              pack_tile_for_backward(whole_weights(pass.weights), tile,
                                                     workspace.weights);
                              run(float_problem(MatrixRows(by_array), panels_of(workspace.weights)),
                                  to, stages, NoObserver(), NoiseKey{}, executor);
                            });
  if (gradients.weights.data() != nullptr) {
    if (!pack_array_inputs(x, ideal_dac(pass.dac), workspace)) return false;
    run(float_problem(TransposedRows(by_array), panels_of(workspace.inputs)), gradients.weights,
        weight_stages, NoObserver(), weight_key, executor);
  }
  return true;
}
/// The same in integers of Parts bytes.
template <std::size_t Parts, class Pass, class X, class WeightStages, class Executor>
bool multiply_by_array_in_integers(const Pass& pass, std::size_t tile,
                                   MatrixView<const float> by_array, MatrixView<const X> x,
                                   const Gradients& gradients, BackwardWorkspace& workspace,
                                   const WeightStages& weight_stages, const NoiseKey& weight_key,
                                   const Executor& executor) {
  const SplitDraws draws{pass.key, tile};
  bool ran = true;
  with_array_input_gradient(
      x, ideal_dac(pass.dac), gradients.input, gradients.input_range, workspace,
      [&](const auto& stages, MatrixView<float> to) {
        const WeightTile weights(whole_weights(pass.weights), tile);
        const std::span<const float> scales = scales_of_tile(weights, workspace.sums);
        ran = scales.size() == weights.rows() &&
              split_input_gradient<Parts>(by_array, scales, weights, to, stages, draws,
                                          workspace.columns, executor);
      });
  if (!ran || gradients.weights.data() == nullptr) return ran;
  return with_array_codes(
      x, ideal_dac(pass.dac), workspace,
      [&]<class Codes, class Value>(MatrixView<const Codes> codes, const UniformQuantizer& dac,
                                    const Value& value) {
        return split_weight_gradient<Parts>(SplitBatch<Codes, Value>{by_array, codes, dac, value},
                                            gradients.weights, weight_stages, weight_key, draws,
                                            workspace.columns, executor);
      });
}

/// `weight_stages`: of the gradient by each array's weights, with the key of their noise. `Parts`:
/// of IntegerSplitProducts, or 0 for products of floats.
template <std::size_t Parts, class Pass, class WeightStages, class Executor>
bool backward_through_arrays(const Pass& pass, MatrixView<const float> grad_y,
                             const ForwardRecord& record, const Gradients& gradients,
                             BackwardWorkspace& workspace, const WeightStages& weight_stages,
                             const NoiseKey& weight_key, const Executor& executor) {
  if (!array_backward_valid(pass, grad_y, record, gradients)) return false;
  if (Parts != 0 && !split_outputs_valid(pass, grad_y, gradients)) return false;
  const std::size_t batch = grad_y.rows(), out = grad_y.cols();
  if (!workspace.gradient.grow_to(size_product(batch, out)) ||
      !workspace.array_gradient.grow_to(size_product(batch, out))) {
    return false;
  }
  const MatrixView<float> by_sum(workspace.gradient.data(), batch, out);
  const MatrixView<float> by_array(workspace.array_gradient.data(), batch, out);
  const std::size_t tiles = pass.weights.tiles();
  gradient_through(pass.behind.stages, record, pass.gates_of_arrays(), pass.key, grad_y, by_sum,
                   nullptr, gradients.bias.data(), executor);
  if (gradients.input_range != nullptr) *gradients.input_range = {};
  for (std::size_t tile = 0; tile < tiles; ++tile) {
    const Range inputs{pass.weights.first_input(tile), pass.weights.input_count(tile)};
    const auto of_tile = [&](auto matrix) {
      if (matrix.data() == nullptr) return matrix;
      return decltype(matrix)(matrix.data() + inputs.begin, matrix.rows(), inputs.size,
                              matrix.row_stride());
    };
    if (!GradientByArrays<std::remove_cvref_t<decltype(pass.weights)>>::make(
            pass, record, tile, by_sum, by_array, workspace, executor)) {
      return false;
    }
    const Gradients own{of_tile(MatrixView<float>(gradients.input)),
                        of_tile(MatrixView<float>(gradients.weights)),
                        {},
                        gradients.input_range};
    const auto multiply = [&](const auto& x, const auto& gradient) {
      const NoiseKey key = key_of_tile(weight_key, tile);
      if constexpr (Parts == 0) {
        return multiply_by_array(pass, tile, gradient, x, own, workspace, weight_stages, key,
                                 executor);
      } else {
        return multiply_by_array_in_integers<Parts>(pass, tile, gradient, x, own, workspace,
                                                    weight_stages, key, executor);
      }
    };
    if (!multiply(of_tile(pass.x), MatrixView<const float>(by_array))) return false;
  }
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
