// The fused convolution: y = stages(DAC(x) ∗ filters), in one, two or three dimensions. Patches
// exist row by row, in a task's own memory; each output is written once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "analog_gemm.hpp"
#include "config.hpp"
#include "convolution.hpp"
#include "detail/engine/convolution_call.hpp"
#include "executor.hpp"
#include "fused_gemm.hpp"
#include "matrix.hpp"
#include "noise.hpp"
#include "quantizer.hpp"

namespace lumina {
inline namespace LUMINA_ISA_NAMESPACE {

/// y = stages(DAC(x) ∗ filters). Pixel (d, h, w) of image n is row ((n·depth + d)·height + h)·width
/// + w of a matrix whose columns are the outputs: to stages, and to the noise of the key, whose
/// row_offset counts such rows. What padding adds goes through the DAC as 0.
///
///   x        floats, which the DAC encodes, once each (pixels where tasks meet, again), or
///            std::uint8_t, codes already
///   dac      as in fused_gemm
///   weights  CodedWeights or a CodedWeightsView, multiplied as codes, PackedWeights as floats, of
///            filter_matrix(); with several groups, what convolution_weights() makes
///   y        of float, std::uint8_t or std::uint16_t; layouts of x and y may differ
///
/// Errors, before anything is written: those of fused_gemm; groups that do not divide channels and
/// outputs, a kernel larger than the padded image, y of another size. The result: whether it has
/// run. Floats that are infinite or NaN reach, multiplied with weights of 0, outputs of the other
/// groups of their product.
template <class X, detail::AnyQuantizer Dac, class Weights, class Y, class... Stages,
          class Executor = Serial>
bool fused_convolution(const ImageView<X>& x, const Dac& dac, const Weights& weights,
                       const ImageView<Y>& y, const Convolution& shape,
                       const Epilogue<Stages...>& stages, const NoiseKey& key = {},
                       const Executor& executor = {}) {
  using Pixel = std::remove_const_t<X>;
  const detail::NoObserver nobody;
  const detail::PlainProducts<Pixel, Dac, detail::WeightsOfProduct<Weights>, Epilogue<Stages...>,
                              detail::NoObserver>
      products{dac, detail::weights_of_products(weights), stages, nobody, key};
  return detail::call_convolution<Pixel>(x, y, shape, products, executor);
}
/// y = stages(x ∗ filters) in floats.
template <class X, class Weights, class... Stages, class Executor = Serial>
bool fused_convolution(const ImageView<X>& x, const Weights& weights, const ImageView<float>& y,
                       const Convolution& shape, const Epilogue<Stages...>& stages,
                       const NoiseKey& key = {}, const Executor& executor = {}) {
  const detail::NoObserver nobody;
  const NoDac no_dac;
  const detail::PlainProducts<float, NoDac, detail::WeightsOfProduct<Weights>, Epilogue<Stages...>,
                              detail::NoObserver>
      products{no_dac, detail::weights_of_products(weights), stages, nobody, key};
  return detail::call_convolution<float>(x, y, shape, products, executor);
}
/// The same on arrays: weights are TiledWeights, a view of such, or TiledFloats of filter_matrix(),
/// whose inputs are in its order; `dac`, `in_array`, `behind` as in analog_gemm. A ManagedDac
/// chooses its range by the patch.
template <class X, ArrayDac Dac, class Weights, class Y, StagesInArrays InArray,
          StagesBehindArrays Behind, class Executor = Serial>
bool fused_convolution(const ImageView<X>& x, const Dac& dac, const Weights& weights,
                       const ImageView<Y>& y, const Convolution& shape, const InArray& in_array,
                       const Behind& behind, const NoiseKey& key = {},
                       const Executor& executor = {}) {
  using Pixel = std::remove_const_t<X>;
  const detail::NoObserver nobody;
  const detail::ArrayProducts<Pixel, Dac, detail::WeightsOfProduct<Weights>,
                              std::remove_cvref_t<decltype(in_array.stages)>, detail::NoObserver,
                              std::remove_cvref_t<decltype(behind.stages)>, detail::NoObserver>
      products{
          dac, detail::weights_of_products(weights), in_array.stages, nobody, behind.stages, nobody,
          key};
  return detail::call_convolution<Pixel>(x, y, shape, products, executor);
}

/// How many bytes SerialIn needs for such a call with coded weights; only the sizes and layouts of
/// the images count, their data may be null.
template <class X, class Y>
constexpr std::size_t convolution_workspace_bytes(const ImageView<X>& x, const ImageView<Y>& y,
                                                  const Convolution& shape) {
  if (detail::pixels_are_patches(x, y, shape)) {
    return coded_workspace_bytes(detail::size_product(y.batch, y.pixels()), shape.channels);
  }
  const auto plan = detail::convolution_plan<std::uint8_t>(x, y, shape, 1);
  const detail::ConvolutionLayout<std::remove_const_t<X>, std::uint8_t, Y> layout(
      plan, y.layout == ImageLayout::channels_first);
  return layout.end + coded_workspace_bytes(plan.patch_rows(), plan.patch_elements());
}

}  // namespace LUMINA_ISA_NAMESPACE
}  // namespace lumina
