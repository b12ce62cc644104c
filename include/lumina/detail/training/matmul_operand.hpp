// The second operand of a product of two activations.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <type_traits>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../transposed.hpp"
#include "../base/aligned_buffer.hpp"
#include "../base/range.hpp"
#include "../engine/arguments.hpp"
#include "matmul_checks.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// What operands have besides their codes: the converter's range, where there is one, and memory.
class OperandMemory {
 public:
  /// Elements of b beyond ± limit saturate, and have no gradient. 0: there is none.
  float limit() const { return limit_; }
  /// For backward(): room for the gradient by b, where b is transposed.
  AlignedBuffer<float>& gradient() { return gradient_; }

 protected:
  explicit OperandMemory(float limit) : limit_(limit) {}

  /// `rows` × `cols` times a scale; null where there is no memory.
  const float* scales(std::size_t rows, std::size_t cols, float scale) {
    const std::size_t count = size_product(rows, cols);
    if (!scales_.grow_to(count)) return nullptr;
    std::fill_n(scales_.data(), count, scale);
    return scales_.data();
  }

 private:
  float limit_;
  AlignedBuffer<float> scales_, gradient_;
};

template <class T>
concept MatmulOperand =
    std::same_as<std::remove_cvref_t<T>, TransposedView> || is_view_of_any<T, const float>;

template <class B>
auto operand_view(B& b) {
  if constexpr (std::same_as<std::remove_cv_t<B>, TransposedView>) {
    return b;
  } else {
    return MatrixView<const float>(b);
  }
}

/// A converter's gate: gradients of elements of b beyond ± limit become 0. No limit is 0.
inline void close_beyond(float limit, MatrixView<const float> b, MatrixView<float> gradient) {
  if (limit == 0.0f || gradient.data() == nullptr) return;
  for (std::size_t row = 0; row < b.rows(); ++row) {
    for (std::size_t col = 0; col < b.cols(); ++col) {
      if (!(std::fabs(b(row, col)) <= limit)) gradient(row, col) = 0.0f;
    }
  }
}

/// f() once the operands are right and b is encoded.
template <class A, class B, class Operand, class Y, class F>
bool with_encoded(MatrixView<A> a, const B& b, Operand& operand, MatrixView<Y> y, F f) {
  return matmul_valid(a, b, y) && operand.encode(b) && f();
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
