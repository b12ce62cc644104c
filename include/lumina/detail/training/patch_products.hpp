// The two products of a convolution's way back, of some patches at a time: in floats or integers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "../../config.hpp"
#include "../../convolution_gradients.hpp"
#include "../../epilogue.hpp"
#include "../../gradients.hpp"
#include "../../matrix.hpp"
#include "../base/range.hpp"
#include "../engine/call.hpp"
#include "../engine/run.hpp"
#include "../epilogue/observer.hpp"
#include "../epilogue/sums.hpp"
#include "../isa/native.hpp"
#include "../rows/matrix.hpp"
#include "../rows/scaled.hpp"
#include "../rows/transposed.hpp"
#include "array_backward.hpp"
#include "code_columns.hpp"
#include "integer_split.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace detail {

/// Sums of floats that go on from those of a matrix: one chain in several pieces.
class ContinuedSums : public IdentitySums<Native> {
 public:
  explicit ContinuedSums(MatrixView<const float> before) : before_(before) {}

  bool begin(std::size_t block, const Range& rows, const SumBlock<float>& sums) const {
    const std::size_t first = block * kBlockColumns;
    const std::size_t columns = std::min(kBlockColumns, before_.cols() - first);
    for (std::size_t row = 0; row < rows.size; ++row) {
      std::copy_n(before_.row(rows.begin + row) + first, columns, sums.first + row * sums.stride);
    }
    return true;
  }

 private:
  MatrixView<const float> before_;
};

/// The two products of some patches in floats. `PackWeights`, `PackInputs`: f(to) and f(patches,
/// to), false where there is no memory, for one and the other.
template <class PackWeights, class PackInputs>
class FloatPatchProducts {
 public:
  /// Whether tasks that are small are one piece.
  static constexpr bool joins_tasks = false;

  FloatPatchProducts(const PackWeights& pack_weights, const PackInputs& pack_inputs,
                     ConvolutionBackwardWorkspace& memory)
      : pack_weights_(pack_weights), pack_inputs_(pack_inputs), memory_(memory.products) {}

  /// Before by_patches().
  template <class Executor>
  bool prepare_weights(std::size_t, const Executor&) const {
    pack_weights_(memory_.weights);
    return true;
  }
  /// `matrix`: the sums of the patches before `rows`; `last`: there are none behind.
  template <class Element, class Stages, class Executor>
  bool by_weights(MatrixView<const float> gradient, MatrixView<const Element> patches,
                  const Range& rows, bool last, MatrixView<float> matrix,
                  const Stages& weight_stages, const NoiseKey& weight_key,
                  const Executor& executor) const {
    if (!pack_inputs_(patches, memory_)) return false;
    const TransposedRows by_output(gradient);
    const auto panels = panels_of(memory_.inputs);
    const auto multiply = [&](const auto& stages) {
      const auto with = [&](const auto& problem) {
        return run(problem, matrix, stages, NoObserver(), weight_key, executor);
      };
      return rows.begin == 0
                 ? with(float_problem(by_output, panels))
                 : with(make_problem<FloatKernel>(by_output, panels, ContinuedSums(matrix)));
    };
    return last ? multiply(weight_stages) : multiply(epilogue());
  }
  template <class Executor>
  bool by_patches(MatrixView<const float> gradient, const Range&, MatrixView<float> to,
                  const Executor& executor) const {
    return run(float_problem(MatrixRows(gradient), panels_of(memory_.weights)), to, epilogue(),
               NoObserver(), NoiseKey{}, executor);
  }

 private:
  const PackWeights& pack_weights_;
  const PackInputs& pack_inputs_;
  BackwardWorkspace& memory_;
};

/// The same in integers of `Parts` bytes, of CodedWeights, or a WeightTile, and their scales.
template <std::size_t Parts, class Weights, class Dac>
class SplitPatchProducts {
 public:
  static constexpr bool joins_tasks = true;

  SplitPatchProducts(const Weights& weights, std::span<const float> scales, const Dac& dac,
                     const SplitDraws& draws, ConvolutionBackwardWorkspace& memory)
      : weights_(weights), scales_(scales), dac_(dac), draws_(draws), memory_(memory) {}

  /// `rows`: the most of a piece.
  template <class Executor>
  bool prepare_weights(std::size_t rows, const Executor& executor) {
    form_ = split_form<Parts>(rows, executor);
    return memory_.weights.pack(weights_, {0, weights_.rows()}, form_, executor);
  }
  template <class Element, class Stages, class Executor>
  bool by_weights(MatrixView<const float> gradient, MatrixView<const Element> patches,
                  const Range& rows, bool last, MatrixView<float> matrix,
                  const Stages& weight_stages, const NoiseKey& weight_key,
                  const Executor& executor) const {
    return with_array_codes(
        patches, dac_, memory_.products,
        [&]<class Codes, class Value>(MatrixView<const Codes> codes, const UniformQuantizer& dac,
                                      const Value& value) {
          return split_weight_gradient<Parts>(
              SplitBatch<Codes, Value>{gradient, codes, dac, value, rows.begin, last}, matrix,
              weight_stages, weight_key, draws_, memory_.products.columns, executor);
        });
  }
  template <class Executor>
  bool by_patches(MatrixView<const float> gradient, const Range& rows, MatrixView<float> to,
                  const Executor& executor) const {
    SplitDraws draws = draws_;
    draws.key.row_offset += rows.begin;
    return run_split<Parts, true>(ScaledRows<Native>(gradient, scales_), draws.by_input<Parts>(),
                                  memory_.weights, form_, {}, to, epilogue(), NoiseKey{}, executor);
  }

 private:
  const Weights& weights_;
  std::span<const float> scales_;
  const Dac& dac_;
  SplitDraws draws_;
  ConvolutionBackwardWorkspace& memory_;
  CodeColumns::Form form_ = CodeColumns::Form::bytes;
};

}  // namespace detail
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
