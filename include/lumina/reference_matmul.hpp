// The oracle of products of two activations: plain loops, short enough to check by eye
// (reference.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "coded_weights.hpp"
#include "config.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "reference.hpp"
#include "reference_weights.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace reference {

/// A copy of b [n, k], a matrix or a transposed one.
template <class B>
Matrix<float> copy_of_operand(const B& b) {
  Matrix<float> copy(b.rows(), b.cols());
  for (std::size_t row = 0; row < b.rows(); ++row) {
    for (std::size_t col = 0; col < b.cols(); ++col) copy(row, col) = b(row, col);
  }
  return copy;
}

/// The codes of b, as reference::fused_gemm takes weights; `limit`: of a converter, 0 where there
/// is none.
class OperandCodes {
 public:
  template <class B>
  OperandCodes(const B& b, int bits, WeightScale how, float limit = 0.0f)
      : codes_(b.rows(), b.cols()), scales_(weight_scales(copy_of_operand(b), bits, how)) {
    if (limit > 0.0f) scales_.assign(b.rows(), symmetric_step(limit, bits));
    for (std::size_t row = 0; row < b.rows(); ++row) {
      for (std::size_t col = 0; col < b.cols(); ++col) {
        codes_(row, col) = encode_symmetric(b(row, col), scales_[row], bits);
      }
    }
  }
  std::int32_t code(std::size_t row, std::size_t col) const { return codes_(row, col); }
  std::span<const float> scales() const { return scales_; }

 private:
  Matrix<std::int32_t> codes_;
  std::vector<float> scales_;
};

/// lumina::analog_matmul with a CodedOperand of so many bits; arguments are not checked.
template <class A, class Dac, class B, class Y, class... Stages>
void analog_matmul(MatrixView<const A> a, const Dac& dac, const B& b, int bits, WeightScale how,
                   MatrixView<Y> y, const Epilogue<Stages...>& epilogue, const NoiseKey& key) {
  reference::fused_gemm(a, dac, OperandCodes(b, bits, how), y, epilogue, key);
}

}  // namespace reference
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
