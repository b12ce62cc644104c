// The calls of fused_gemm.hpp with an observer (epilogue/observer.hpp): what they multiply, checked
// and run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "../../border.hpp"
#include "../../config.hpp"
#include "../../matrix.hpp"
#include "../../quantizer.hpp"
#include "../../stage.hpp"
#include "../base/message.hpp"
#include "../epilogue/sums.hpp"
#include "../isa/native.hpp"
#include "../kernels/code_dot.hpp"
#include "../kernels/float_dot.hpp"
#include "../kernels/vector_kernel.hpp"
#include "../layout/code_panels.hpp"
#include "../packing/packed_panels.hpp"
#include "../rows/encoded.hpp"
#include "../rows/matrix.hpp"
#include "../rows/quantized.hpp"
#include "arguments.hpp"
#include "checks.hpp"
#include "float_weights.hpp"
#include "problem.hpp"
#include "run.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

using FloatKernel = VectorKernel<FloatDot<Native>>;
template <int StoredBits>
using CodeKernel = VectorKernel<CodeDot<Native, StoredBits>>;

/// What SerialIn holds: codes with any number of bits, floats behind a DAC or not.
using CodedScratch =
    Scratch<CodeKernel<8>,
            Problem<CodeKernel<8>, EncodedRows<Native, float>,
                    PackedPanels<std::int32_t, kCodesPerWord<8>>, DequantizedSums<Native, 8>>>;
using FloatScratch = Scratch<FloatKernel, Problem<FloatKernel, QuantizedRows<Native>,
                                                  PackedPanels<float, 1>, IdentitySums<Native>>>;

/// rows · panels in floats.
template <RowSource Rows, PanelSource<FloatKernel> Panels>
auto float_problem(const Rows& rows, const Panels& panels, const Origin& origin = {}) {
  return make_problem<FloatKernel>(rows, panels, IdentitySums<Native>(), origin);
}
/// Rows of codes, which `dac` made, times coded weights.
template <RowSource Rows, CodedMatrix Weights>
auto coded_problem(const Rows& rows, const UniformQuantizer& dac, const Weights& weights,
                   const Origin& origin = {}) {
  constexpr int kStored = Weights::stored_bits;
  const CodePanels<kStored> panels = weights.panels();
  return make_problem<CodeKernel<kStored>>(
      rows, PackedPanels<std::int32_t, kCodesPerWord<kStored>>(panels.words, panels.panel_size),
      DequantizedSums<Native, kStored>(dac, panels), origin);
}

/// y = epilogue(rows·wᵀ) in floats, where rows(x) are those that are multiplied.
template <class Weights, class RowsOf, class EpilogueT, class Observer, class Executor>
bool call_floats(MatrixView<const float> x, const Weights& weights, MatrixView<float> y,
                 const RowsOf& rows_of, const EpilogueT& epilogue, const Observer& observer,
                 const NoiseKey& key, const Executor& executor) {
  if (!operands_valid(x, weights, y, executor) || !stage_valid_for(epilogue, y.rows(), y.cols())) {
    return false;
  }
  return with_panels(weights, x.rows(), executor, [&](const auto& panels, const Range& columns) {
    const MatrixView<float> part(y.data() + columns.begin, y.rows(), columns.size, y.row_stride());
    const Origin origin{0, columns.begin / kBlockColumns};
    return run(float_problem(rows_of(x), panels, origin), part, epilogue, observer, key, executor);
  });
}

/// y = epilogue(x·wᵀ). `weights`: PackedWeights, or a matrix or view of floats.
template <class Weights, class EpilogueT, class Observer, class Executor>
bool call(MatrixView<const float> x, const Weights& weights, MatrixView<float> y,
          const EpilogueT& epilogue, const Observer& observer, const NoiseKey& key,
          const Executor& executor) {
  const auto rows = [](MatrixView<const float> matrix) { return MatrixRows(matrix); };
  return call_floats(x, weights, y, rows, epilogue, observer, key, executor);
}

/// y = epilogue(DAC(x)·wᵀ) in floats.
template <AnyQuantizer Dac, FloatWeights Weights, class EpilogueT, class Observer, class Executor>
bool call(MatrixView<const float> x, const Dac& dac, const Weights& weights, MatrixView<float> y,
          const EpilogueT& epilogue, const Observer& observer, const NoiseKey& key,
          const Executor& executor) {
  const auto rows = [&dac](MatrixView<const float> matrix) {
    return QuantizedRows<Native>(matrix, dac);
  };
  return call_floats(x, weights, y, rows, epilogue, observer, key, executor);
}

/// y = epilogue(DAC(x)·wᵀ) in integers; x of floats or of codes.
template <class X, AnyQuantizer Dac, CodedMatrix Weights, class Y, class EpilogueT, class Observer,
          class Executor>
bool call(MatrixView<const X> x, const Dac& dac, const Weights& weights, MatrixView<Y> y,
          const EpilogueT& epilogue, const Observer& observer, const NoiseKey& key,
          const Executor& executor) {
  if (!operands_valid(x, weights, y, executor) ||
      !codes_valid(dac, {x.rows(), x.cols()}, {weights.rows(), weights.cols()}, y, epilogue) ||
      !stage_valid_for(epilogue, y.rows(), y.cols()) || !weights_aligned(weights)) {
    return false;
  }
  return run(coded_problem(EncodedRows<Native, X>(x, dac), dac, weights), y, epilogue, observer,
             key, executor);
}

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
