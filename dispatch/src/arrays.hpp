// Calls on arrays: compiled by themselves (arrays.cpp, convolutions.cpp, encodings.cpp), for they
// are many.
#pragma once

#include <lumina/lumina.hpp>

#include "packed.hpp"
#include "unit.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {
namespace unit {

/// A call with weights on arrays; `record` may be null.
void run_arrays(const dispatch::Call& call, const Packed& packed, ForwardRecord* record,
                dispatch::StagePlace& place);
void backward_through_arrays(const dispatch::Call& call, const Packed& packed,
                             MatrixView<const float> grad_y, const ForwardRecord& record,
                             const Gradients& gradients, BackwardWorkspace& workspace,
                             dispatch::StagePlace& place);

/// A convolution with them.
void run_arrays(const dispatch::ConvolutionCall& convolution, const Packed& packed,
                ForwardRecord* record, dispatch::StagePlace& place);
void backward_through_arrays(const dispatch::ConvolutionCall& convolution, const Packed& packed,
                             const dispatch::ImageMemory<const float>& grad_y,
                             const ForwardRecord& record,
                             const dispatch::ConvolutionGradientViews& gradients,
                             ConvolutionBackwardWorkspace& workspace, dispatch::StagePlace& place);

/// w, or of a convolution's `shape` filters, on arrays.
void encode_arrays(MatrixView<const float> w, const dispatch::ArrayEncoding& encoding,
                   const dispatch::ConvolutionShape* shape, Packed& packed);
void perturb_gradient(MatrixView<float> gradient, const dispatch::ArrayEncoding& encoding,
                      const dispatch::ConvolutionShape* shape);
void conductances(const dispatch::CellSpec& cell, std::span<const float> targets,
                  std::span<float> result, const double* seconds, const NoiseKey& key);

/// lumina's own.
Convolution convolution_of(const dispatch::ConvolutionShape& shape);

/// The stages of a call in its arrays and behind them.
struct Lists {
  StageList in_array, behind;

  Lists(const dispatch::Call& call, std::size_t rows, std::size_t cols,
        dispatch::StagePlace& place);
  /// The same, showing what leaves the arrays where the call wants to see it.
  Lists(const dispatch::Call& call, std::size_t rows, std::size_t cols, std::size_t tiles,
        dispatch::StagePlace& place);
};

/// For which sets of sums that stages may want there is code of its own, beside none and all.
enum class SumSets {
  none_or_all,
  of_presets,  ///< that of ReadNoise too
  each,        ///< and facts of rows alone
};

/// f<sums, facts of rows>() with what the stages want, or more.
template <SumSets Sets, class F>
void with_sums(const StageList& stages, const F& f) {
  const unsigned wanted = stages.wanted_sums();
  if (wanted == 0 && !stages.wants_row_facts()) return f.template operator()<0, false>();
  if constexpr (Sets == SumSets::each) {
    if (wanted == 0) return f.template operator()<0, true>();
  }
  if constexpr (Sets != SumSets::none_or_all) {
    if (wanted == Sums::squared_inputs) return f.template operator()<Sums::squared_inputs, true>();
  }
  f.template operator()<Sums::magnitudes | Sums::squared_inputs | Sums::squares, true>();
}

}  // namespace unit
}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
