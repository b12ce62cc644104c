// The products of Bf16SplitProducts, on an emulated matrix unit, against sums in double: within the
// bound that docs/numerics.md has.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include <lumina/backward.hpp>
#include <lumina/reference.hpp>

#include "check.hpp"
#include "problem.hpp"
#include "support/emulated_matrix_unit.hpp"
#include "support/random_matrix.hpp"

namespace fuzz {

/// Σ value·code, and how far from it the unit may be.
class SplitSum {
 public:
  void add(double value, double code) {
    sum_ += value * code;
    magnitudes_ += std::fabs(value * code);
    values_ += std::fabs(value);
    plain_sum_ += value;
    codes_ += std::fabs(code);
    ++depth_;
  }
  double sum() const { return sum_; }
  double plain_sum() const { return plain_sum_; }
  double values() const { return values_; }
  double magnitudes() const { return magnitudes_; }
  double depth() const { return depth_; }
  /// `roundings`: of each product, beside the unit's.
  double bound(double roundings) const {
    const double steps = std::ceil(depth_ / 32.0);
    return (16.0 + 3.1 * steps + roundings) * 0x1p-24 * magnitudes_ +
           0x1p-126 * (codes_ + 4.0 * depth_ + 6.0);
  }
  /// Nothing overflows on the way.
  bool tame() const { return magnitudes_ < 0x1p120 && values_ < 0x1p120; }

 private:
  double sum_ = 0, plain_sum_ = 0, magnitudes_ = 0, values_ = 0, codes_ = 0, depth_ = 0;
};

/// The gradients by x and w of a pass with coded weights whose forward pass has filled the record.
template <class Pass>
void check_split(const Pass& pass, lumina::MatrixView<const float> grad_y,
                 const lumina::ForwardRecord& record) {
  using lumina::reference::input_code;
  const std::size_t batch = pass.x.rows(), in = pass.x.cols(), out = pass.weights.rows();
  test::TestMatrix input(batch, in), weights(out, in);
  lumina::BackwardWorkspace workspace;
  lumina::detail::run_backward<test::EmulatedUnit>(pass, grad_y, record, {input, weights, {}},
                                                    workspace, lumina::Serial{});
  const float* const g = workspace.gradient.data();
  for (std::size_t row = 0; row < batch; ++row) {
    for (std::size_t k = 0; k < in; ++k) {
      SplitSum sum;
      for (std::size_t o = 0; o < out; ++o) {
        sum.add(static_cast<double>(g[row * out + o]) * pass.weights.scales()[o],
                pass.weights.code(o, k));
      }
      if (!sum.tame()) continue;
      const float x = pass.x(row, k);
      const double expected = x >= pass.dac.lo() && x <= pass.dac.hi() ? sum.sum() : 0.0;
      require(std::fabs(input(row, k) - expected) <= sum.bound(1.0),
              "the gradient by x is within the bound of split products");
    }
  }
  const double offset = std::fabs(static_cast<double>(pass.dac.offset())), step = pass.dac.step();
  for (std::size_t o = 0; o < out; ++o) {
    for (std::size_t k = 0; k < in; ++k) {
      SplitSum sum;
      for (std::size_t row = 0; row < batch; ++row) {
        sum.add(g[row * out + o], static_cast<double>(input_code(pass.x(row, k), pass.dac)));
      }
      if (!sum.tame()) continue;
      const double expected = step * sum.sum() + pass.dac.offset() * sum.plain_sum();
      // Σ g is a chain of floats; its product with the offset, and what is stored, are rounded.
      const double others = (sum.depth() + 3.0) * 0x1p-24 * offset * sum.values() +
                            1.1 * 0x1p-24 * step * sum.magnitudes() +
                            0x1p-126 * (sum.depth() + 2.0);
      require(std::fabs(weights(o, k) - expected) <= step * sum.bound(0.0) + others,
              "the gradient by w is within the bound of split products");
    }
  }
}

}  // namespace fuzz
