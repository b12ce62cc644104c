// Rows of a matrix, as they are.
#pragma once

#include <cstddef>

#include "../../config.hpp"
#include "../../matrix.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Weights as they are, for what packs them in blocks.
class PlainRows {
 public:
  explicit PlainRows(MatrixView<const float> w) : w_(w) {}

  std::size_t rows() const { return w_.rows(); }
  std::size_t cols() const { return w_.cols(); }

  /// f(block) with outputs [first, first + count): [count, inputs], one block after the other; all
  /// but the last one have a multiple of 128 inputs.
  template <class F>
  void for_each_block(std::size_t first, std::size_t count, F f) const {
    f(MatrixView<const float>(w_.row(first), count, w_.cols(), w_.row_stride()));
  }

 private:
  MatrixView<const float> w_;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
