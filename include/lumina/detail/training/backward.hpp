// The backward pass: the pass through the derivatives, then the two products.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../forward_pass.hpp"
#include "../../forward_record.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../../weights.hpp"
#include "../base/range.hpp"
#include "../engine/call.hpp"
#include "../engine/float_weights.hpp"
#include "../engine/run.hpp"
#include "../engine/tasks.hpp"
#include "../engine/thresholds.hpp"
#include "../epilogue/backward.hpp"
#include "../epilogue/block_backward.hpp"
#include "../epilogue/observer.hpp"
#include "../isa/native.hpp"
#include "../rows/matrix.hpp"
#include "../rows/scaled.hpp"
#include "../rows/transposed.hpp"
#include "bf16_split.hpp"
#include "checks.hpp"
#include "integer_split.hpp"
#include "range_gate.hpp"
#include "transposed_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// A stage for the gradient by x: 0 where the DAC clipped.
struct InputGate {
  MatrixView<const float> x;
  UniformQuantizer dac;

  template <class Floats, class Normals>
  constexpr Floats apply(const Floats& gradient, const Coordinates& at, const ActiveLanes& active,
                         const Normals&) const {
    const Floats values = load_columns<Floats>({x.row(at.row), x.cols()}, at, active);
    return select(dac.passes(values), gradient, Floats(0.0f));
  }
};

/// The stages of the gradient by x.
template <class X, class Dac>
auto input_stages(MatrixView<const X> x, const Dac& dac) {
  if constexpr (std::is_same_v<X, float> && !std::is_same_v<Dac, NoDac>) {
    return epilogue(InputGate{x, dac});
  } else {
    return epilogue();
  }
}

/// f(stages of the gradient by x that sum up for the DAC's range, where it goes to), and the sums.
/// `input`: where it is wanted, or nowhere.
template <class Dac, class F>
InputRangeSums sums_through_range_gate(MatrixView<const float> x, const Dac& dac,
                                       MatrixView<float> input, BackwardWorkspace& workspace, F f) {
  const std::size_t rows = x.rows(), cols = x.cols(), blocks = ceil_div(cols, kBlockColumns);
  if (!workspace.range_slots.grow_to(size_product(rows, blocks))) return {};
  if (input.data() == nullptr) {
    if (!workspace.input.grow_to(size_product(rows, cols))) return {};
    input = {workspace.input.data(), rows, cols};
  }
  RangeSlot* const slots = workspace.range_slots.data();
  f(epilogue(RangeGate{x, dac, slots, blocks}), input);
  return sum_of_slots(slots, rows, cols);
}

/// f(the stages of the gradient by x, where it goes to), where one of the two is wanted: it, or the
/// sums for the input's range that come with it.
template <class Pass, class F>
void with_input_gradient(const Pass& pass, const Gradients& gradients, BackwardWorkspace& workspace,
                         F f) {
  if (gradients.input_range == nullptr) {
    if (gradients.input.data() != nullptr) f(input_stages(pass.x, pass.dac), gradients.input);
    return;
  }
  if constexpr (has_input_range<Pass>) {  // else refused
    *gradients.input_range =
        sums_through_range_gate(pass.x, pass.dac, gradients.input, workspace, f);
  }
}

/// What the forward pass multiplied as x, in panels for a product over the batch.
template <class Weights, class X, class Dac>
void pack_inputs(MatrixView<const X> x, const Dac& dac, PackedWeights& panels) {
  if constexpr (std::is_same_v<Dac, NoDac>) {
    pack_rows(x, panels, [](const auto& values) { return values; });
  } else if constexpr (std::is_same_v<Weights, PackedWeights>) {
    pack_rows(x, panels, [&dac](const auto& values) { return dac.quantize_lanes(values); });
  } else {
    pack_quantized_rows(x, dac, panels);
  }
}

/// False where the dot products, which a derivative needs, could not be made.
template <class Pass, class EpilogueT, class Executor>
bool run_gradient_pass(const Pass& pass, const EpilogueT& stages, MatrixView<const float> grad_y,
                       const ForwardRecord& record, MatrixView<float> gradient, float* sums,
                       float* bias, const Executor& executor) {
  using GradientPassT = typename GradientPassOf<Native, EpilogueT>::type;
  if constexpr (GradientPassT::kNeedsValues) {
    bool needs_values = true;
    if constexpr (requires { stages.needs_values(); }) needs_values = stages.needs_values();
    if (needs_values && !run_pass(pass, gradient, epilogue(), NoObserver(), executor)) return false;
  }
  const GradientPassT gradient_pass(stages, record, pass.key, grad_y, gradient, sums, bias);
  run_tasks(executor, grad_y.rows() * grad_y.cols() >= Thresholds::gradients_worth_threads,
            ceil_div(grad_y.cols(), kBlockColumns),
            [&](std::size_t block) { gradient_pass.run(block); });
  return true;
}

/// The two products of a backward pass, `gradient` [batch, out] being the one by the dot products.
template <class Pass, class Executor>
void multiply_backward(const Pass& pass, MatrixView<const float> gradient,
                       const Gradients& gradients, BackwardWorkspace& workspace,
                       const Executor& executor) {
  with_input_gradient(pass, gradients, workspace, [&](const auto& stages, MatrixView<float> input) {
    pack_for_backward(pass.weights, workspace.weights);
    run(float_problem(MatrixRows(gradient), panels_of(workspace.weights)), input, stages,
        NoObserver(), NoiseKey{}, executor);
  });
  if (gradients.weights.data() != nullptr) {
    pack_inputs<std::remove_cvref_t<decltype(pass.weights)>>(pass.x, pass.dac, workspace.inputs);
    run(float_problem(TransposedRows(gradient), panels_of(workspace.inputs)), gradients.weights,
        pass.weight_stages, NoObserver(), pass.weight_key, executor);
  }
}

/// What multiply_backward() takes for a pass: y = x·wᵀ.
struct BareProduct {
  MatrixView<const float> x, weights;
  NoDac dac = {};
  Epilogue<> weight_stages = Epilogue<>();
  NoiseKey weight_key = {};
};

/// The same with codes on a matrix unit. `sums` [out]: of the gradient over the batch.
template <class Unit, class Pass, class Executor>
void multiply_backward_split(const Pass& pass, MatrixView<const float> gradient,
                             std::span<const float> sums, const Gradients& gradients,
                             BackwardWorkspace& workspace, const Executor& executor) {
  with_input_gradient(pass, gradients, workspace, [&](const auto& stages, MatrixView<float> input) {
    workspace.weight_codes.pack(pass.weights);
    run_bf16_split<Native, Unit>(ScaledRows<Native>(gradient, pass.weights.scales()),
                                 workspace.weight_codes, input, stages, NoiseKey{}, executor);
  });
  if (gradients.weights.data() != nullptr) {
    workspace.input_codes.pack(pass.x, pass.dac);
    const ValuesOfCodes values{pass.dac.step(), pass.dac.offset(), sums};
    run_bf16_split<Native, Unit>(TransposedRows(gradient), workspace.input_codes, gradients.weights,
                                 with_first_stage(values, pass.weight_stages), pass.weight_key,
                                 executor);
  }
}

/// The same with codes in integers, of Parts bytes. False: there is no memory.
template <std::size_t Parts, class Pass, class Executor>
bool multiply_backward_in_integers(const Pass& pass, MatrixView<const float> gradient,
                                   const Gradients& gradients, BackwardWorkspace& workspace,
                                   const Executor& executor) {
  bool ran = true;
  with_input_gradient(pass, gradients, workspace, [&](const auto& stages, MatrixView<float> input) {
    ran = split_input_gradient<Parts>(gradient, pass.weights.scales(), pass.weights, input, stages,
                                      {pass.key}, workspace.columns, executor);
  });
  if (ran && gradients.weights.data() != nullptr) {
    using X = std::remove_const_t<std::remove_pointer_t<decltype(pass.x.data())>>;
    ran = split_weight_gradient<Parts>(SplitBatch<X>{gradient, pass.x, pass.dac}, gradients.weights,
                                       pass.weight_stages, pass.weight_key, {pass.key},
                                       workspace.columns, executor);
  }
  return ran;
}

/// backward() with these checks, and multiply(gradient by the dot products) for its products.
template <class Pass, class Valid, class Multiply, class Executor>
bool run_backward_with(const Pass& pass, MatrixView<const float> grad_y,
                       const ForwardRecord& record, const Gradients& gradients,
                       BackwardWorkspace& workspace, const Executor& executor, const Valid& valid,
                       const Multiply& multiply) {
  if (!backward_valid(pass, grad_y, record, gradients)) return false;
  if (!workspace.gradient.grow_to(size_product(grad_y.rows(), grad_y.cols())) ||
      !workspace.sums.grow_to(grad_y.cols())) {
    return false;
  }
  const MatrixView<float> gradient(workspace.gradient.data(), grad_y.rows(), grad_y.cols());
  return valid() &&
         run_gradient_pass(pass, pass.epilogue, grad_y, record, gradient, workspace.sums.data(),
                           gradients.bias.data(), executor) &&
         multiply(gradient);
}

/// backward() with a matrix unit, or void for none. The result: whether it ran.
template <class Unit, class Pass, class Executor>
bool run_backward(const Pass& pass, MatrixView<const float> grad_y, const ForwardRecord& record,
                  const Gradients& gradients, BackwardWorkspace& workspace,
                  const Executor& executor) {
  const auto valid = [&] {
    return !std::is_void_v<Unit> || workspace_valid_for_products(pass, gradients, executor);
  };
  return run_backward_with(pass, grad_y, record, gradients, workspace, executor, valid,
                           [&](MatrixView<const float> gradient) {
                             if constexpr (std::is_void_v<Unit>) {
                               multiply_backward(pass, gradient, gradients, workspace, executor);
                             } else {
                               multiply_backward_split<Unit>(pass, gradient,
                                                             {workspace.sums.data(), grad_y.cols()},
                                                             gradients, workspace, executor);
                             }
                             return true;
                           });
}

/// backward() with IntegerSplitProducts<Parts>.
template <std::size_t Parts, class Pass, class Executor>
bool run_backward_in_integers(const Pass& pass, MatrixView<const float> grad_y,
                              const ForwardRecord& record, const Gradients& gradients,
                              BackwardWorkspace& workspace, const Executor& executor) {
  const auto valid = [&] {
    return split_outputs_valid(pass, grad_y, gradients) &&
           workspace_valid_for_split<Parts>(pass, gradients, executor);
  };
  return run_backward_with(pass, grad_y, record, gradients, workspace, executor, valid,
                           [&](MatrixView<const float> gradient) {
                             return multiply_backward_in_integers<Parts>(pass, gradient, gradients,
                                                                         workspace, executor);
                           });
}

/// The matrix unit of an architecture, or void.
template <class Arch>
struct MatrixUnitOf {
  using type = void;
};
template <class Arch>
requires requires { typename Arch::MatrixUnit; }
struct MatrixUnitOf<Arch> {
  using type = typename Arch::MatrixUnit;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
