// The backward pass: its checks, the pass through the derivatives, the two products.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../epilogue.hpp"
#include "../../executor.hpp"
#include "../../forward_pass.hpp"
#include "../../forward_record.hpp"
#include "../../fused_gemm.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../../noise.hpp"
#include "../../quantizer.hpp"
#include "../../weights.hpp"
#include "../base/message.hpp"
#include "../base/range.hpp"
#include "../engine/loop.hpp"
#include "../epilogue/backward.hpp"
#include "../isa/native.hpp"
#include "../rows/scaled.hpp"
#include "../rows/transposed.hpp"
#include "bf16_split.hpp"
#include "transposed_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <class T>
inline constexpr bool are_coded = false;
template <int Bits>
inline constexpr bool are_coded<CodedWeights<Bits>> = true;

/// A stage for the gradient by x: 0 where the DAC clipped.
struct InputGate {
  MatrixView<const float> x;
  UniformQuantizer dac;

  template <class Floats, class Normals>
  Floats apply(const Floats& gradient, const Coordinates& at, const ActiveLanes& active,
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

/// Reports the first thing wrong with a call of backward().
template <class Pass>
bool backward_valid(const Pass& pass, MatrixView<const float> grad_y, const ForwardRecord& record,
                    const Gradients& gradients) {
  using Recording = RecordedFor<std::remove_cvref_t<decltype(pass.epilogue)>>;
  const Shape x{pass.x.rows(), pass.x.cols()}, w{pass.weights.rows(), pass.weights.cols()};
  const Shape y{x.rows, w.rows};
  const auto message = [&] {
    return Message() << "lumina::backward: x is " << x << ", w is " << w << ", grad_y is "
                     << Shape{grad_y.rows(), grad_y.cols()};
  };
  const auto is = [](const auto& matrix, const Shape& shape) {
    return matrix.rows() == shape.rows && matrix.cols() == shape.cols;
  };
  if (x.cols != w.cols) return report_false(message() << "; w must have as many columns as x");
  if (!is(grad_y, y)) return report_false(message() << "; grad_y must be " << y);
  if (!record.filled() || !is(record, y) || record.gates() != Recording::type::gates) {
    return report_false(message() << "; there was no forward pass: the record is "
                                  << (record.filled() ? "for " : "empty, for ")
                                  << Shape{record.rows(), record.cols()} << " with "
                                  << record.gates() << " gates");
  }
  if (y.rows != 0 && y.cols != 0 && grad_y.data() == nullptr) {
    return report_false(message() << "; the data of grad_y is missing");
  }
  if (x.rows != 0 && x.cols != 0 && pass.x.data() == nullptr) {
    return report_false(message() << "; the data of x is missing");
  }
  const auto fits = [&](MatrixView<float> gradient, const Shape& shape, const char* name) {
    if (gradient.data() == nullptr) return true;
    if (!is(gradient, shape)) {
      return report_false(message()
                          << "; the gradient by the " << name << " is "
                          << Shape{gradient.rows(), gradient.cols()} << " and must be " << shape);
    }
    if (overlap(gradient, grad_y) || overlap(gradient, pass.x)) {
      return report_false(message() << "; the gradient by the " << name << " overlaps x or grad_y");
    }
    return true;
  };
  const MatrixView<float> bias(gradients.bias.data(), gradients.bias.empty() ? 0 : 1,
                               gradients.bias.size());
  if (!fits(gradients.input, x, "input") || !fits(gradients.weights, w, "weights")) return false;
  if (!gradients.bias.empty()) {
    if (!Recording::has_bias) {
      return report_false(message()
                          << "; a gradient by the bias is wanted, but there is no AddBias");
    }
    if (!fits(bias, {1, w.rows}, "bias")) return false;
  }
  if (overlap(gradients.input, gradients.weights) || overlap(gradients.input, bias) ||
      overlap(gradients.weights, bias)) {
    return report_false(message() << "; two of the gradients overlap");
  }
  if constexpr (are_coded<std::remove_cvref_t<decltype(pass.weights)>>) {
    if (!codes_valid(pass.dac, x, w, MatrixView<float>(), pass.epilogue)) return false;
  }
  return stage_valid_for(pass.epilogue, y.rows, y.cols) &&
         (gradients.weights.data() == nullptr ||
          stage_valid_for(pass.weight_stages, w.rows, w.cols));
}

/// How many outputs are worth several threads in the gradient pass.
inline constexpr std::size_t kGradientsWorthThreads = std::size_t{1} << 16;

/// False where the dot products, which a derivative needs, could not be made.
template <class Pass, class... Stages, class Executor>
bool run_gradient_pass(const Pass& pass, const Epilogue<Stages...>& stages,
                       MatrixView<const float> grad_y, const ForwardRecord& record,
                       MatrixView<float> gradient, float* sums, float* bias,
                       const Executor& executor) {
  using GradientPassT = GradientPass<Native, Stages...>;
  if constexpr (GradientPassT::kNeedsValues) {
    if (!run_pass(pass, gradient, epilogue(), executor)) return false;
  }
  const GradientPassT gradient_pass(stages, record, pass.key, grad_y, gradient, sums, bias);
  const auto body = [&](std::size_t panel) { gradient_pass.run(panel); };
  const std::size_t panels = ceil_div(grad_y.cols(), kBlockColumns);
  if (grad_y.rows() * grad_y.cols() < kGradientsWorthThreads) {
    Serial()(panels, body);
  } else {
    executor(panels, body);
  }
  return true;
}

/// Reports a workspace of the executor's that cannot hold the two products.
template <class Pass, class Executor>
bool workspace_valid_for_products(const Pass& pass, const Gradients& gradients,
                                  const Executor& executor) {
  if constexpr (BringsWorkspace<Executor>) {
    using Transposed = PreparedOperands<Native, TransposedRows>;
    const std::size_t batch = pass.x.rows();
    return (gradients.input.data() == nullptr ||
            workspace_valid<FloatOperands<Native>>(executor.workspace(), pass.weights.rows(),
                                                   gradients.input)) &&
           (gradients.weights.data() == nullptr ||
            workspace_valid<Transposed>(executor.workspace(), batch, gradients.weights));
  }
  return true;
}

/// The two products of a backward pass, `gradient` [batch, out] being the one by the dot products.
template <class Pass, class Executor>
void multiply_backward(const Pass& pass, MatrixView<const float> gradient,
                       const Gradients& gradients, BackwardWorkspace& workspace,
                       const Executor& executor) {
  if (gradients.input.data() != nullptr) {
    pack_for_backward(pass.weights, workspace.weights);
    run_fused_gemm<Native>(FloatOperands<Native>(gradient, workspace.weights), gradients.input,
                           input_stages(pass.x, pass.dac), NoiseKey{}, executor);
  }
  if (gradients.weights.data() != nullptr) {
    pack_inputs<std::remove_cvref_t<decltype(pass.weights)>>(pass.x, pass.dac, workspace.inputs);
    run_fused_gemm<Native>(
        PreparedOperands<Native, TransposedRows>(TransposedRows(gradient), workspace.inputs),
        gradients.weights, pass.weight_stages, pass.weight_key, executor);
  }
}

/// What multiply_backward() takes for a pass: y = x·wᵀ.
struct BareProduct {
  MatrixView<const float> x, weights;
  NoDac dac = {};
  Epilogue<> weight_stages = Epilogue<>();
  NoiseKey weight_key = {};
};

inline bool product_backward_valid(MatrixView<const float> grad_y, MatrixView<const float> x,
                                   MatrixView<const float> w, const Gradients& gradients) {
  const auto is = [](MatrixView<float> gradient, MatrixView<const float> of) {
    return gradient.data() == nullptr ||
           (gradient.rows() == of.rows() && gradient.cols() == of.cols());
  };
  if (x.cols() == w.cols() && grad_y.rows() == x.rows() && grad_y.cols() == w.rows() &&
      is(gradients.input, x) && is(gradients.weights, w)) {
    return true;
  }
  return report_false(
      Message() << "lumina::product_backward: grad_y is " << Shape{grad_y.rows(), grad_y.cols()}
                << ", x is " << Shape{x.rows(), x.cols()} << ", w is " << Shape{w.rows(), w.cols()}
                << "; they must be [batch, out], [batch, in] and [out, in], the "
                   "gradients as x and w");
}

/// The same with codes on a matrix unit. `sums` [out]: of the gradient over the batch.
template <class Tiles, class Pass, class Executor>
void multiply_backward_split(const Pass& pass, MatrixView<const float> gradient,
                             std::span<const float> sums, const Gradients& gradients,
                             BackwardWorkspace& workspace, const Executor& executor) {
  if (gradients.input.data() != nullptr) {
    workspace.weight_codes.pack(pass.weights);
    run_bf16_split<Native, Tiles>(ScaledRows<Native>(gradient, pass.weights.scales()),
                                  workspace.weight_codes, gradients.input,
                                  input_stages(pass.x, pass.dac), NoiseKey{}, executor);
  }
  if (gradients.weights.data() != nullptr) {
    workspace.input_codes.pack(pass.x, pass.dac);
    const ValuesOfCodes values{pass.dac.step(), pass.dac.offset(), sums};
    run_bf16_split<Native, Tiles>(TransposedRows(gradient), workspace.input_codes,
                                  gradients.weights, with_first_stage(values, pass.weight_stages),
                                  pass.weight_key, executor);
  }
}

/// backward() with a matrix unit, or void for none.
template <class Tiles, class Pass, class Executor>
void run_backward(const Pass& pass, MatrixView<const float> grad_y, const ForwardRecord& record,
                  const Gradients& gradients, BackwardWorkspace& workspace,
                  const Executor& executor) {
  if (!backward_valid(pass, grad_y, record, gradients)) return;
  if (!workspace.gradient.grow_to(size_product(grad_y.rows(), grad_y.cols())) ||
      !workspace.sums.grow_to(grad_y.cols())) {
    return;
  }
  const MatrixView<float> gradient(workspace.gradient.data(), grad_y.rows(), grad_y.cols());
  if (std::is_void_v<Tiles> && !workspace_valid_for_products(pass, gradients, executor)) return;
  if (!run_gradient_pass(pass, pass.epilogue, grad_y, record, gradient, workspace.sums.data(),
                         gradients.bias.data(), executor)) {
    return;
  }
  if constexpr (std::is_void_v<Tiles>) {
    multiply_backward(pass, gradient, gradients, workspace, executor);
  } else {
    multiply_backward_split<Tiles>(pass, gradient, {workspace.sums.data(), grad_y.cols()},
                                   gradients, workspace, executor);
  }
}

/// The matrix unit of an architecture, or void.
template <class Arch>
struct TilesOf {
  using type = void;
};
template <class Arch>
requires requires { typename Arch::MatrixUnit; }
struct TilesOf<Arch> {
  using type = typename Arch::MatrixUnit;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
