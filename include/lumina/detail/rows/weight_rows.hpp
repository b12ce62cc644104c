// Weights [out, in] that are encoded, however they lie: as rows that packing reads.
#pragma once

#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../transposed.hpp"
#include "../base/range.hpp"
#include "matrix.hpp"
#include "transposed.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// All outputs' weights from these inputs.
inline MatrixRows rows_of_weights(MatrixView<const float> w, const Range& inputs) {
  return MatrixRows({w.row(0) + inputs.begin, w.rows(), inputs.size, w.row_stride()});
}
inline TransposedRows rows_of_weights(const TransposedView& w, const Range& inputs) {
  const MatrixView<const float> lies = w.matrix();
  return TransposedRows({lies.row(inputs.begin), inputs.size, lies.cols(), lies.row_stride()});
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
