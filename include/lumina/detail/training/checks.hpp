// What is wrong with the arguments of backward(): the first mistake is reported.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "../../coded_weights.hpp"
#include "../../config.hpp"
#include "../../forward_pass.hpp"
#include "../../forward_record.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../base/message.hpp"
#include "../engine/call.hpp"
#include "../engine/checks.hpp"
#include "../engine/scratch.hpp"
#include "../engine/tasks.hpp"
#include "../rows/matrix.hpp"
#include "../rows/transposed.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

template <class T>
inline constexpr bool are_coded = false;
template <int Bits>
inline constexpr bool are_coded<CodedWeights<Bits>> = true;

inline Message backward_message(const char* call, const Shape& x, const Shape& w,
                                MatrixView<const float> grad_y) {
  return Message() << call << ": x is " << x << ", w is " << w << ", grad_y is "
                   << Shape{grad_y.rows(), grad_y.cols()};
}

/// Reports the first thing wrong with the arrays of a backward pass of y = x·wᵀ, w being of that
/// shape. `has_bias`: whether there is one whose gradient can be asked for.
template <class X>
bool gradients_valid(const char* call, MatrixView<X> x, const Shape& w,
                     MatrixView<const float> grad_y, const Gradients& gradients, bool has_bias) {
  const Shape x_shape{x.rows(), x.cols()}, y{x.rows(), w.rows};
  const auto message = [&] { return backward_message(call, x_shape, w, grad_y); };
  const auto is = [](const auto& matrix, const Shape& shape) {
    return matrix.rows() == shape.rows && matrix.cols() == shape.cols;
  };
  if (x.cols() != w.cols) return report_false(message() << "; w must have as many columns as x");
  if (!is(grad_y, y)) return report_false(message() << "; grad_y must be " << y);
  if (y.rows != 0 && y.cols != 0 && grad_y.data() == nullptr) {
    return report_false(message() << "; the data of grad_y is missing");
  }
  if (x.rows() != 0 && x.cols() != 0 && x.data() == nullptr) {
    return report_false(message() << "; the data of x is missing");
  }
  const auto fits = [&](MatrixView<float> gradient, const Shape& shape, const char* name) {
    if (gradient.data() == nullptr) return true;
    if (!is(gradient, shape)) {
      return report_false(message()
                          << "; the gradient by the " << name << " is "
                          << Shape{gradient.rows(), gradient.cols()} << " and must be " << shape);
    }
    if (overlap(gradient, grad_y) || overlap(gradient, x)) {
      return report_false(message() << "; the gradient by the " << name << " overlaps x or grad_y");
    }
    return true;
  };
  const MatrixView<float> bias(gradients.bias.data(), gradients.bias.empty() ? 0 : 1,
                               gradients.bias.size());
  if (!fits(gradients.input, x_shape, "input") || !fits(gradients.weights, w, "weights")) {
    return false;
  }
  if (!gradients.bias.empty()) {
    if (!has_bias) {
      return report_false(message()
                          << "; a gradient by the bias is wanted, but there is no AddBias");
    }
    if (!fits(bias, {1, w.rows}, "bias")) return false;
  }
  if (overlap(gradients.input, gradients.weights) || overlap(gradients.input, bias) ||
      overlap(gradients.weights, bias)) {
    return report_false(message() << "; two of the gradients overlap");
  }
  return true;
}

/// The same for product_backward().
inline bool product_backward_valid(MatrixView<const float> grad_y, MatrixView<const float> x,
                                   MatrixView<const float> w, const Gradients& gradients) {
  if (w.data() == nullptr && w.rows() != 0 && w.cols() != 0) {
    return report_false(Message() << "lumina::product_backward: w is " << Shape{w.rows(), w.cols()}
                                  << "; its data is missing");
  }
  if (gradients.input_range != nullptr) {
    return report_false(backward_message("lumina::product_backward", {x.rows(), x.cols()},
                                         {w.rows(), w.cols()}, grad_y)
                        << "; the gradient by an input's range is wanted, but there is no DAC");
  }
  return gradients_valid("lumina::product_backward", x, {w.rows(), w.cols()}, grad_y, gradients,
                         false);
}

/// Reports a record that no forward() of the pass, which has so many gates, has filled.
template <class Pass>
bool record_valid(const Pass& pass, std::size_t gates, const ForwardRecord& record,
                  const Message& call) {
  if (record.filled() && record.rows() == pass.x.rows() && record.cols() == pass.weights.rows() &&
      record.gates() == gates) {
    return true;
  }
  return report_false(Message(call) << "; there was no forward pass: the record is "
                                    << (record.filled() ? "for " : "empty, for ")
                                    << Shape{record.rows(), record.cols()} << " with "
                                    << record.gates() << " gates");
}

/// x of floats behind a quantizer.
template <class Pass>
inline constexpr bool has_input_range =
    std::is_same_v<decltype(std::declval<Pass>().x), MatrixView<const float>>&&
        AnyQuantizer<decltype(std::declval<Pass>().dac)>;

/// Reports a gradient by an input range that there is not.
template <class Pass>
bool input_range_valid(const Pass& pass, const Gradients& gradients, const Message& call) {
  if (gradients.input_range == nullptr) return true;
  if constexpr (has_input_range<Pass>) {
    if (pass.dac.lo() == 0.0f || pass.dac.lo() == -pass.dac.hi()) return true;
    return report_false(Message(call) << "; the gradient by the input's range is wanted, but the "
                                         "DAC's is neither [-r, r] nor [0, r]");
  } else {
    return report_false(Message(call) << "; the gradient by the input's range is wanted, but x are "
                                         "not floats behind a DAC with a range of its own");
  }
}

/// Reports the first thing wrong with a call of backward().
template <class Pass>
bool backward_valid(const Pass& pass, MatrixView<const float> grad_y, const ForwardRecord& record,
                    const Gradients& gradients) {
  const Shape x{pass.x.rows(), pass.x.cols()}, w{pass.weights.rows(), pass.weights.cols()};
  if (!gradients_valid("lumina::backward", pass.x, w, grad_y, gradients,
                       takes_bias(pass.epilogue)) ||
      !record_valid(pass, recorded_gates(pass.epilogue), record,
                    backward_message("lumina::backward", x, w, grad_y)) ||
      !input_range_valid(pass, gradients, backward_message("lumina::backward", x, w, grad_y))) {
    return false;
  }
  if constexpr (are_coded<std::remove_cvref_t<decltype(pass.weights)>>) {
    if (!codes_valid(pass.dac, x, w, MatrixView<float>(), pass.epilogue)) return false;
  }
  if constexpr (requires { pass.epilogue.differentiable(); }) {
    if (!pass.epilogue.differentiable()) return false;
  }
  return stage_valid_for(pass.epilogue, x.rows, w.rows) &&
         (gradients.weights.data() == nullptr ||
          stage_valid_for(pass.weight_stages, w.rows, w.cols));
}

template <class Rows>
using FloatScratchOf =
    Scratch<FloatKernel, Problem<FloatKernel, Rows, PackedPanels<float, 1>, IdentitySums<Native>>>;

/// Reports a workspace of the executor's that cannot hold the two products.
template <class Pass, class Executor>
bool workspace_valid_for_products(const Pass& pass, const Gradients& gradients,
                                  const Executor& executor) {
  if constexpr (BringsWorkspace<Executor>) {
    const std::size_t batch = pass.x.rows();
    // Of the view it counts how large it is.
    const MatrixView<float> input(gradients.input.data(), batch, pass.x.cols());
    return ((gradients.input.data() == nullptr && gradients.input_range == nullptr) ||
            workspace_valid<FloatScratchOf<MatrixRows>>(executor.workspace(), pass.weights.rows(),
                                                        input)) &&
           (gradients.weights.data() == nullptr ||
            workspace_valid<FloatScratchOf<TransposedRows>>(executor.workspace(), batch,
                                                            gradients.weights));
  }
  return true;
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
