// Straight-through gradients of a fused call, for noise-aware training.
//
//   const auto pass = lumina::forward_pass(x, dac, weights, epilogue, key);
//   lumina::forward(pass, y, record);
//   … grad_y, the gradient of the loss by y …
//   lumina::backward(pass, grad_y, record, {.input = …, .weights = …, .bias = …}, workspace);
//
//   x [batch, in]   w [out, in]   y, grad_y [batch, out]
//
// With g the gradient by the dot products, which is grad_y taken through the derivatives of the
// epilogue's stages (epilogue.hpp, docs/numerics.md):
//
//   input    g·W    where x lies in the DAC's range, 0 where it clipped      [batch, in]
//   weights  gᵀ·X                                                             [out, in]
//   bias     Σ over the batch of the gradient by what AddBias adds to         [out]
//
// W and X are what the forward pass multiplied: noisy weights, the values of codes. Noise is drawn
// again from the key. Nothing of the forward pass is kept but the ForwardRecord.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

#include "config.hpp"
#include "detail/isa/native.hpp"
#include "detail/training/backward.hpp"
#include "detail/training/bf16_split.hpp"
#include "executor.hpp"
#include "forward_pass.hpp"
#include "forward_record.hpp"
#include "gradients.hpp"
#include "matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// The default products of backward(): each output is one chain of FMA over ascending k, the same
/// bits on every machine with FMA.
struct F32Products {};

/// Products of backward() on a matrix unit for bf16 (AMX), for coded weights: the codes of x and w
/// are exact in bf16, and the gradient is the sum of three bf16, so three bf16 products make one
/// that is as accurate as floats: see docs/numerics.md for the bound. The same bits at any thread
/// count and batch split, but not those of F32Products, which takes over where there is no AMX.
struct Bf16SplitProducts {};

/// Products of backward() in integers, for coded weights: rows of the gradient become fixed point
/// of 8·Parts bits over each one's largest magnitude, and are multiplied with the codes of weights
/// and x exactly, so that results have the same bits on every machine, with FMA or without.
///
///   Parts   error of each term, over the largest magnitude of its row times the other factor
///   1       2^-7, rounded at random with gradient_key(the pass's key): right in the mean
///   2       2^-16
///   3       2^-24, as accurate as floats
///
/// (a little more: docs/numerics.md.) A row is one of the batch, times the weights' scales, in the
/// gradient by the input, and an output over the batch in the one by the weights; where a row has
/// an infinity or NaN, all that it yields is NaN. Error: more than 32768 outputs where the gradient
/// by the input is wanted.
template <int Parts>
struct IntegerSplitProducts {
  static_assert(Parts >= 1 && Parts <= 3, "lumina::IntegerSplitProducts: Parts must be in 1..3");
  static constexpr std::size_t parts = Parts;
};

/// Whether they are faster than F32Products here: where vectors multiply integers.
inline constexpr bool kIntegerSplitIsFaster = std::string_view(detail::Native::name) != "scalar";

namespace detail {

template <class Products>
inline constexpr bool is_integer_split = false;
template <int Parts>
inline constexpr bool is_integer_split<IntegerSplitProducts<Parts>> = true;

}  // namespace detail

/// The gradients of a pass whose forward() has filled `record`, with the same x, weights and key.
/// `products`: F32Products, Bf16SplitProducts or IntegerSplitProducts.
///
/// Errors, before anything is written: shapes that do not fit, a record that is not this pass's,
/// gradients that overlap each other, x or grad_y, missing data, a gradient by the bias where the
/// epilogue has no AddBias. The result: whether it ran.
template <class Pass, class Products = F32Products, class Executor = Serial>
bool backward(const Pass& pass, MatrixView<const float> grad_y, const ForwardRecord& record,
              const Gradients& gradients, BackwardWorkspace& workspace, const Products& = {},
              const Executor& executor = {}) {
  if constexpr (std::is_same_v<Products, Bf16SplitProducts>) {
    static_assert(detail::are_coded<std::remove_cvref_t<decltype(pass.weights)>>,
                  "lumina::backward: Bf16SplitProducts need coded weights");
    if (detail::bf16_split_active()) {
      return detail::run_backward<detail::MatrixUnitOf<detail::Native>::type>(
          pass, grad_y, record, gradients, workspace, executor);
    }
  } else if constexpr (detail::is_integer_split<Products>) {
    static_assert(detail::are_coded<std::remove_cvref_t<decltype(pass.weights)>>,
                  "lumina::backward: IntegerSplitProducts need coded weights");
    return detail::run_backward_in_integers<Products::parts>(pass, grad_y, record, gradients,
                                                             workspace, executor);
  } else {
    static_assert(std::is_same_v<Products, F32Products>,
                  "lumina::backward: the products are F32Products, Bf16SplitProducts or "
                  "IntegerSplitProducts");
  }
  return detail::run_backward<void>(pass, grad_y, record, gradients, workspace, executor);
}

/// The products of a layer's backward(), where nobody chooses others.
template <class Weights>
using DefaultProducts =
    std::conditional_t<detail::are_coded<Weights>, IntegerSplitProducts<2>, F32Products>;

/// The gradients of a bare product y = x·wᵀ: grad_y·w and grad_yᵀ·x, in floats. x [batch, in], w
/// [out, in], grad_y [batch, out]. Errors, before anything is written: as backward()'s; there is no
/// bias.
template <class Executor = Serial>
void product_backward(MatrixView<const float> grad_y, MatrixView<const float> x,
                      MatrixView<const float> w, const Gradients& gradients,
                      BackwardWorkspace& workspace, const Executor& executor = {}) {
  const detail::BareProduct product{x, w};
  if (detail::product_backward_valid(grad_y, x, w, gradients) &&
      detail::workspace_valid_for_products(product, gradients, executor)) {
    detail::multiply_backward(product, grad_y, gradients, workspace, executor);
  }
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
