// Complex weights as rows of real ones.
#pragma once

#include <algorithm>
#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../base/aligned_buffer.hpp"
#include "../layout/float_panels.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Rows of real weights [2·out, 2·in], for pairs w [out, 2·in]: (re, −im) … makes the real part,
/// (im, re) … the imaginary one.
class ComplexRows {
 public:
  explicit ComplexRows(MatrixView<const float> pairs) : pairs_(pairs) {}

  std::size_t rows() const { return 2 * pairs_.rows(); }
  std::size_t cols() const { return pairs_.cols(); }

  /// As PlainRows: blocks of 128 inputs on the stack. `first` is even.
  template <class F>
  void for_each_block(std::size_t first, std::size_t count, F f) const {
    constexpr std::size_t kInputs = 128;
    alignas(kCacheLine) float own[kPanelColumns * kInputs];
    for (std::size_t begin = 0; begin < cols(); begin += kInputs) {
      const std::size_t inputs = std::min(kInputs, cols() - begin);
      for (std::size_t row = 0; row < count; row += 2) {
        const float* const from = pairs_.row((first + row) / 2) + begin;
        float* const real = own + row * kInputs;
        float* const imaginary = real + kInputs;
        for (std::size_t k = 0; k < inputs; k += 2) {
          real[k] = from[k];
          real[k + 1] = -from[k + 1];
          imaginary[k] = from[k + 1];
          imaginary[k + 1] = from[k];
        }
      }
      f(MatrixView<const float>(own, count, inputs, kInputs));
    }
  }

 private:
  MatrixView<const float> pairs_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
