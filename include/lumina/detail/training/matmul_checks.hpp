// What is wrong with a product of two activations: the first mistake is reported. What is wrong
// with its first operand and its stages the call with encoded weights reports.
#pragma once

#include <cstddef>
#include <string_view>
#include <type_traits>

#include "../../config.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../../transposed.hpp"
#include "../base/message.hpp"
#include "../engine/checks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// b as it lies in memory.
inline MatrixView<const float> lying(MatrixView<const float> b) { return b; }
inline MatrixView<const float> lying(const TransposedView& b) { return b.matrix(); }

/// The call with its shapes, "…: a is [m, k], b is [k, n] transposed".
template <class B>
Message matmul_message(std::string_view call, const Shape& a, const B& b) {
  const MatrixView<const float> own = lying(b);
  return Message() << call << ": a is " << a << ", b is " << Shape{own.rows(), own.cols()}
                   << (std::is_same_v<B, TransposedView> ? " transposed" : "");
}

/// Reports what is wrong with the operands of analog_matmul; `b` a matrix [n, k] or a transposed
/// one [k, n].
template <class A, class B, class Y>
bool matmul_valid(MatrixView<A> a, const B& b, MatrixView<Y> y) {
  const auto message = [&] {
    return matmul_message("lumina::analog_matmul", {a.rows(), a.cols()}, b)
           << ", y is " << Shape{y.rows(), y.cols()};
  };
  if (a.cols() != b.cols()) {
    return report_false(message() << "; a has " << a.cols() << " inputs and b " << b.cols());
  }
  if (y.rows() != a.rows() || y.cols() != b.rows()) {
    return report_false(message() << "; y must be " << Shape{a.rows(), b.rows()});
  }
  if (b.data() == nullptr && b.rows() != 0 && b.cols() != 0) {
    return report_false(message() << "; the data of b is missing");
  }
  return !overlap(lying(b), y) || report_false(message() << "; b and y overlap");
}

/// Reports what is wrong with gradients of analog_matmul that those of a call with weights do not
/// know of: that b has a gradient in its own shape, and that b is read.
template <class A, class B>
bool matmul_gradients_valid(MatrixView<A> a, const B& b, MatrixView<const float> grad_y,
                            const Gradients& gradients) {
  const MatrixView<const float> own = lying(b);
  const MatrixView<float> by_b = gradients.weights;
  const MatrixView<float> bias(gradients.bias.data(), gradients.bias.empty() ? 0 : 1,
                               gradients.bias.size());
  const auto message = [&] {
    return matmul_message("lumina::backward", {a.rows(), a.cols()}, b)
           << ", grad_y is " << Shape{grad_y.rows(), grad_y.cols()};
  };
  if (overlap(own, by_b) || overlap(own, gradients.input) || overlap(own, bias)) {
    return report_false(message() << "; a gradient overlaps b");
  }
  if (by_b.data() == nullptr) return true;
  if (by_b.rows() != own.rows() || by_b.cols() != own.cols()) {
    return report_false(message() << "; the gradient by b is " << Shape{by_b.rows(), by_b.cols()}
                                  << " and must be " << Shape{own.rows(), own.cols()});
  }
  if (overlap(by_b, a) || overlap(by_b, grad_y)) {
    return report_false(message() << "; the gradient by b overlaps a or grad_y");
  }
  return (!overlap(by_b, gradients.input) && !overlap(by_b, bias)) ||
         report_false(message() << "; two of the gradients overlap");
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
